package automation_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// full is a zone with ten points and every climate block at work.
func full(t testing.TB) *house {
	h := newHouse(t, noon(), "air_temp", "air_rh", "co2", "solar", "outside_temp", "heater", "vent", "fan", "lamp", "co2_valve")
	h.target(greenhouse.Heating, 18, 16)
	h.target(greenhouse.Venting, 22, 20)
	h.target(greenhouse.HumidityMax, 80, 85)
	h.target(greenhouse.TargetCO2, 900, 900)
	h.target(greenhouse.DLI, 16, 16)
	h.zone.Control.LampPPFD, h.zone.Control.HeaterWM2 = 150, 200
	for name, v := range map[string]float64{"air_temp": 20.4, "air_rh": 82, "co2": 700, "solar": 180, "outside_temp": 9} {
		h.set(name, v)
	}
	return h
}

func TestSteadyDecisionAllocatesNothing(t *testing.T) {
	h := full(t)
	h.run(10*time.Minute, nil)
	h.fill()
	n := testing.AllocsPerRun(500, func() { automation.Decide(&h.in, &h.st) })
	if n > 0 {
		t.Errorf("%v allocations a decision, want none", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	h := full(b)
	h.run(10*time.Minute, nil)
	h.fill()
	b.ReportAllocs()
	for b.Loop() {
		h.in.Now = h.in.Now.Add(5 * time.Second)
		for i := range h.in.Sensors {
			h.in.Sensors[i].Latest.Seen, h.in.Sensors[i].Latest.At = h.in.Now, greenhouse.MillisOf(h.in.Now)
		}
		automation.Decide(&h.in, &h.st)
	}
}

// BenchmarkDecideNoisy has every value differ from one decision to the next.
func BenchmarkDecideNoisy(b *testing.B) {
	h := full(b)
	h.fill()
	b.ReportAllocs()
	k := 0.0
	for b.Loop() {
		k++
		h.in.Now = h.in.Now.Add(5 * time.Second)
		for i := range h.in.Sensors {
			s := &h.in.Sensors[i]
			s.Latest.Seen, s.Latest.At = h.in.Now, greenhouse.MillisOf(h.in.Now)
			s.Latest.Value += 0.3 * math.Sin(k)
		}
		automation.Decide(&h.in, &h.st)
	}
}

// crowd is a site of equal zones for benchmarks; its source costs little beside
// the decisions.
type crowd struct {
	ids   []greenhouse.ZoneID
	zones map[greenhouse.ZoneID]*automation.Input
}

func newCrowd(b *testing.B, n int) *crowd {
	c := &crowd{zones: make(map[greenhouse.ZoneID]*automation.Input, n)}
	h := full(b)
	h.fill()
	for i := range n {
		id := greenhouse.ZoneID(fmt.Sprintf("z%d", i))
		in, zone := h.in, *h.zone
		zone.ID, in.Zone = id, &zone
		c.ids, c.zones[id] = append(c.ids, id), &in
	}
	return c
}

func (c *crowd) Zones(dst []greenhouse.ZoneID) []greenhouse.ZoneID { return append(dst, c.ids...) }

func (c *crowd) Fill(z greenhouse.ZoneID, now time.Time, in *automation.Input) bool {
	src := c.zones[z]
	in.Zone, in.Site, in.Location, in.Now, in.Trusted = src.Zone, src.Site, src.Location, now, true
	in.Sensors = append(in.Sensors[:0], src.Sensors...)
	in.Devices = append(in.Devices[:0], src.Devices...)
	in.Outside = in.Sensors
	for i := range in.Sensors {
		in.Sensors[i].Latest.Seen, in.Sensors[i].Latest.At = now, greenhouse.MillisOf(now)
	}
	return true
}

func (c *crowd) Apply(*automation.Decision) {}

func BenchmarkCycle(b *testing.B) {
	for _, n := range []int{1, 5000, 100000} {
		b.Run(fmt.Sprintf("zones=%d", n), func(b *testing.B) {
			if n > 5000 && testing.Short() {
				b.Skip("100,000 zones take a while to set up")
			}
			c := newCrowd(b, n)
			now := noon()
			l := automation.New(automation.Options{Source: c, Sink: c, Workers: 1, Now: func() time.Time { return now }, Period: time.Hour})
			l.Cycle(context.Background())
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(5 * time.Second)
				l.Cycle(context.Background())
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/zone")
		})
	}
}
