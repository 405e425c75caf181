package edge_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greenhouse"
	"greenhouse/edge"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

const ph = greenhouse.UID("ph-a4cf12b3de01")

// watchedDisk is the system's disk with an eye on what is not synced yet, and a
// switch to make syncs fail.
type watchedDisk struct {
	telemetry.OSDisk
	dirty, broken atomic.Bool
	takes         atomic.Int64 // ns a sync
}

type watchedFile struct {
	telemetry.File
	disk *watchedDisk
}

func (d *watchedDisk) Open(name string, flag int) (telemetry.File, error) {
	f, err := d.OSDisk.Open(name, flag)
	if err != nil {
		return nil, err
	}
	return watchedFile{f, d}, nil
}

func (f watchedFile) WriteAt(b []byte, off int64) (int, error) {
	f.disk.dirty.Store(true)
	return f.File.WriteAt(b, off)
}

func (f watchedFile) Sync() error {
	if f.disk.broken.Load() {
		return &os.PathError{Op: "fdatasync", Path: "log", Err: syscall.EIO}
	}
	if d := f.disk.takes.Load(); d > 0 {
		time.Sleep(time.Duration(d)) // what a worn card does
	}
	if err := f.File.Sync(); err != nil {
		return err
	}
	f.disk.dirty.Store(false)
	return nil
}

// copyOf copies a directory as it is at this moment, as a cut of the power would
// leave it where every write has reached the disk.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case strings.HasSuffix(path, ".lock"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestAckMeansOnDisk takes the data directory away at the moment of each kind of
// acknowledgement: what was acknowledged is in it, once.
func TestAckMeansOnDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := &watchedDisk{}
		h := start(t, func(o *edge.Options) { o.Faults.Disk = disk })
		secret := h.register(ph, "", channels("solution_ph", "pump_acid")...)
		d := h.login(string(ph), secret)
		now := greenhouse.MillisOf(time.Now())
		messages := []struct{ kind, topic, payload string }{
			{"status", topic(wire.KindStatus, ph), `{"v":1,"online":true,"boot":"b7","fw":"9.9","rssi":-61}`},
			{"telemetry", topic(wire.KindTelemetry, ph), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"b7","seq":1,"m":{"solution_ph":6.25}}`, now)},
			{"first sample of a channel", topic(wire.KindTelemetry, ph), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"b7","seq":2,"m":{"solution_temp":19.5}}`, now)},
			{"bare value", topic(wire.KindTelemetry, ph) + "/solution_ec", "1.75"},
			{"event", topic(wire.KindEvent, ph), fmt.Sprintf(`{"v":1,"ts":%d,"code":"level_low","severity":"critical"}`, now)},
			{"bare event", topic(wire.KindEvent, ph), fmt.Sprintf(`{"v":1,"ts":%d,"code":"overheat"}`, now)},
			{"config report", topic(wire.KindConfigReport, ph), ""},
		}
		var last string
		for i, m := range messages {
			if m.payload == "" { // of the revision there is by now: the new channels raised it
				c := h.Store().Registry().Nodes[ph].Config
				m.payload = fmt.Sprintf(`{"v":1,"rev":%d,"hash":%q,"status":"applied"}`, c.DesiredRev, c.DesiredHash)
				messages[i] = m
			}
			d.tell(m.topic, m.payload)
			if i > 0 && i < 4 && disk.dirty.Load() {
				t.Errorf("%s: acknowledged before it was synced", m.kind)
			}
			last = copyOf(t, h.dir)
			audit(t, last, i)
		}
		// Sent again for want of a PUBACK, as a node does that lost its link.
		for _, m := range messages {
			d.tell(m.topic, m.payload)
		}
		audit(t, copyOf(t, h.dir), len(messages)-1)
	})
}

