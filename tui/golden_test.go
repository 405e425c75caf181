package tui_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"

	"greenhouse/tui"
)

// updating reports whether -update asks for new golden files; teatest brings
// the flag.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// desk drives a Model without a program: messages go in one by one, and the
// commands they lead to are run at once, ticks excepted.
type desk struct {
	t   testing.TB
	m   *tui.Model
	now time.Time
}

func sit(t testing.TB, src tui.Source, o tui.Options) *desk {
	d := &desk{t: t, now: t0()}
	o.Now, o.Location = func() time.Time { return d.now }, time.UTC
	d.m = tui.New(t.Context(), src, o)
	return d
}

// send brings messages to the model, and what comes of them.
func (d *desk) send(msgs ...tea.Msg) *desk {
	for _, msg := range msgs {
		_, cmd := d.m.Update(msg)
		d.run(cmd)
	}
	return d
}

func (d *desk) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	switch msg := cmd().(type) {
	case nil, tea.QuitMsg:
	case tea.BatchMsg:
		for _, c := range msg {
			d.run(c)
		}
	default:
		d.send(msg)
	}
}

func (d *desk) size(w, h int) *desk { return d.send(tea.WindowSizeMsg{Width: w, Height: h}) }

// press presses keys by name; a longer word is typed letter by letter.
func (d *desk) press(keys ...string) *desk {
	for _, k := range keys {
		for _, msg := range presses(k) {
			d.send(msg)
		}
	}
	return d
}

func presses(k string) []tea.Msg {
	special := map[string]rune{"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "backspace": tea.KeyBackspace, "home": tea.KeyHome, "end": tea.KeyEnd, "pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp}
	if code, ok := special[k]; ok {
		return []tea.Msg{tea.KeyPressMsg{Code: code}}
	}
	if letter, ok := strings.CutPrefix(k, "ctrl+"); ok {
		return []tea.Msg{tea.KeyPressMsg{Code: rune(letter[0]), Mod: tea.ModCtrl}}
	}
	var out []tea.Msg
	for _, r := range k {
		out = append(out, tea.KeyPressMsg{Code: r, Text: string(r)})
	}
	return out
}

// screen returns what is to be seen, without its styles.
func (d *desk) screen() string { return ansi.Strip(d.m.View().Content) }

// open is a dashboard that has heard everything of the garden.
func open(t testing.TB, o tui.Options) (*desk, *fake) {
	f, live, events := garden()
	d := sit(t, f, o)
	return d.send(tui.Live(live), tui.Events(events)), f
}

// panes are the screens and how to get there.
func panes() map[string][]string {
	return map[string][]string{
		"overview": {}, "zone": {"enter"}, "zone-sensor": {"enter", "g"}, "nodes": {"2", "down"}, "alarms": {"3"}, "events": {"4", "down"},
		"history": {"c"}, "help": {"?"}, "why": {"enter", "down", "w"}, "filter": {"/", "south"}, "palette": {":", "n"},
		"dialog-override": {"enter", "o", "30% 1h drying after rain", "enter"}, "dialog-target": {"t", "heating 99", "enter"}, "dialog-ack": {"3", "a"},
	}
}

func TestPanesLookAsBefore(t *testing.T) {
	for name, keys := range panes() {
		for _, size := range [][2]int{{80, 24}, {120, 40}} {
			t.Run(fmt.Sprintf("%s-%dx%d", name, size[0], size[1]), func(t *testing.T) {
				d, _ := open(t, tui.Options{})
				compare(t, d.size(size[0], size[1]).press(keys...).screen())
			})
		}
	}
}

func TestOddScreensLookAsBefore(t *testing.T) {
	t.Run("connecting", func(t *testing.T) {
		compare(t, sit(t, newFake(), tui.Options{}).size(80, 24).screen())
	})
	t.Run("lost", func(t *testing.T) {
		d, _ := open(t, tui.Options{})
		d.send(tui.Lost(errLost))
		d.now = d.now.Add(3 * time.Minute)
		compare(t, d.size(80, 24).screen())
	})
	t.Run("stopped", func(t *testing.T) {
		f, live, _ := garden()
		live.Stopped.Zones = append(live.Stopped.Zones, "north")
		f.zones[0].Stopped = true
		compare(t, sit(t, f, tui.Options{ReadOnly: true}).size(80, 24).send(tui.Live(live)).screen())
	})
	t.Run("clock", func(t *testing.T) {
		f, live, _ := garden()
		live.Waits = "the clock says 1970-01-01 00:00 UTC, which cannot be; last synchronised 2026-03-01 12:00 UTC"
		compare(t, sit(t, f, tui.Options{}).size(80, 24).send(tui.Live(live)).screen())
	})
	t.Run("knocking", func(t *testing.T) {
		f, live, _ := garden()
		live.Pending = 2
		compare(t, sit(t, f, tui.Options{}).size(80, 24).send(tui.Live(live)).press("2").screen())
	})
	t.Run("ascii", func(t *testing.T) {
		d, _ := open(t, tui.Options{ASCII: true})
		compare(t, d.size(80, 24).press("enter", "g").screen())
	})
	t.Run("ascii-chart", func(t *testing.T) {
		d, _ := open(t, tui.Options{ASCII: true})
		compare(t, d.size(80, 24).press("c").screen())
	})
	t.Run("least", func(t *testing.T) {
		d, _ := open(t, tui.Options{})
		compare(t, d.size(60, 15).screen())
	})
	t.Run("tiny", func(t *testing.T) {
		d, _ := open(t, tui.Options{})
		compare(t, d.size(59, 15).screen())
	})
}

// compare holds a screen against testdata/<test>.golden.
func compare(t *testing.T, got string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(t.Name(), "/", "-")+".golden")
	if updating() {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(bytes.TrimSuffix(want, []byte("\n"))), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the screen has changed (-want +got); go test ./tui -update if it is right:\n%s", diff)
	}
}
