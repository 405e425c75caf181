package sim_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// TestNothingStaysOn throws commands, repeats, lost links, reboots, clock steps
// and garbage at a node, in any order, and checks the promises that a
// greenhouse is built on: the heater is on only within a lease, and the pump
// runs no longer than the distinct doses that it was given.
func TestNothingStaysOn(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBench(t, nil)
		b.connect()
		var (
			leaseEnd time.Time // the latest that any set allows
			sets     = map[greenhouse.CommandID]wire.Command{}
			doses    = map[greenhouse.CommandID]time.Duration{}
			allowed  time.Duration // of all doses
			ran      time.Duration
			serial   int
		)
		fresh := func() greenhouse.CommandID { serial++; return greenhouse.CommandID(fmt.Sprint("id", serial)) }
		deliver := func(c wire.Command) {
			payload, err := c.Marshal()
			if err != nil {
				rt.Fatal(err)
			}
			b.fw.Receive(b.now, "gh/n/multi-00ff/cmd", payload)
		}
		wait := func(d time.Duration) {
			for end := b.now.Add(d); b.now.Before(end); {
				b.fw.Tick(b.now)
				step := max(time.Millisecond, min(b.fw.Next(b.now).Sub(b.now), end.Sub(b.now)))
				if b.values["pump_acid"] > 0 {
					ran += step
				}
				b.now = b.now.Add(step)
			}
			b.fw.Tick(b.now)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"set": func(rt *rapid.T) {
				c := set(string(fresh()), rapid.Uint64Range(1, 3).Draw(rt, "epoch"), "heater", 1)
				c.LeaseS = rapid.IntRange(1, 60).Draw(rt, "lease")
				c.Expires = greenhouse.MillisOf(b.now.Add(time.Duration(rapid.IntRange(-5, 30).Draw(rt, "expires")) * time.Second))
				sets[c.ID] = c
				deliver(c)
				if end := b.now.Add(time.Duration(c.LeaseS) * time.Second); end.After(leaseEnd) {
					leaseEnd = end
				}
			},
			"repeat or renew a set": func(rt *rapid.T) {
				if len(sets) == 0 {
					rt.Skip("none")
				}
				id := greenhouse.CommandID(fmt.Sprint("id", rapid.IntRange(1, serial).Draw(rt, "id")))
				c, ok := sets[id]
				if !ok {
					rt.Skip("a dose")
				}
				wasOn := b.values["heater"] > 0
				if rapid.Bool().Draw(rt, "later") {
					c.Expires = greenhouse.MillisOf(b.now.Add(30 * time.Second))
					if end := b.now.Add(time.Duration(c.LeaseS) * time.Second); end.After(leaseEnd) {
						leaseEnd = end
					}
				}
				deliver(c)
				if !wasOn && b.values["heater"] > 0 {
					rt.Fatalf("command %s acted twice", id)
				}
			},
			"dose": func(rt *rapid.T) {
				c := pulse(string(fresh()), int64(rapid.IntRange(1, 20_000).Draw(rt, "ms")))
				c.Epoch, c.Expires = 3, greenhouse.MillisOf(b.now.Add(time.Minute))
				doses[c.ID] = time.Duration(c.DurMs) * time.Millisecond
				allowed += doses[c.ID]
				deliver(c)
			},
			"repeat a dose": func(rt *rapid.T) {
				id := greenhouse.CommandID(fmt.Sprint("id", rapid.IntRange(0, serial).Draw(rt, "id")))
				if d, ok := doses[id]; ok {
					c := pulse(string(id), d.Milliseconds())
					c.Epoch, c.Expires = 3, greenhouse.MillisOf(b.now.Add(2*time.Minute))
					deliver(c)
				}
			},
			"stop": func(rt *rapid.T) {
				deliver(wire.Command{ID: fresh(), Channel: "heater", Op: greenhouse.OpStop})
				if b.values["heater"] != 0 {
					rt.Fatal("a stop did not stop")
				}
			},
			"wait":    func(rt *rapid.T) { wait(time.Duration(rapid.IntRange(1, 90_000).Draw(rt, "ms")) * time.Millisecond) },
			"lose":    func(*rapid.T) { b.fw.Disconnected(b.now) },
			"connect": func(*rapid.T) { b.fw.Connected(b.now) },
			"reboot":  func(*rapid.T) { b.fw.Reboot(b.now, "test") },
			"garbage": func(rt *rapid.T) {
				b.fw.Receive(b.now, "gh/n/multi-00ff/cmd", rapid.SliceOf(rapid.Byte()).Draw(rt, "payload"))
			},
			"set time": func(rt *rapid.T) {
				b.fw.Repair(sim.ClockSkew)
				b.fw.Inject(sim.NodeFault{Verb: sim.ClockSkew, Value: float64(rapid.IntRange(-3600, 3600).Draw(rt, "s"))})
			},
			"": func(rt *rapid.T) {
				if b.values["heater"] > 0 && b.now.After(leaseEnd) {
					rt.Fatalf("the heater is on %v after every lease", b.now.Sub(leaseEnd))
				}
				if slack := time.Duration(len(doses)) * time.Millisecond; ran > allowed+slack {
					rt.Fatalf("the pump ran %v, and was told %v", ran, allowed)
				}
			},
		})
		b.fw.Disconnected(b.now)
		wait(3 * time.Minute)
		for ch, want := range map[greenhouse.ChannelName]float64{"heater": 0, "pump_acid": 0, "circulation": 1} {
			if b.values[ch] != want {
				rt.Fatalf("after three minutes alone %s is at %v, want %v", ch, b.values[ch], want)
			}
		}
	})
}
