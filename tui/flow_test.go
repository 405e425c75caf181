package tui_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/exp/teatest/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/tui"
)

// patience bounds every wait; it is no pace.
const patience = 20 * time.Second

// watched is a Model whose frames a test can wait for.
type watched struct {
	*tui.Model
	mu     sync.Mutex
	last   string
	frames chan struct{} // holds one token once a frame was drawn
}

func (w *watched) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	_, cmd := w.Model.Update(msg)
	return w, cmd
}

func (w *watched) View() tea.View {
	v := w.Model.View()
	w.mu.Lock()
	w.last = ansi.Strip(v.Content)
	w.mu.Unlock()
	select {
	case w.frames <- struct{}{}:
	default:
	}
	return v
}

// session is a program with its feeds and a person at it.
type session struct {
	*teatest.TestModel
	t     *testing.T
	f     *fake
	w     *watched
	clock *clock
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// begin opens the dashboard on the garden and waits until all of it is there.
func begin(t *testing.T, o tui.Options) *session {
	t.Cleanup(func() {
		goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/charmbracelet/x/exp/teatest/v2.NewTestModel.func2"),
			goleak.IgnoreAnyFunction("os/signal.signal_recv"), goleak.IgnoreAnyFunction("os/signal.loop"))
	})
	f, live, events := garden()
	c := &clock{now: t0()}
	o.Now, o.Location = c.Now, time.UTC
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{Model: tui.New(ctx, f, o), frames: make(chan struct{}, 1)}
	s := &session{TestModel: teatest.NewTestModel(t, w, teatest.WithInitialTermSize(100, 30)), t: t, f: f, w: w, clock: c}
	var feeds sync.WaitGroup
	feeds.Go(func() { tui.Feed(ctx, f, s.Send) })
	t.Cleanup(func() {
		_ = s.Quit()
		s.WaitFinished(t, teatest.WithFinalTimeout(patience))
		cancel()
		feeds.Wait()
	})
	f.live <- live
	for _, e := range events {
		f.events <- e
	}
	return s.sees("● live", "propagation", "CRITICAL raised", "node_registered")
}

// sees waits for a frame that holds all of the texts.
func (s *session) sees(texts ...string) *session {
	s.t.Helper()
	return s.until(strings.Join(texts, " and "), func(screen string) bool {
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				return false
			}
		}
		return true
	})
}

// loses waits for a frame without the text.
func (s *session) loses(text string) *session {
	s.t.Helper()
	return s.until("no "+text, func(screen string) bool { return !strings.Contains(screen, text) })
}

func (s *session) until(what string, ok func(screen string) bool) *session {
	s.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		s.w.mu.Lock()
		last := s.w.last
		s.w.mu.Unlock()
		if ok(last) {
			return s
		}
		select {
		case <-s.w.frames:
		case <-deadline.C:
			s.t.Fatalf("waited for %s; the screen is\n%s", what, last)
		}
	}
}

// keys presses keys by name, or types words.
func (s *session) keys(keys ...string) *session {
	for _, k := range keys {
		for _, msg := range presses(k) {
			s.Send(msg)
		}
	}
	return s
}

// wrote checks what reached the daemon, in order.
func (s *session) wrote(want ...string) *session {
	s.t.Helper()
	late := time.After(patience)
	for len(s.f.written()) < len(want) {
		select {
		case <-s.f.called:
		case <-late:
			s.t.Fatalf("waited for %q, got %q", want, s.f.written())
		}
	}
	if diff := cmp.Diff(want, s.f.written()); diff != "" {
		s.t.Fatalf("what the daemon was asked (-want +got):\n%s", diff)
	}
	return s
}

func TestAcknowledgeAnAlarm(t *testing.T) {
	s := begin(t, tui.Options{}).keys("3").sees("SEVERITY", "› alarms").keys("a")
	s.sees("acknowledge frost_guard of zone/north, critical since Mar 14 15:02?", "enter do it").keys("enter").wrote("ack a2")
	s.sees("frost_guard of zone/north is acknowledged")
	s.clock.advance(2 * time.Second) // the records are read again
	s.sees("acknowledged by anna")
}

