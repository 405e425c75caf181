package telemetry_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/telemetry"
)

// key identifies a reading.
type key struct {
	point greenhouse.PointID
	at    greenhouse.Millis
}

// valueOf makes the value a function of the key, so that a reading sent twice
// is the same reading.
func valueOf(k key) float64 { return float64(int64(k.at)%997)/10 + float64(len(k.point)) }

// world is the engine under test beside what it must have.
type world struct {
	t      *rapid.T
	dir    string
	clock  *clock
	disk   *powerDisk
	e      *telemetry.Engine
	acked  map[key]bool // promised
	sent   map[key]bool // may be there
	latest map[greenhouse.PointID]greenhouse.Millis
	seq    uint64
	seed   uint64

	quality map[key]greenhouse.Quality // as it was first told
	numbers map[uint64]bool            // of messages acknowledged
	tried   map[uint64]bool            // of messages sent
	began   uint64                     // number sent first
	first   uint64                     // number acknowledged first

	// What comes without a time, while the clock may not be trusted: the value says which it is.
	trusted bool
	up      time.Duration
	boot    int
	value   float64
	stamped map[float64]bool // acknowledged
}

func (w *world) open() {
	e, err := telemetry.Open(telemetry.Options{Dir: w.dir, Now: w.clock.Now, Disk: w.disk, Maintain: -1, SegmentBytes: 8 << 10, MinFree: -1,
		Tests: within(0, 60), ClockTrusted: func() bool { return w.trusted }, Uptime: func() (string, time.Duration) { return strconv.Itoa(w.boot), w.up }})
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	w.e = e
}

// submit sends one batch of one to eight readings.
func (w *world) submit() {
	base := w.clock.ms()
	if rapid.IntRange(0, 3).Draw(w.t, "late") == 0 {
		base -= greenhouse.Millis(rapid.Int64Range(0, 5*24*60).Draw(w.t, "minutes") * 60_000)
	}
	b := telemetry.Batch{Node: "climate-aabb", Boot: "b", Arrived: w.clock.Now()}
	if rapid.Bool().Draw(w.t, "numbered") {
		if w.seq++; rapid.IntRange(0, 9).Draw(w.t, "skip") == 0 {
			w.seq++
		}
		b.Seq, b.HasSeq = w.seq, true
		w.tried[w.seq] = true
		if w.began == 0 {
			w.began = w.seq
		}
	}
	var keys []key
	for range rapid.IntRange(1, 8).Draw(w.t, "n") {
		k := key{greenhouse.PointID(rapid.SampledFrom([]string{"a/x", "a/yy", "b/zzz"}).Draw(w.t, "point")), base - greenhouse.Millis(rapid.IntRange(0, 20).Draw(w.t, "step")*1000)}
		keys = append(keys, k)
		b.Readings = append(b.Readings, greenhouse.Reading{Point: k.point, At: k.at, Value: valueOf(k)})
		w.sent[k] = true
	}
	done := make(chan error, 1)
	b.Done = func(err error) { done <- err }
	err := w.e.Submit(context.Background(), &b)
	if err == nil {
		err = <-done
	}
	if err != nil {
		return
	}
	if b.HasSeq {
		if w.first == 0 {
			w.first = b.Seq
		}
		w.numbers[b.Seq] = true
	}
	for _, k := range keys {
		w.acked[k] = true
		w.latest[k.point] = max(w.latest[k.point], k.at)
	}
}

// stamp sends a reading without a time.
func (w *world) stamp() {
	w.value++
	v, done := w.value, make(chan error, 1)
	err := w.e.Submit(context.Background(), &telemetry.Batch{Node: "relay-aabb", Arrived: w.clock.Now(), Stamped: 1, Done: func(err error) { done <- err },
		Readings: []greenhouse.Reading{{Point: "c/stamped", At: w.clock.ms(), Value: v}}})
	if err == nil {
		err = <-done
	}
	if err == nil {
		w.stamped[v] = true
	}
	w.pass(time.Second)
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.clock.add(d)
	w.up += d
}

// checkStamped expects every acknowledged reading that came without a time once.
func (w *world) checkStamped() {
	seen := map[float64]bool{}
	for _, s := range raw(w.t, w.e, "c/stamped") {
		if seen[s.Value] || s.Value > w.value {
			w.t.Fatalf("reading %v without a time is there twice, or was never sent", s.Value)
		}
		seen[s.Value] = true
	}
	for v := range w.stamped {
		if !seen[v] {
			w.t.Fatalf("acknowledged reading %v without a time is lost", v)
		}
	}
}

// checkGaps expects as many messages told missing as there are numbers that were
// never acknowledged, give or take those that may or may not have been stored.
func (w *world) checkGaps() {
	told, list := seqGaps(w.e)
	lost := func(from uint64) (never, may int64) {
		for n := from; from > 0 && n <= w.seq; n++ {
			if w.numbers[n] {
				continue
			}
			if w.tried[n] {
				may++
			} else {
				never++
			}
		}
		return never, may
	}
	least, _ := lost(w.first)
	most, may := lost(w.began)
	if told > most+may || w.numbers[w.seq] && told < least {
		w.t.Fatalf("%d messages are told missing, want %d to %d: %v", told, least, most+may, list)
	}
}

