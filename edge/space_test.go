package edge_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greenhouse"
	"greenhouse/edge"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

// ballast fills a file system but for so many bytes.
func ballast(t *testing.T, dir string, leave int64) (name string) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(dir, fmt.Sprintf("ballast-%d", leave))
	if err := os.WriteFile(name, make([]byte, int64(st.Bavail)*st.Bsize-leave), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestFullDisk fills a real file system: the history stops first, what belongs in
// the registry is taken to the last, from room that was kept for it, and when
// there is room again all goes on by itself.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=80m"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	bubble(t, func(t *testing.T) {
		h := start(t, func(o *edge.Options) { o.DataDir, o.HistoryMinFree = dir, 2<<20 })
		defer h.stop()
		secret := h.register(ph, "", channels("solution_ph")...)
		d := h.login(string(ph), secret)
		seq := 0
		sample := func() string {
			return fmt.Sprintf(`{"v":1,"ts":%d,"boot":"a","seq":%d,"m":{"solution_ph":6.1,"lux":1}}`, greenhouse.MillisOf(time.Now()), seq)
		}
		tell := func(want bool) {
			t.Helper()
			pass(20 * time.Second)
			seq++
			if got := d.put(topic(wire.KindTelemetry, ph), sample()); got != want {
				t.Fatalf("message %d: acknowledged %v, want %v", seq, got, want)
			}
			if !want {
				seq--
				d = h.login(string(ph), secret)
			}
		}
		site := func(code string, want bool) {
			t.Helper()
			pass(3 * time.Second)
			if got := h.raised(greenhouse.SiteSource, code); got != want {
				t.Errorf("alarm %s: %v, want %v", code, got, want)
			}
		}
		tell(true)
		if info, err := os.Stat(filepath.Join(dir, "reserve")); err != nil || info.Size() != 16<<20 {
			t.Fatalf("no room is kept for the registry: %v", err)
		}
		tight := ballast(t, dir, 5<<20) // more than the reserve is given up at: nothing yet
		tell(true)
		site("telemetry_shedding", false)
		full := ballast(t, dir, 1<<20)
		pass(20 * time.Second)
		tell(false)
		site("telemetry_paused", true)
		site("disk_full", true)
		for i := range 50 {
			d.tell(topic(wire.KindEvent, ph), fmt.Sprintf(`{"v":1,"ts":%d,"code":"level_low"}`, greenhouse.MillisOf(time.Now())+greenhouse.Millis(i)))
		}
		pass(time.Second)
		if got := len(h.events("level_low")); got != 50 {
			t.Errorf("%d events in the registry, want 50", got)
		}
		for _, name := range []string{tight, full} {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		pass(20 * time.Second)
		tell(true)
		for _, code := range []string{"telemetry_paused", "telemetry_shedding", "disk_full"} {
			site(code, false)
		}
		if got := h.history("@ph-a4cf12b3de01/solution_ph"); len(got) != seq {
			t.Errorf("%d readings, %d messages were acknowledged", len(got), seq)
		}
	})
}

// TestQueueAlarms: that the telemetry queue fills is an alarm at 70 and at 90 %,
// raised and ended while the history's own disk does not answer.
func TestQueueAlarms(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := &watchedDisk{}
		c := newCabin(t, func(o *edge.Options) { o.Faults.Disk = disk })
		disk.takes.Store(int64(40 * time.Second))
		c.say(18, 70)
		for _, step := range []struct {
			p             telemetry.Pressure
			strain, heavy bool
		}{{telemetry.Strain, true, false}, {telemetry.Heavy, true, true}, {telemetry.Strain, true, false}, {telemetry.Calm, false, false}} {
			c.Pressed(step.p)
			pass(2 * time.Second)
			if s, h := c.raised(greenhouse.SiteSource, "telemetry_queue_strain"), c.raised(greenhouse.SiteSource, "telemetry_queue_heavy"); s != step.strain || h != step.heavy {
				t.Errorf("%v: strain %v, heavy %v", step.p, s, h)
			}
		}
		if !c.History().Stats().Hanging {
			t.Error("the disk answered meanwhile: the test shows nothing")
		}
		disk.takes.Store(0)
		pass(40 * time.Second) // the sync returns
	})
}
