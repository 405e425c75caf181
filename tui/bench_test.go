package tui_test

import (
	"fmt"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/tui"
)

// estate is a site of n zones with ten points each.
func estate(n int) (*fake, api.Live) {
	f := newFake()
	l := api.Live{TS: ms(0), Full: true, Version: 1}
	for i := range n {
		id := greenhouse.ZoneID(fmt.Sprintf("zone-%05d", i))
		f.zones = append(f.zones, gardenZone(id, fmt.Sprintf("House %d", i), "tomato"))
		f.nodes = append(f.nodes, api.Node{UID: greenhouse.UID(fmt.Sprintf("clim-%012x", i)), Zone: id, Online: true})
		for _, name := range []greenhouse.ChannelName{"air_temp", "air_rh", "co2", "vpd", "ppfd", "outside_temp"} {
			l.Points = append(l.Points, api.LivePoint{ID: greenhouse.ZonePoint(id, name, 1), Value: ptr(20), TS: ms(0)})
		}
		for _, name := range []greenhouse.ChannelName{"heater", "vent", "fan", "lamp"} {
			l.Actuators = append(l.Actuators, api.Actuator{Point: greenhouse.ZonePoint(id, name, 1), Name: name, Online: true, Level: ptr(0.5), Reported: ptr(0.5), LeaseUntil: ms(time.Minute), Owner: "heating", Reason: "it is cold"})
		}
		l.Zones = append(l.Zones, api.LiveZone{ID: id, Mode: greenhouse.ModeAuto, Nodes: 2, NodesOnline: 2})
	}
	return f, l
}

func settle(b *testing.B, n int) (*desk, api.Live) {
	f, l := estate(n)
	return sit(b, f, tui.Options{}).size(120, 40).send(tui.Live(l), tui.Live(l)), l
}

func BenchmarkScroll(b *testing.B) {
	for _, n := range []int{5, 500, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d, _ := settle(b, n)
			keys := []tea.Msg{tea.KeyPressMsg{Code: tea.KeyDown}, tea.KeyPressMsg{Code: tea.KeyPgDown}, tea.KeyPressMsg{Code: tea.KeyEnd}, tea.KeyPressMsg{Code: tea.KeyUp}, tea.KeyPressMsg{Code: tea.KeyHome}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d.m.Update(keys[i%len(keys)])
				d.m.View()
			}
		})
	}
}

func BenchmarkFilterLetter(b *testing.B) {
	d, _ := settle(b, 5000)
	d.press("/")
	letters := []tea.Msg{tea.KeyPressMsg{Code: '4', Text: "4"}, tea.KeyPressMsg{Code: tea.KeyBackspace}}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.m.Update(letters[i%2])
		d.m.View()
	}
}

// BenchmarkLive takes a message of every value of 5,000 zones, as comes once
// when the dashboard opens, or of a tenth of them, as comes each second.
func BenchmarkLive(b *testing.B) {
	for name, part := range map[string]int{"whole": 1, "tenth": 10} {
		b.Run(name, func(b *testing.B) {
			d, l := settle(b, 5000)
			l.Full = part == 1
			l.Points, l.Actuators, l.Zones = l.Points[:len(l.Points)/part], l.Actuators[:len(l.Actuators)/part], l.Zones[:len(l.Zones)/part]
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for j := range l.Points {
					l.Points[j].TS = ms(time.Duration(i) * time.Second)
				}
				d.m.Update(tui.Live(l))
				d.m.View()
			}
		})
	}
}

func BenchmarkZonePane(b *testing.B) {
	d, _ := settle(b, 5000)
	d.press("enter")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d.m.Update(tea.KeyPressMsg{Code: []rune{tea.KeyDown, tea.KeyUp}[i%2]})
		d.m.View()
	}
}

// BenchmarkIdle is what a second costs in which nothing happens; 1 % of a core
// is 10 ms.
func BenchmarkIdle(b *testing.B) {
	d, _ := settle(b, 5000)
	b.ReportAllocs()
	for b.Loop() {
		d.m.Update(tui.Tick())
		d.m.View()
	}
}

// TestFrameOfManyZones holds a frame of 5,000 zones against one of 50 in the
// same run: only the rows in sight may cost anything.
func TestFrameOfManyZones(t *testing.T) {
	allocs := func(n int) float64 {
		f, l := estate(n)
		d := sit(t, f, tui.Options{}).size(120, 40).send(tui.Live(l), tui.Live(l))
		return testing.AllocsPerRun(20, func() {
			d.m.Update(tea.KeyPressMsg{Code: tea.KeyDown})
			d.m.View()
		})
	}
	few, many := allocs(50), allocs(5000)
	if many > few*1.1+10 {
		t.Errorf("got %.0f allocations a frame with 5,000 zones, want about the %.0f of 50", many, few)
	}
}