func TestTheCursorStaysOnItsAlarm(t *testing.T) {
	s := begin(t, tui.Options{}).keys("3", "down").sees("›warning  cleared no")
	s.f.mu.Lock()
	s.f.alarms = append(s.f.alarms, api.Alarm{ID: "a9", Version: alarmVersion, Source: "site", Code: "disk_full", Severity: greenhouse.Critical, State: greenhouse.AlarmRaised, FirstSeen: ms(0), Text: "no room is left"})
	s.f.mu.Unlock()
	s.clock.advance(2 * time.Second)
	s.f.events <- api.Event{Seq: 42, TS: ms(0), Code: "alarm_raised", Source: "site"}
	s.sees("disk_full").keys("a").sees("acknowledge node_offline of node/clim-a4cf12b3de02").keys("n").sees("nothing was changed")
	s.wrote()
}

func TestOverrideWithReasonAndExpiry(t *testing.T) {
	s := begin(t, tui.Options{}).keys("enter").sees("zone north", "heating 20").keys("down", "o").sees("override north/heater:")
	s.keys("0.5", "enter").sees("say why")
	s.keys(" 25h frozen pipes", "enter").sees("an override lasts from 1s to 24h00m")
	s.keys("ctrl+u", "on 90m frozen pipes", "enter").sees("set north/heater to ON by hand for 1h30m, until Mar 14 16:39, because: frozen pipes?")
	s.keys("enter").wrote(`override north/heater 1 5400s "frozen pipes" "frozen pipes"`).sees("north/heater is ON by hand until Mar 14 16:39")
	s.keys("o", "release", "enter").sees("give north/heater back to automation?").keys("y")
	s.wrote(`override north/heater 1 5400s "frozen pipes" "frozen pipes"`, "release north/heater")
}

func TestTargetByDayAndNight(t *testing.T) {
	s := begin(t, tui.Options{}).keys("t").sees("target of north:", "now: heating 20 venting 24 humidity_max 85")
	s.keys("heat 19", "enter").sees("quantity \"heat\" is unknown")
	s.keys("ctrl+u", "heating 21/17.5", "enter").sees("set heating of north to 21 by day and 17.5 °C by night? It may be 0 to 45")
	s.keys("enter").wrote("target north heating 21/17.5 v4").sees("heating of north is 21 by day and 17.5 °C by night")
}

func TestARefusalIsShownWithItsHint(t *testing.T) {
	s := begin(t, tui.Options{})
	s.f.mu.Lock()
	s.f.fail = greenhouse.Conflict("targets_inverted", "venting must be 1 K above heating").WithHint("set venting first")
	s.f.mu.Unlock()
	s.keys("t", "heating 30", "enter", "enter").sees("venting must be 1 K above heating; set venting first")
	s.clock.advance(31 * time.Second)
	s.loses("venting must be 1 K").sees("q quit")
}

func TestMode(t *testing.T) {
	s := begin(t, tui.Options{}).keys("down", "m").sees("mode of propagation, now manual:").keys("auto", "enter")
	s.sees("set propagation to auto, until somebody changes it? Automation drives.").keys("esc").sees("nothing was changed").wrote()
	s.keys("m", "off", "enter", "y").wrote("mode propagation off v4").sees("propagation is off")
}

func TestShelve(t *testing.T) {
	s := begin(t, tui.Options{}).keys("3", "s").sees("shelve frost_guard of zone/north for:").keys("8d", "enter").sees("a week at most")
	s.keys("ctrl+u", "4h", "enter").sees("hide frost_guard of zone/north for 4h00m?").keys("enter").wrote("shelve a2 14400s")
}

func TestFilterAndPalette(t *testing.T) {
	s := begin(t, tui.Options{}).keys("/", "SOUTH").loses(" propagation ").sees("›south").keys("enter").sees("zones  /SOUTH")
	s.keys("esc").sees(" propagation ").loses("/SOUTH")
	s.keys("/", "critical", "enter").sees("›north").loses(" propagation ").keys("esc")
	s.keys(":", "so", "tab").sees(":south▏").keys("enter").sees("zone south", "South house").keys("esc")
	s.keys(":", "nowhere", "enter").sees(`there is no place "nowhere"`)
	s.keys(":", "north/co2", "enter").sees("› history", "north/co2").keys("esc", ":", "events", "enter").sees("› events", "node_registered")
}

func TestHistoryPansAndZooms(t *testing.T) {
	s := begin(t, tui.Options{}).keys("c").sees("north/air_temp", "Mar 14 13:09 to Mar 14 15:09", "1 gap", "silence")
	s.keys("left").sees("12:39 to Mar 14 14:39").keys("-").sees("10:39 to Mar 14 14:39").keys("0", "+", "+").sees("14:09 to Mar 14 15:09")
	s.keys("n").sees("north/air_temp.2  Mar").keys("esc").sees("› zones")
}