// crash cuts the power and starts again on what is left.
func (w *world) crash() {
	w.disk.mu.Lock()
	w.disk.cut = true
	w.disk.mu.Unlock()
	w.e.Close(context.Background())
	w.disk.powerOff()
	w.boot++
	w.up = time.Minute
	w.seed++
	w.disk = newPowerDisk(w.disk.stash, w.seed)
	w.open()
}

// kill ends the process without a power cut: what was written and not synced
// is still there, until the power goes too.
func (w *world) kill() {
	w.disk.mu.Lock()
	w.disk.cut = true
	w.disk.mu.Unlock()
	w.e.Close(context.Background())
	w.seed++
	next := newPowerDisk(w.disk.stash, w.seed)
	next.dirty, next.names, next.n = w.disk.dirty, w.disk.names, w.disk.n
	w.disk = next
	w.open()
}

// failing makes every sync fail, or ends that.
func (w *world) failing(err error) {
	w.disk.mu.Lock()
	w.disk.failing = err
	w.disk.mu.Unlock()
	w.pass(2 * time.Second)
}

// check compares the engine with the model.
func (w *world) check() {
	found := map[key]bool{}
	for _, p := range []greenhouse.PointID{"a/x", "a/yy", "b/zzz"} {
		last := greenhouse.Millis(-1)
		err := w.e.Scan(context.Background(), p, 0, 0, func(r greenhouse.Reading) error {
			k := key{p, r.At}
			switch {
			case r.At <= last:
				return fmt.Errorf("%v comes after %d", k, last)
			case !w.sent[k]:
				return fmt.Errorf("%v was never sent", k)
			case r.Value != valueOf(k):
				return fmt.Errorf("%v changed: %+v", k, r)
			}
			if q, known := w.quality[k]; w.acked[k] && !known {
				w.quality[k] = r.Quality
			} else if w.acked[k] && q != r.Quality {
				return fmt.Errorf("%v was %s and is %s", k, q, r.Quality)
			}
			last = r.At
			found[k] = true
			return nil
		})
		if err != nil && w.latest[p] != 0 {
			w.t.Fatalf("scan %s: %v", p, err)
		}
		if l, _ := w.e.Latest(p); l.At < w.latest[p] || l.At > 0 && !w.sent[key{p, l.At}] {
			w.t.Fatalf("latest of %s is at %d, want %d", p, l.At, w.latest[p])
		}
	}
	for k := range w.acked {
		if !found[k] {
			w.t.Fatalf("acknowledged %v is lost", k)
		}
	}
	w.checkStamped()
	w.checkGaps()
	if s := w.e.Stats(); s.Damaged > 0 {
		w.t.Fatalf("damage where there is none: %+v", s)
	}
}

// TestAgainstModel drives the engine at random, through reopening, sealing,
// packing and power cuts at every kind of write and sync, and compares it with
// a plain map.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "telemetry-model-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		stash := dir + "/stash"
		if err := os.Mkdir(stash, 0o700); err != nil {
			t.Fatal(err)
		}
		seed := rapid.Uint64().Draw(t, "seed")
		w := &world{t: t, dir: dir + "/data", clock: newClock(), disk: newPowerDisk(stash, seed), seed: seed,
			acked: map[key]bool{}, sent: map[key]bool{}, latest: map[greenhouse.PointID]greenhouse.Millis{},
			quality: map[key]greenhouse.Quality{}, numbers: map[uint64]bool{}, tried: map[uint64]bool{}, stamped: map[float64]bool{}, trusted: true, up: time.Minute}
		w.open()
		defer func() { w.e.Close(context.Background()) }()
		t.Repeat(map[string]func(*rapid.T){
			"submit": func(t *rapid.T) { w.t = t; w.submit() },
			"many": func(t *rapid.T) {
				w.t = t
				for range 20 {
					w.submit()
					w.pass(10 * time.Second)
				}
			},
			"wait": func(t *rapid.T) {
				w.pass(time.Duration(rapid.SampledFrom([]int{1, 30, 90, 1500}).Draw(t, "minutes")) * time.Minute)
			},
			"stamp": func(t *rapid.T) {
				w.t = t
				for range 3 {
					w.stamp()
				}
			},
			"trust":    func(t *rapid.T) { w.trusted = !w.trusted },
			"maintain": func(t *rapid.T) { w.e.Maintain() },
			"seal":     func(t *rapid.T) { w.e.Seal() },
			"arm": func(t *rapid.T) {
				w.disk.mu.Lock()
				w.disk.cutAt = w.disk.ops + rapid.IntRange(1, 40).Draw(t, "ops")
				w.disk.mu.Unlock()
			},
			"reopen": func(t *rapid.T) {
				w.t = t
				if w.disk.cutAt > 0 || w.disk.failing != nil {
					w.crash()
					return
				}
				if err := w.e.Close(context.Background()); err != nil {
					t.Fatal(err)
				}
				w.open()
			},
			"kill":  func(t *rapid.T) { w.t = t; w.kill() },
			"fail":  func(t *rapid.T) { w.failing(errIO) },
			"heal":  func(t *rapid.T) { w.failing(nil) },
			"crash": func(t *rapid.T) { w.t = t; w.crash() },
			"":      func(t *rapid.T) { w.t = t; w.check() },
		})
		w.t = t
		w.crash()
		w.check()
		w.trusted = true
		w.e.Maintain()
		w.stamp()
		w.check()
		if s := w.e.Stats(); s.Provisional > 0 {
			t.Fatalf("%d readings still wait for a time", s.Provisional)
		}
	})
}
