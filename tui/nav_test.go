package tui_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/tui"
)

// has fails unless the screen holds the text.
func (d *desk) has(text string) *desk {
	d.t.Helper()
	if !strings.Contains(d.screen(), text) {
		d.t.Errorf("want %q on the screen:\n%s", text, d.screen())
	}
	return d
}

func TestEnterLeadsToTheZone(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		want string
	}{
		"node": {[]string{"2", "end", "enter"}, "› zone south"}, "alarm of a zone": {[]string{"3", "enter"}, "› zone north"},
		"alarm of a node": {[]string{"3", "down", "enter"}, "› zone propagation"}, "alarm of a point": {[]string{"3", "end", "enter"}, "› zone north"},
		"event": {[]string{"4", "enter"}, "› zone propagation"}, "sensor": {[]string{"enter", "home", "enter"}, "› history"}, "actuator": {[]string{"enter", "enter"}, "› why north/fan"},
		"prefix": {[]string{":", "prop", "enter"}, "› zone propagation"},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := open(t, tui.Options{})
			d.press(c.keys...).has(c.want)
		})
	}
}

func TestEscLeadsBackAndAtLastToTheZones(t *testing.T) {
	d, _ := open(t, tui.Options{})
	for range 50 {
		d.press("2", "enter", "?", "esc", "3", "enter", "c", "?")
	}
	d.press("esc").has("› history").press("esc").has("› zone north").press("esc").has("› alarms").press("esc").has("› zones").press("esc").has("› zones")
}

func TestTabGoesRound(t *testing.T) {
	d, _ := open(t, tui.Options{})
	for _, want := range []string{"nodes", "alarms", "events", "zones"} {
		d.press("tab").has("› " + want)
	}
	d.send(tea.KeyPressMsg{Code: tea.KeyTab, Mod: tea.ModShift}).has("› events")
}

func TestOpensOnAZone(t *testing.T) {
	d, _ := open(t, tui.Options{Zone: "south"})
	d.has("› zone south").has("10%").press("esc").has("› zones")
	d, _ = open(t, tui.Options{Zone: "gone"})
	d.has("zone gone is not there (any more)")
}

func TestAgesGrowWhileNothingComes(t *testing.T) {
	d, _ := open(t, tui.Options{})
	d.has("21.4      20")
	d.now = d.now.Add(89 * time.Second)
	d.has("21.4 1m")
	d.now = d.now.Add(time.Hour)
	d.has("21.4 1h")
}

func TestANodeIsSeenWhenItsReadingsAre(t *testing.T) {
	f, live, _ := garden()
	f.nodes[0].LastSeen = ms(-time.Hour)
	f.nodes[0].Channels = []api.Channel{{Name: "air_temp", Kind: greenhouse.Sensor, Point: "north/air_temp"}}
	live.Points = append(live.Points, api.LivePoint{ID: "@clim-a4cf12b3de01/rssi", TS: ms(0), Value: ptr(-77)})
	sit(t, f, tui.Options{}).size(120, 40).send(tui.Live(live)).press("2").has("● online 4s    applied  -77")
}

func TestTargetsByTheClock(t *testing.T) {
	d, _ := open(t, tui.Options{Zone: "north"})
	d.press("home", "down").has("heating 20 · venting 24").has("heating becomes 16 at 19:00 · venting becomes 22 at 19:00") // 20:00 in Amsterdam
	d.now = d.now.Add(6 * time.Hour)
	d.has("heating 16 · venting 22").has("heating becomes 20 at 05:30")
	d.press("esc", ":", "south", "enter", "home", "down").has("heating 20/16 · venting 24/22").has("day from sunrise-0:30 until sunset")
}

