package sim

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// Motors is a [Body] with drives that know open, close and stop. The firmware then
// positions them by time; Drive is not called for them.
type Motors interface {
	// Motor returns how the drive of an output is positioned, and whether it is one.
	Motor(ch greenhouse.ChannelName) (Position3pt, bool)
	// Run closes the relay of a direction, or opens both. An error says that the
	// output cannot be reached.
	Run(ch greenhouse.ChannelName, d Direction, now time.Time) error
	// Ends returns the end switches.
	Ends(ch greenhouse.ChannelName, now time.Time) (closed, open bool)
}

// bootSpread is over what time the drives of a site spread the search for their
// ends after power comes back. A command does not wait.
const bootSpread = 20 * time.Second

// drive is a three-point drive of an output.
type drive struct {
	p      Position3pt
	s      Position
	at     time.Time // of the last step
	target float64   // NaN: stay
	starts time.Time // its turn after a boot: it does not move before, unless it is told to
	told   greenhouse.MotorState
}

// motorOf gives an output its drive, if it has one: at rest, and knowing nothing.
func (f *Firmware) motorOf(o *output, now time.Time) {
	b, ok := f.o.Body.(Motors)
	if !ok {
		return
	}
	p, ok := b.Motor(o.name)
	if !ok {
		return
	}
	h := fnv.New32a()
	fmt.Fprint(h, f.o.UID, o.name) // never fails
	turn := time.Duration(h.Sum32()%20) * bootSpread / 20
	o.motor = &drive{p: p, at: now, target: math.NaN(), starts: now.Add(turn)}
	o.motor.s.Suspect = slices.Contains(f.mem.Suspect, o.name)
	_ = b.Run(o.name, Halt, now) // where it fails it is said when the drive is to move
	_ = f.turn(o, now)           // it stays: this looks at the end switches
	o.motor.told = o.motor.s.State()
}

// in returns what the drive looks at. Until its turn after a boot it stays.
func (f *Firmware) in(o *output, now time.Time) PositionIn {
	m := o.motor
	in := PositionIn{Target: m.target}
	in.AtClosed, in.AtOpen = f.o.Body.(Motors).Ends(o.name, now)
	if now.Before(m.starts) {
		in.Target = math.NaN()
	}
	return in
}

// turn takes in what a drive did until now, and drives its relays on.
func (f *Firmware) turn(o *output, now time.Time) error {
	m := o.motor
	was := m.s.Drive
	m.s = m.p.Step(m.s, f.in(o, now), now.Sub(m.at))
	m.at = now
	var err error
	if m.s.Drive != was {
		err = f.o.Body.(Motors).Run(o.name, m.s.Drive, now)
	}
	if state := m.s.State(); state != m.told {
		m.told = state
		f.motorNews(o, now)
	}
	return err
}

// tickMotor moves a drive on and returns why it gave up, "" where it did not or
// where there is none.
func (f *Firmware) tickMotor(o *output, now time.Time) string {
	if o.motor == nil {
		return ""
	}
	if err := f.turn(o, now); err != nil {
		return cut(err.Error())
	}
	return f.failure(o, now)
}

// known returns a level for a report, nil where it is not known.
func known(level float64) *float64 {
	if math.IsNaN(level) {
		return nil
	}
	return &level
}

// motorNews says at once that a position was lost, found, or is in doubt.
func (f *Firmware) motorNews(o *output, now time.Time) {
	m := o.motor
	suspect := slices.Contains(f.mem.Suspect, o.name)
	switch {
	case m.s.Suspect && !suspect:
		f.mem.Suspect = append(slices.Clone(f.mem.Suspect), o.name)
		_ = f.save()
		f.event(now, "position_suspect", greenhouse.Info, o.name, string(m.detail()))
	case !m.s.Suspect && suspect:
		f.mem.Suspect = slices.DeleteFunc(slices.Clone(f.mem.Suspect), func(n greenhouse.ChannelName) bool { return n == o.name })
		_ = f.save()
		f.event(now, "position_cleared", greenhouse.Info, o.name, "")
	}
	f.nextStatus = now
}

// aimMotor sends a drive to a level. After a boot it waits for its turn, unless a
// command wants it.
func (f *Firmware) aimMotor(o *output, level float64, commanded bool, now time.Time) error {
	m := o.motor
	m.target = level
	if commanded {
		m.starts = now
	}
	return f.turn(o, now)
}

// motorLook returns where a drive believes to be; NaN where it does not know.
func (f *Firmware) motorLook(o *output, now time.Time) float64 {
	m := o.motor
	switch {
	case !m.s.Known:
		return math.NaN()
	case m.p.Done(m.s, f.in(o, now)):
		return m.target // nearer than the shortest move
	}
	return math.Round(m.s.Level*1000) / 1000
}

// nextMotor returns when a drive is due, zero for not.
func (f *Firmware) nextMotor(o *output, now time.Time) time.Time {
	m := o.motor
	if now.Before(m.starts) {
		return m.starts
	}
	d := m.p.Next(m.s, f.in(o, now))
	if d == 0 {
		return time.Time{}
	}
	return m.at.Add(d)
}

// detail says in a report or event what is wrong with a position; nil for nothing.
func (m *drive) detail() []byte {
	if m == nil {
		return nil
	}
	state := m.s.State()
	switch {
	case state == greenhouse.MotorKnown && m.s.Why == "":
		return nil
	case m.s.Why != "":
		return fmt.Appendf(nil, `{"position":%q,"why":%q}`, state, m.s.Why)
	case m.s.Off > 0:
		return fmt.Appendf(nil, `{"off":%.3f,"position":%q}`, m.s.Off, state)
	}
	return fmt.Appendf(nil, `{"position":%q}`, state)
}

// failure says why a drive gave up, "" for not.
func (f *Firmware) failure(o *output, now time.Time) string {
	m := o.motor
	if !m.p.Failed(m.s, f.in(o, now)) {
		return ""
	}
	switch m.s.Why {
	case FaultStays:
		return "it ran and stayed at its end: jammed, or the end switch is welded"
	case FaultWrongWay:
		return "it came to the other end: its wires are crossed"
	case FaultBothEnds:
		return "both end switches are made: one is broken"
	}
	return "it ran 1.25 times its travel and no end came: jammed, slow, or the end switch is dead"
}

// motors returns what the status says of the drives.
func (f *Firmware) motors(now time.Time) map[greenhouse.ChannelName]wire.Motor {
	var all map[greenhouse.ChannelName]wire.Motor
	for i := range f.outputs {
		o := &f.outputs[i]
		if o.motor == nil {
			continue
		}
		if all == nil {
			all = map[greenhouse.ChannelName]wire.Motor{}
		}
		m := wire.Motor{State: o.motor.s.State(), TravelS: int(max(o.motor.p.travel(Opening), o.motor.p.travel(Closing)).Seconds())}
		if level := f.look(o, now); !math.IsNaN(level) {
			m.Position = &level
		}
		all[o.name] = m
	}
	return all
}
