package telemetry_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/telemetry"
)

// killVictim is the process that TestKill kills: it writes as fast as it can,
// seals all the time, and prints the time of each reading once acknowledged.
func killVictim(dir string) {
	e, err := telemetry.Open(telemetry.Options{Dir: dir, SegmentBytes: 256 << 10, Maintain: 5 * time.Millisecond, HeadReadings: 500, MinFree: -1})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	start := time.Now().UnixMilli() - 24*3_600_000
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			done := make(chan error, 1)
			base, seq := start, uint64(1)
			for i := int64(0); ; i++ {
				at := base + i*1000*60 + int64(g)
				b := &telemetry.Batch{Node: greenhouse.UID("climate-000" + strconv.Itoa(g)), Boot: strconv.FormatInt(start, 36), Seq: seq, HasSeq: true,
					Readings: []greenhouse.Reading{reading("a/x", greenhouse.Millis(at), float64(at%1000)), reading("a/y", greenhouse.Millis(at), float64(at%1000))},
					Done:     func(err error) { done <- err }}
				seq++
				if i*60_000 > 24*3_600_000 {
					base += 7
					i = 0
				}
				if err := e.Submit(context.Background(), b); err != nil {
					return
				}
				if err := <-done; err != nil {
					return
				}
				mu.Lock()
				fmt.Fprintln(out, at)
				out.Flush()
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// TestKill ends a loaded process with SIGKILL at random moments, again and
// again on the same directory, and looks for what it had acknowledged.
func TestKill(t *testing.T) {
	rounds := 15
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		rounds = n
	}
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	acked := map[greenhouse.Millis]bool{}
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "TELEMETRY_KILL_DIR="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 1 + rnd.IntN(400); n > 0 && lines.Scan(); n-- {
			note(t, acked, lines.Text())
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			note(t, acked, lines.Text())
		}
		cmd.Wait() // killed, as it should be
	}
	e := open(t, telemetry.Options{Dir: dir})
	for _, p := range []greenhouse.PointID{"a/x", "a/y"} {
		found := map[greenhouse.Millis]int{}
		for _, s := range raw(t, e, p) {
			found[s.TS]++
			if s.Value != float64(s.TS%1000) {
				t.Errorf("%s at %d is %v", p, s.TS, s.Value)
			}
		}
		for at := range acked {
			if found[at] != 1 {
				t.Errorf("acknowledged reading of %s at %d is there %d times", p, at, found[at])
			}
		}
	}
	s := e.Stats()
	if s.Damaged != 0 || s.Gaps != 0 {
		t.Errorf("damage or gaps after kills alone: %+v %v", s, e.Gaps("", 0, 1<<60))
	}
	t.Logf("%d kills, %d acknowledged, 0 lost; %d day files", rounds, len(acked), s.DayFiles)
}

// note remembers a complete line that the victim printed.
func note(t *testing.T, acked map[greenhouse.Millis]bool, line string) {
	at, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		t.Fatalf("the victim said %q", line)
	}
	acked[greenhouse.Millis(at)] = true
}