// TestRecipeOfAZone: how far it is, with days and the ramp as they are now rather
// than when the record was read.
func TestRecipeOfAZone(t *testing.T) {
	f, live, _ := garden()
	f.zones[0].Recipe = &api.RecipeStatus{RunStatus: greenhouse.RunStatus{Recipe: "tomato", Version: 3, Planted: "2026-02-01", Phase: 2, Phases: 4, PhaseName: "vegetative",
		From: "2026-03-14", Since: ms(-6 * time.Hour), RampFrom: ms(-6 * time.Hour), Day: 1, Days: 30}}
	id := f.zones[0].ID
	d := sit(t, f, tui.Options{Zone: id}).size(120, 40).send(tui.Live(live))
	d.has("recipe tomato v3, phase 2 vegetative, day 1 of 30; 25 % of its 24-h ramp").press("home", "down").has("next  tomato v3, phase 2")
	d.now = d.now.Add(12 * time.Hour)
	d.has("day 2 of 30; 75 % of its 24-h ramp")
	d.now = d.now.Add(12 * time.Hour)
	d.size(80, 24).has("recipe tomato v3, phase 2 vegetative, day 2 of 30\n")
}

func TestWhatIsGoneIsNotShown(t *testing.T) {
	d, f := open(t, tui.Options{})
	f.zones = f.zones[:2]
	d.send(tui.Live(api.Live{TS: ms(0), Version: 7, Removed: []string{"zone/south", "node/clim-a4cf12b3de03", "point/north/co2"}}))
	if s := d.screen(); strings.Contains(s, "south") {
		t.Errorf("the zone is still shown:\n%s", s)
	}
	d.send(tui.Live(api.Live{TS: ms(0), Version: 7, Nodes: []api.LiveNode{{UID: "clim-a4cf12b3de01", Zone: "north", State: greenhouse.NodeDegraded}}}))
	d.press("2").has("degraded    OFFLINE  4s")
}

func TestARecoveredLinkKeepsTraces(t *testing.T) {
	f, live, _ := garden()
	f.fresh = true
	d := sit(t, f, tui.Options{Zone: "north"})
	for i := range 3 {
		l := live
		l.Points = append([]api.LivePoint(nil), live.Points...)
		l.Points[0].TS, l.Points[0].Value = ms(time.Duration(i)*20*time.Second), ptr(float64(i))
		d.send(tui.Live(l))
	}
	d.has("▁▅█")
}

// TestTracesBeginInThePast checks that a dashboard just opened shows the last
// quarter of an hour: of each zone on the overview, of every sensor in a zone.
func TestTracesBeginInThePast(t *testing.T) {
	d, f := open(t, tui.Options{})
	d.size(160, 40)
	if s := d.screen(); strings.Count(s, "█") < len(f.zones) {
		t.Errorf("the overview has no traces:\n%s", s)
	}
	d.press("enter")
	rows := 0
	for _, line := range strings.Split(d.screen(), "\n") {
		if strings.Contains(line, "air_") || strings.Contains(line, "co2  ") {
			if strings.ContainsAny(line, "▁▂▃▄▅▆▇█") {
				rows++
			}
		}
	}
	if rows < 4 {
		t.Errorf("%d of the sensors have a trace:\n%s", rows, d.screen())
	}
}

// TestSetPointInForce checks that the dashboard shows what control aims at now: the
// ramp, the curve, what somebody holds, and not what a clock would guess.
func TestSetPointInForce(t *testing.T) {
	d, _ := open(t, tui.Options{Zone: "south"})
	d.size(120, 40).has("heating 20/16")
	ramp := func(v float64) api.Live {
		return api.Live{TS: ms(0), Version: 7, Zones: []api.LiveZone{{ID: "south", Mode: greenhouse.ModeAuto, Nodes: 2, NodesOnline: 2,
			SetPoints: map[greenhouse.Quantity]float64{greenhouse.Heating: v, greenhouse.HumidityMax: 85}}}}
	}
	d.send(tui.Live(ramp(17.3))).has("heating 17.3 (20/16)").has("humidity_max 85\n").has("venting 24/22")
	d.send(tui.Live(ramp(17.4))).has("heating 17.4 (20/16)")
	d.press("esc", "1").has("17.4")
}

func TestZoneShowsHowSureADriveIs(t *testing.T) {
	f, live, _ := garden()
	for state, want := range map[greenhouse.MotorState]string{greenhouse.MotorSuspect: "SUSPECT", greenhouse.MotorUnknown: "seeking"} {
		l := live
		l.Actuators = slices.Clone(live.Actuators)
		for i := range l.Actuators {
			if l.Actuators[i].Name == "vent" {
				l.Actuators[i].Position = state
			}
		}
		d := sit(t, f, tui.Options{Zone: "north"}).send(tui.Live(l))
		d.has(want)
	}
}