func TestWhy(t *testing.T) {
	s := begin(t, tui.Options{}).keys("enter", "down", "w")
	s.sees("why north/heater", "air 3.8 °C is below 4 °C", "lost max_run", "allows at most 80%", "42 s left").keys("esc").sees("zone north")
}

func TestLostConnectionAndRecovery(t *testing.T) {
	s := begin(t, tui.Options{})
	s.f.live <- errLost
	s.sees("NO LINK", "connection lost 0s ago, trying again: the daemon closed the stream")
	s.clock.advance(5 * time.Minute)
	s.sees("connection lost 5m00s ago", "3.8 5m").keys("down", "enter").sees("zone propagation") // it can still be walked through
	s.f.live <- errLost
	s.sees("connection lost 5m00s ago")
	_, live, _ := garden()
	live.TS = ms(5 * time.Minute)
	for i := range live.Points {
		live.Points[i].TS = live.TS
	}
	s.f.live <- live
	s.sees("● live").loses("connection lost").keys("esc").loses("3.8 5m")
}

func TestRecordsThatCannotBeRead(t *testing.T) {
	s := begin(t, tui.Options{})
	s.f.mu.Lock()
	s.f.down = greenhouse.Unavailable("registry_down", "the registry is being verified")
	s.f.mu.Unlock()
	s.clock.advance(2 * time.Second)
	s.f.live <- api.Live{TS: ms(0), Version: 8}
	s.sees("may be old, reading them failed: the registry is being verified", "propagation")
	s.f.mu.Lock()
	s.f.down = nil
	s.f.mu.Unlock()
	s.clock.advance(4 * time.Second)
	s.loses("may be old")
}

func TestReadOnlyRefusesActions(t *testing.T) {
	s := begin(t, tui.Options{}).keys("r").sees("read-only  1 CRITICAL").keys("t").sees("the dashboard is read-only; r changes that")
	s.keys("r").sees("actions are possible again").loses("read-only  1").keys("t").sees("target of north:")
	s.wrote()
}

func TestReadOnlyForGood(t *testing.T) {
	begin(t, tui.Options{ReadOnly: true}).keys("r").sees("was started so").keys("3", "a").sees("the dashboard is read-only").wrote()
}

func TestResizeToTinyAndBack(t *testing.T) {
	s := begin(t, tui.Options{})
	s.Send(tea.WindowSizeMsg{Width: 30, Height: 8})
	s.sees("30×8 is too small").keys("down") // keys still work
	s.Send(tea.WindowSizeMsg{Width: 140, Height: 50})
	s.sees("›propagation", "Propagation", "last events")
}

func TestQuit(t *testing.T) {
	for _, k := range []string{"q", "ctrl+c"} {
		s := begin(t, tui.Options{}).keys(k)
		s.WaitFinished(t, teatest.WithFinalTimeout(patience))
	}
	s := begin(t, tui.Options{}).keys("t", "q").sees("target of north: q▏").keys("ctrl+c") // in a dialog q is a letter
	s.WaitFinished(t, teatest.WithFinalTimeout(patience))
	s.wrote()
}

// TestNoColor runs the whole program as NO_COLOR asks: no colour reaches the
// terminal.
func TestNoColor(t *testing.T) {
	for name, env := range map[string][]string{"asked": {"NO_COLOR=1", "TERM=xterm-256color"}, "not asked": {"TERM=xterm-256color", "COLORTERM=truecolor", "CLICOLOR_FORCE=1"}} {
		f, live, _ := garden()
		f.live <- live
		var out lockedBuffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		options := []tea.ProgramOption{tea.WithInput(nil), tea.WithOutput(&out), tea.WithoutSignals(), tea.WithWindowSize(80, 24), tea.WithEnvironment(env)}
		if name != "asked" {
			options = append(options, tea.WithColorProfile(colorprofile.TrueColor))
		}
		go func() { done <- tui.Run(ctx, f, tui.Options{Location: time.UTC}, options...) }()
		out.waitFor(t, "CRITICAL")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got, want := bytes.Contains(out.bytes(), []byte("31")) && colours.Match(out.bytes()), name != "asked"; got != want {
			t.Errorf("NO_COLOR %s: got colours %v, want %v", name, got, want)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	f, _, _ := garden()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tui.Run(ctx, f, tui.Options{}, tea.WithInput(nil), tea.WithOutput(&lockedBuffer{}), tea.WithoutSignals()); err != nil && !errors.Is(err, tea.ErrProgramKilled) {
		t.Errorf("got %v, want none", err)
	}
}
