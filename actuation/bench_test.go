package actuation_test

import (
	"fmt"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/actuation"
)

// instant publishes to nodes that answer at once.
type instant struct {
	ctl *actuation.Controller
	n   int
}

func (p *instant) Publish(c greenhouse.Command) error {
	p.n++
	p.ctl.Report(c.Node, actuation.Report{ID: c.ID, Status: greenhouse.CommandDone, Value: &c.Value}, nil)
	return nil
}

type nowhere struct{}

func (nowhere) SaveCommands([]greenhouse.Command, []greenhouse.Event) error { return nil }

// BenchmarkCycle is one second of 5,000 zones of 5 actuators each: the claims of
// every zone, the arbitration, the envelope, and the renewals that fall due.
func BenchmarkCycle(b *testing.B) {
	const zones = 5000
	clock, pub, n := newClock(), &instant{}, 0
	ctl, err := actuation.New(actuation.Options{Store: nowhere{}, Publisher: pub, Epoch: 1, Now: clock.Now, Stagger: -1,
		NewID: func(time.Time) greenhouse.CommandID { n++; return greenhouse.CommandID(fmt.Sprintf("C%08d", n)) }})
	if err != nil {
		b.Fatal(err)
	}
	pub.ctl = ctl
	names := []greenhouse.ChannelName{"heater", "fan", "vent", "lamp", "circulation"}
	var plant actuation.Plant
	wants := make([][]actuation.Want, zones)
	ids := make([]greenhouse.ZoneID, zones)
	for z := range zones {
		ids[z] = greenhouse.ZoneID(fmt.Sprintf("z%d", z))
		for _, name := range names {
			spec, _ := greenhouse.StandardChannel(name)
			p := greenhouse.ZonePoint(ids[z], name, 1)
			plant.Actuators = append(plant.Actuators, actuation.Actuator{Point: p, Zone: ids[z], Node: greenhouse.UID("relay-" + string(ids[z])), Channel: name, Class: spec.Class, Safe: spec.Class.Spec().Safe})
			wants[z] = append(wants[z], actuation.Want{Point: p, Claims: []greenhouse.Claim{
				{Priority: greenhouse.PrioritySafety, Owner: "storm", Max: ptr(0.9)},
				{Priority: greenhouse.PriorityLoop, Owner: "climate", Value: 0.8, Reason: "it is cold"},
				{Priority: greenhouse.PrioritySchedule, Owner: "schedule", Value: 0}}})
		}
	}
	ctl.Sync(plant)
	for _, z := range ids {
		ctl.NodeOnline(greenhouse.UID("relay-"+string(z)), "b")
	}
	second := func() {
		at := clock.Now()
		for z := range ids {
			ctl.Apply(ids[z], at, wants[z])
		}
		if err := ctl.Cycle(); err != nil {
			b.Fatal(err)
		}
		clock.Add(time.Second)
	}
	for range 200 { // the shortest times off pass
		second()
	}
	b.ReportAllocs()
	before := pub.n
	b.ResetTimer()
	for range b.N {
		second()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/zones, "ns/zone")
	b.ReportMetric(float64(pub.n-before)/float64(b.N), "publications/op")
}