// audit opens a copy of a data directory and expects the first messages, up to
// number n, of TestAckMeansOnDisk in it.
func audit(t *testing.T, dir string, n int) {
	t.Helper()
	h := start(t, func(o *edge.Options) { o.DataDir = dir })
	defer h.stop()
	node := h.Store().Registry().Nodes[ph]
	value := func(p greenhouse.PointID, want float64) {
		t.Helper()
		if got := h.history(p); len(got) == 0 || got[0].Value != want {
			t.Errorf("after message %d: history of %s is %v, want %v", n, p, got, want)
		}
	}
	once := func(code string, least int) {
		t.Helper()
		if got := len(h.events(code)); got != 1 {
			t.Errorf("after message %d: %d events %s, want 1", n, got, code)
		}
	}
	if node.Boot != "b7" || node.FW != "9.9" {
		t.Errorf("after message %d: boot %q and fw %q", n, node.Boot, node.FW)
	}
	value(greenhouse.NodePoint(ph, "rssi"), -61)
	once("node_booted", 0)
	if n >= 1 {
		value("@ph-a4cf12b3de01/solution_ph", 6.25)
		if got := h.history("@ph-a4cf12b3de01/solution_ph"); len(got) != 1 {
			t.Errorf("after message %d: %d readings, want 1", n, len(got))
		}
	}
	if n >= 2 {
		value("@ph-a4cf12b3de01/solution_temp", 19.5)
	}
	if n >= 3 {
		value("@ph-a4cf12b3de01/solution_ec", 1.75)
	}
	if n >= 4 {
		once("level_low", 4)
		if a, ok := h.alarm(greenhouse.NodeSource(ph), "level_low"); !ok || !a.Open() || a.Severity != greenhouse.Critical {
			t.Errorf("after message %d: alarm %+v, %v", n, a, ok)
		}
	}
	if n >= 5 {
		once("node_overheat", 5)
	}
	if n >= 6 && node.Config.Status != greenhouse.ConfigApplied {
		t.Errorf("after message %d: configuration %+v", n, node.Config)
	}
}

// TestFailedSync: while the log cannot be synced nothing is acknowledged, control
// goes on, the registry's share too, and all of it mends by itself.
func TestFailedSync(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := &watchedDisk{}
		h := start(t, func(o *edge.Options) { o.Faults.Disk = disk })
		secret := h.register(ph, "", channels("solution_ph")...)
		d := h.login(string(ph), secret)
		sample := func(i int) string {
			return fmt.Sprintf(`{"v":1,"ts":%d,"boot":"a","seq":%d,"m":{"solution_ph":6.%d}}`, greenhouse.MillisOf(time.Now()), i, i)
		}
		d.tell(topic(wire.KindTelemetry, ph), sample(1))
		pass(10 * time.Second)
		disk.broken.Store(true)
		lost := sample(2)
		if d.put(topic(wire.KindTelemetry, ph), lost) {
			t.Fatal("acknowledged though the sync failed")
		}
		if l, _ := h.History().Latest("@ph-a4cf12b3de01/solution_ph"); l.Value != 6.2 {
			t.Errorf("control sees %v, want 6.2", l.Value)
		}
		d = h.login(string(ph), secret)
		d.tell(topic(wire.KindEvent, ph), `{"v":1,"code":"still_here"}`)
		pass(3 * time.Second)
		if !h.raised(greenhouse.SiteSource, "telemetry_paused") {
			t.Error("no alarm telemetry_paused")
		}
		if d.put(topic(wire.KindTelemetry, ph), lost) {
			t.Error("acknowledged while the disk fails")
		}
		disk.broken.Store(false)
		pass(5 * time.Second)
		d = h.login(string(ph), secret)
		d.tell(topic(wire.KindTelemetry, ph), lost)
		pass(3 * time.Second)
		if h.raised(greenhouse.SiteSource, "telemetry_paused") {
			t.Error("the alarm telemetry_paused stays")
		}
		if got := h.history("@ph-a4cf12b3de01/solution_ph"); len(got) != 2 || got[1].Value != 6.2 {
			t.Errorf("history %v", got)
		}
	})
}

