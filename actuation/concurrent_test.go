package actuation_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/actuation"
)

// wire is a publisher whose nodes answer from goroutines of their own, and which
// notes whether an ON left while everything was stopped.
type wire struct {
	ctl     *actuation.Controller
	stopped atomic.Bool
	wrong   atomic.Int64
	mute    atomic.Bool
	wg      sync.WaitGroup
	level   sync.Map // uid → level last told
	pulses  atomic.Int64
}

func (p *wire) Publish(c greenhouse.Command) error {
	if c.Op == greenhouse.OpPulse {
		p.pulses.Add(1)
	}
	if c.Op == greenhouse.OpStop {
		p.level.Store(c.Node, 0.0)
	} else if c.Op == greenhouse.OpSet {
		p.level.Store(c.Node, c.Value)
		if c.Value > 0 && p.stopped.Load() {
			p.wrong.Add(1)
		}
	}
	if p.mute.Load() {
		return nil
	}
	p.wg.Go(func() {
		time.Sleep(20 * time.Millisecond) // virtual: the latency of the network
		p.ctl.Sent(c.ID)
		p.ctl.Report(c.Node, actuation.Report{ID: c.ID, Status: greenhouse.CommandDone}, func(error) {})
	})
	return nil
}

// slow is a store that takes its time.
type slow struct{ saving, most atomic.Int64 }

func (s *slow) SaveCommands([]greenhouse.Command, []greenhouse.Event) error {
	s.most.Store(max(s.most.Load(), s.saving.Add(1)))
	time.Sleep(50 * time.Millisecond)
	s.saving.Add(-1)
	return nil
}

func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub, store := &wire{}, &slow{}
		ctl, err := actuation.New(actuation.Options{Store: store, Publisher: pub, Epoch: 1, Stagger: -1})
		if err != nil {
			t.Fatal(err)
		}
		pub.ctl = ctl
		ctx, cancel := context.WithCancel(t.Context())
		var plant actuation.Plant
		zones := []greenhouse.ZoneID{"a", "b", "c", "d"}
		for _, z := range zones {
			plant.Actuators = append(plant.Actuators, actuation.Actuator{Point: greenhouse.ZonePoint(z, "heater", 1), Zone: z, Node: greenhouse.UID("relay-" + z), Channel: "heater", Class: greenhouse.ClassHeaterSSR})
		}
		ctl.Sync(plant)
		var wg sync.WaitGroup
		wg.Go(func() { ctl.Run(ctx) })
		for _, z := range zones {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					ctl.Apply(z, time.Now(), []actuation.Want{{Point: greenhouse.ZonePoint(z, "heater", 1),
						Claims: []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Owner: "x", Value: float64(i / 3 % 2), Urgent: i%7 == 0}}}})
					time.Sleep(700 * time.Millisecond)
				}
			})
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					ctl.NodeOnline(greenhouse.UID("relay-"+z), "boot")
					if i%10 == 9 {
						ctl.NodeOffline(greenhouse.UID("relay-" + z))
					}
					ctl.Observe(greenhouse.ZonePoint(z, "heater", 1), 1)
					time.Sleep(900 * time.Millisecond)
				}
			})
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				ctl.Sync(plant)
				ctl.Conditions(nil)
				ctl.Levels("", nil)
				ctl.State()
				ctl.Verdict("a/heater")
				time.Sleep(300 * time.Millisecond)
			}
		})
		for range 20 {
			time.Sleep(3 * time.Second)
			ctl.Stop("")
			pub.stopped.Store(true) // from here on nothing may go on
			time.Sleep(2 * time.Second)
			pub.level.Range(func(uid, level any) bool {
				if level.(float64) > 0 && pub.stopped.Load() {
					t.Errorf("%s was last told %v while everything is stopped", uid, level)
				}
				return true
			})
			pub.stopped.Store(false)
			ctl.Resume("")
		}
		if err := ctl.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		wg.Wait()
		pub.wg.Wait()
		if n := pub.wrong.Load(); n > 0 {
			t.Errorf("%d times an ON left while everything was stopped", n)
		}
		if n := store.most.Load(); n != 1 {
			t.Errorf("got %d transactions at once, want 1", n)
		}
		if s := ctl.Stats(); s.Issued == 0 || s.Done == 0 {
			t.Errorf("got %+v, want some work done", s)
		}
	})
}

func TestStopDoesNotWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := &wire{}
		hang := &hung{release: make(chan struct{})}
		ctl, err := actuation.New(actuation.Options{Store: hang, Publisher: pub, Epoch: 1, Stagger: -1})
		if err != nil {
			t.Fatal(err)
		}
		pub.ctl = ctl
		ctl.Sync(actuation.Plant{Actuators: []actuation.Actuator{{Point: "a/heater", Zone: "a", Node: "relay-a", Channel: "heater", Class: greenhouse.ClassHeaterSSR}}})
		ctl.NodeOnline("relay-a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { ctl.Run(ctx) })
		ctl.Apply("a", time.Now(), []actuation.Want{{Point: "a/heater", Claims: []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Value: 1}}}})
		time.Sleep(5 * time.Second) // the first save hangs
		pub.level.Store(greenhouse.UID("relay-a"), 1.0)
		pub.mute.Store(true)
		ctl.Stop("")
		if got, _ := pub.level.Load(greenhouse.UID("relay-a")); got != 0.0 {
			t.Errorf("got level %v, want the stop published although the store hangs", got)
		}
		pub.level.Delete(greenhouse.UID("relay-a"))
		time.Sleep(10 * time.Second)
		if _, told := pub.level.Load(greenhouse.UID("relay-a")); !told {
			t.Error("got no repetition of a stop nobody confirmed while the store hangs")
		}
		bound, end := context.WithTimeout(ctx, 3*time.Second)
		defer end()
		if err := ctl.Shutdown(bound); err == nil {
			t.Error("got nil from Shutdown, want it to say that nobody confirmed")
		}
		close(hang.release)
		cancel()
		wg.Wait()
		pub.wg.Wait()
	})
}

// TestControlGoesOnWhileTheDiskHangs: for as long as a save does not come back,
// levels go on, off and are renewed; what a node reports is acknowledged when it
// is on disk and not before; no pulse leaves, then or later.
func TestControlGoesOnWhileTheDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub, hang := &wire{}, &hung{release: make(chan struct{})}
		pub.mute.Store(true)
		ctl, err := actuation.New(actuation.Options{Store: hang, Publisher: pub, Epoch: 1, Stagger: -1})
		if err != nil {
			t.Fatal(err)
		}
		ctl.Sync(actuation.Plant{Actuators: []actuation.Actuator{
			{Point: "a/heater", Zone: "a", Node: "relay-a", Channel: "heater", Class: greenhouse.ClassHeaterSSR},
			{Point: "a/pump_acid", Zone: "a", Node: "pump-a", Channel: "pump_acid", Class: greenhouse.ClassDosingPump},
		}})
		ctl.NodeOnline("relay-a", "b")
		ctl.NodeOnline("pump-a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { ctl.Run(ctx) })
		decide := func(level float64, d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Second) {
				ctl.Apply("a", time.Now(), []actuation.Want{{Point: "a/heater", Claims: []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Value: level}}}, {Point: "a/pump_acid"}})
			}
		}
		var acked atomic.Bool
		decide(1, 10*time.Second)
		on, _ := ctl.Level("a/heater")
		ctl.Report("relay-a", actuation.Report{ID: on.Command, Status: greenhouse.CommandDone}, func(error) { acked.Store(true) })
		decide(1, 3*time.Minute)
		if l, _ := ctl.Level("a/heater"); l.Command != on.Command || l.LeaseUntil.Sub(greenhouse.MillisOf(time.Now())) <= 0 {
			t.Errorf("got %+v, want the heater's lease renewed under command %s", l, on.Command)
		}
		if _, err := ctl.Command(ctx, greenhouse.Command{Op: greenhouse.OpPulse, Node: "pump-a", Channel: "pump_acid", DurMs: 1000, Cause: "anna"}); !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Errorf("a pulse: got %v, want it refused, for its intent is not on disk", err)
		}
		decide(0, 10*time.Second)
		if got, _ := pub.level.Load(greenhouse.UID("relay-a")); got != 0.0 {
			t.Errorf("got level %v, want the heater off", got)
		}
		if acked.Load() {
			t.Error("a report was acknowledged before it was on disk")
		}
		close(hang.release)
		decide(0, time.Minute)
		if !acked.Load() {
			t.Error("a report was never acknowledged")
		}
		if n := pub.pulses.Load(); n != 0 {
			t.Errorf("%d pulses left, want none", n)
		}
		cancel()
		wg.Wait()
	})
}

// hung is a store on a disk that does not answer.
type hung struct{ release chan struct{} }

func (h *hung) SaveCommands([]greenhouse.Command, []greenhouse.Event) error {
	<-h.release
	return nil
}
