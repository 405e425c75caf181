package edge_test

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"greenhouse/edge"
)

// systemd is the socket that the daemon feeds the watchdog through. It lies
// outside the bubble, so what was sent is counted up to a mark of our own.
type systemd struct {
	t    testing.TB
	path string
	fed  chan int
}

func newSystemd(t *testing.T) *systemd {
	t.Helper()
	s := &systemd{t: t, path: filepath.Join(t.TempDir(), "notify"), fed: make(chan int)}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", s.path)
	go func() {
		n, buf := 0, make([]byte, 256)
		for {
			k, err := c.Read(buf)
			if err != nil {
				return
			}
			switch string(buf[:k]) {
			case "WATCHDOG=1":
				n++
			case "MARK":
				s.fed <- n
			}
		}
	}()
	return s
}

// count returns how often the watchdog was fed.
func (s *systemd) count() int {
	s.t.Helper()
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.path, Net: "unixgram"})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("MARK")); err != nil {
		s.t.Fatal(err)
	}
	return <-s.fed
}

// TestWatchdogIsFedByDecisions: the watchdog is fed every second while zones are
// decided, one failing zone or not; half a minute after the last decision of any
// it starves, though the daemon itself runs on.
func TestWatchdogIsFedByDecisions(t *testing.T) {
	sd := newSystemd(t)
	bubble(t, func(t *testing.T) {
		var s sabotage
		g := plant(t, 2, func(o *edge.Options) { o.Faults.Source = s.under })
		g.heats()
		fedIn := func(d time.Duration) int {
			was := sd.count()
			pass(d)
			return sd.count() - was
		}
		if n := fedIn(time.Minute); n < 59 || n > 61 {
			t.Errorf("fed %d times in a minute of decisions", n)
		}
		s.breakDown("north", true)
		if n := fedIn(time.Minute); n < 59 {
			t.Errorf("fed %d times in a minute in which one zone fails", n)
		}
		s.breakDown("south", true)
		pass(36 * time.Second) // a period until it fails, and half a minute
		if n := fedIn(time.Minute); n != 0 {
			t.Errorf("fed %d times though no zone is decided", n)
		}
		s.breakDown("south", false)
		pass(10 * time.Second)
		if n := fedIn(time.Minute); n < 59 {
			t.Errorf("fed %d times after zones are decided again", n)
		}
	})
}