// TestSlowDisk: while every sync takes half a second, readings are acknowledged
// that much later, and no zone misses a cycle.
func TestSlowDisk(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s sabotage
		disk := &watchedDisk{}
		g := plant(t, 2, func(o *edge.Options) { o.Faults.Disk, o.Faults.Source = disk, s.under })
		g.heats()
		disk.takes.Store(int64(500 * time.Millisecond))
		before := g.History().Stats()
		for range 60 {
			pass(5 * time.Second)
			for _, z := range []greenhouse.ZoneID{"north", "south"} {
				if lag := s.lag(z); lag > 5*time.Second {
					t.Fatalf("zone %s was decided %v ago", z, lag)
				}
			}
		}
		after := g.History().Stats()
		if got := after.Batches - before.Batches; got < 9*30 {
			t.Errorf("%d messages acknowledged in five minutes by nine nodes", got)
		}
		if open := openAlarms(g.house); len(open) > 0 {
			t.Errorf("alarms: %v", open)
		}
		if l := g.level(heater); !l.Known || !l.Online {
			t.Errorf("the heater is lost from sight: %+v", l)
		}
		disk.takes.Store(0)
	})
}

// TestFullRegistry: while the registry's disk is full, what belongs there is not
// acknowledged, readings are, control goes on; and it mends without a restart.
func TestFullRegistry(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var open *os.File
		h := start(t, func(o *edge.Options) {
			o.Faults.OpenFile = func(name string, flag int, perm os.FileMode) (f *os.File, err error) {
				f, err = os.OpenFile(name, flag, perm)
				open = f
				return f, err
			}
		})
		secret := h.register(ph, "", channels("solution_ph")...)
		d := h.login(string(ph), secret)
		d.tell(topic(wire.KindStatus, ph), `{"v":1,"online":true}`)
		pass(time.Second)
		full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
		if err != nil {
			t.Skip(err)
		}
		defer full.Close()
		if err := unix.Dup3(int(full.Fd()), int(open.Fd()), 0); err != nil {
			t.Fatal(err)
		}
		event := fmt.Sprintf(`{"v":1,"ts":%d,"code":"level_low"}`, greenhouse.MillisOf(time.Now()))
		if d.put(topic(wire.KindEvent, ph), event) {
			t.Fatal("acknowledged though the registry is full")
		}
		d = h.login(string(ph), secret)
		d.tell(topic(wire.KindTelemetry, ph), `{"v":1,"m":{"solution_ph":6}}`)
		if h.Store().Stats().Unknown {
			t.Log("the registry is not trusted")
		}
		pass(10 * time.Second)
		if h.Store().Stats().Unknown {
			t.Fatal("the registry did not come back")
		}
		d.tell(topic(wire.KindEvent, ph), event)
		pass(time.Second)
		if got := len(h.events("level_low")); got != 1 {
			t.Errorf("%d events, want 1", got)
		}
		for _, code := range []string{"node_online", "registry_reopened"} {
			if len(h.events(code)) == 0 {
				t.Errorf("the event %s was lost", code)
			}
		}
	})
}

// TestRestart: the daemon dies with everything open, and all that was
// acknowledged is there when it comes back.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		secret := h.register(ph, "", channels("solution_ph")...)
		d := h.login(string(ph), secret)
		const n = 500
		begin := greenhouse.MillisOf(time.Now())
		for i := range n {
			d.send(uint64(i+1), topic(wire.KindTelemetry, ph), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"a","seq":%d,"m":{"solution_ph":%d}}`, int64(begin)+int64(i), i+1, i%14))
		}
		acked := 0
		for range n / 2 {
			<-d.acked
			acked++
		}
		h.die()
		for len(d.acked) > 0 {
			<-d.acked
			acked++
		}
		epoch := h.Store().Registry().Epoch()
		h.run()
		got := h.history("@ph-a4cf12b3de01/solution_ph")
		if len(got) < acked {
			t.Errorf("%d readings, %d were acknowledged", len(got), acked)
		}
		for i, r := range got {
			if r.At != begin+greenhouse.Millis(i) {
				t.Fatalf("reading %d is of %d", i, r.At-begin)
			}
		}
		if after := h.Store().Registry().Epoch(); after <= epoch {
			t.Errorf("epoch %d after %d", after, epoch)
		}
	})
}
