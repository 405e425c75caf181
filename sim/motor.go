package sim

import (
	"math"
	"time"

	"greenhouse"
)

// Direction is what the two relays of a three-point drive do: never both at once.
type Direction int8

// The directions.
const (
	Closing Direction = -1
	Halt    Direction = 0
	Opening Direction = 1
)

// Position3pt positions a drive that knows open, close and stop by the time it
// runs, and corrects itself at its end switches. It is the block out.Position3pt of
// docs/control.md, and pure: [Position3pt.Step] goes from a state to the next.
//
// It promises, whatever is asked of it and whatever the switches say:
//
//   - one relay at a time, and Pause between the two;
//   - no run shorter than MinMove, unless an end comes first;
//   - never more than 1.25 times the travel in one direction: by then an end must
//     have come. Then it stops with a [MotorFault], and tries that direction again
//     after something ran the other way, or after Rest;
//   - a move to 0 or 1 goes on until the end switch, or a tenth of the travel longer
//     where there is none, so that every full move sets the position right;
//   - the estimate is off by at most Doubt, which a drive as described never lets
//     exceed a tenth or so: before, it takes its way by the nearest end.
//
// The zero value of a parameter takes the default.
type Position3pt struct {
	Opening time.Duration // from shut to open; needed
	Closing time.Duration // from open to shut; 0: as Opening
	Dead    time.Duration // from the relay until something moves: slack and gear; well below a tenth of the travel
	MinMove time.Duration // 2 s
	Pause   time.Duration // before running the other way; 1.5 s
	Rest    time.Duration // after a fault, before the same direction is tried again; 10 min
	Drift   float64       // share by which the real speed may differ from these; 0.01

	NoClosedEnd, NoOpenEnd bool // there is no such switch
}

// Limits of the estimate and of a run.
const (
	mostRun   = 1.25                   // travels in one direction
	endMargin = 0.10                   // of the travel: overrun without a switch, and what a switch may be off
	mostDoubt = 0.07                   // from which a move takes its way by an end
	endDoubt  = 0.01                   // at an end switch
	startTime = 200 * time.Millisecond // by which a start may come late or early
)

// MotorFault is why a drive stopped before it was where it should be.
type MotorFault string

// The faults.
const (
	FaultNoEnd    MotorFault = "no_end"    // 1.25 travels and no end: jammed, slow, or the switch is dead
	FaultStays    MotorFault = "stays"     // it runs and its end switch stays made: jammed at the end, or the switch is welded
	FaultWrongWay MotorFault = "wrong_way" // it came to the other end: its wires are crossed
	FaultBothEnds MotorFault = "both_ends" // both switches are made: one is broken
)

// PositionIn is what a step looks at.
type PositionIn struct {
	Target           float64 // 0 shut to 1 open; NaN: stay
	AtClosed, AtOpen bool    // the end switches
}

// Position is the state of a [Position3pt]. The zero value is a drive that has
// just got power: it knows nothing.
type Position struct {
	Drive   Direction // what the relays are to do until the next step
	Known   bool      // Level means something
	Level   float64   // where it should stand, 0 to 1
	Doubt   float64   // how far that may be off
	Suspect bool      // an end switch was off by over a tenth; until a clean full travel
	Why     MotorFault
	Off     float64 // by how much, when it became suspect

	raw     float64       // Level, not cut at the ends
	fault   Direction     // the one in which Why stopped it
	last    Direction     // of the last run
	run     time.Duration // since the relay was closed, this time
	ran     time.Duration // in the last direction in all, dead times left out
	idle    time.Duration // since the relays opened
	at      Direction     // the end at which it stands for certain
	sweep   Direction     // on its way from one end to the other without having turned
	finding Direction     // an end is being looked for, as the estimate is worn
	deaf    Direction     // the end whose switch stays made: it is not listened to until it lets go
	made    [2]bool       // the end switches when the run began: closed, open
}

// State returns what is known of the position in one word.
func (s *Position) State() greenhouse.MotorState {
	switch {
	case s.Suspect:
		return greenhouse.MotorSuspect
	case !s.Known:
		return greenhouse.MotorUnknown
	}
	return greenhouse.MotorKnown
}

// Faster returns the block for a drive whose time passes k times as fast.
func (p Position3pt) Faster(k float64) Position3pt {
	for _, d := range [...]*time.Duration{&p.Opening, &p.Closing, &p.Dead} {
		*d = time.Duration(float64(*d) / k)
	}
	p.MinMove, p.Pause, p.Rest = time.Duration(float64(p.minMove())/k), time.Duration(float64(p.pause())/k), time.Duration(float64(p.rest())/k)
	return p
}

// travel returns the time of a full travel in a direction.
func (p *Position3pt) travel(d Direction) time.Duration {
	if d == Closing && p.Closing > 0 {
		return p.Closing
	}
	return p.Opening
}

// or returns d, or the default where it is 0.
func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func (p *Position3pt) minMove() time.Duration { return or(p.MinMove, 2*time.Second) }
func (p *Position3pt) pause() time.Duration   { return or(p.Pause, 1500*time.Millisecond) }
func (p *Position3pt) rest() time.Duration    { return or(p.Rest, 10*time.Minute) }

func (p *Position3pt) drift() float64 {
	if p.Drift == 0 {
		return 0.01
	}
	return p.Drift
}

// limit returns how long the drive may move in one direction: with its dead time
// that is 1.25 travels.
func (p *Position3pt) limit(d Direction) time.Duration {
	return time.Duration(mostRun*float64(p.travel(d))) - p.Dead
}

// switched reports whether there is an end switch in that direction to listen to.
func (p *Position3pt) switched(s *Position, d Direction) bool {
	return d != s.deaf && (d == Closing && !p.NoClosedEnd || d == Opening && !p.NoOpenEnd)
}

// Step takes in what the drive did in the dt since the last step, with the relays
// as that step left them, and says what they are to do now. It should be called
// when [Position3pt.Next] asks for it, and when in changes.
func (p *Position3pt) Step(s Position, in PositionIn, dt time.Duration) Position {
	p.pass(&s, dt)
	p.look(&s, in)
	want := p.want(&s, in)
	if s.Drive != Halt && p.ranOut(&s) {
		p.fail(&s, FaultNoEnd)
		want = p.want(&s, in)
	}
	switch {
	case want == s.Drive:
	case s.Drive != Halt:
		if s.run < p.minMove() && s.at == Halt && s.fault != s.Drive {
			return s // no pulse shorter than that
		}
		s.Drive, s.run, s.idle = Halt, 0, 0
	case want != s.last && s.idle < p.pause():
	default:
		p.start(&s, want, in)
	}
	return s
}

// start closes a relay.
func (p *Position3pt) start(s *Position, d Direction, in PositionIn) {
	if d != s.last {
		s.ran, s.raw = 0, s.Level // what it ran beyond an end it did not move
	}
	switch {
	case s.at == -d:
		s.sweep = d
	case d != s.sweep:
		s.sweep = Halt
	}
	s.Drive, s.last, s.run, s.at = d, d, 0, Halt
	s.fault, s.made = Halt, [2]bool{in.AtClosed, in.AtOpen}
	if !s.Suspect {
		s.Why = ""
	}
	s.Doubt += startTime.Seconds() / p.travel(d).Seconds()
}

// pass adds what the drive did in dt.
func (p *Position3pt) pass(s *Position, dt time.Duration) {
	if s.Drive == Halt {
		s.idle += dt
		if s.idle >= p.rest() && s.fault != Halt {
			s.ran, s.fault = 0, Halt
		}
		return
	}
	before := max(0, s.run-p.Dead)
	s.run += dt
	moved := max(0, s.run-p.Dead) - before
	s.ran += moved
	step := moved.Seconds() / p.travel(s.Drive).Seconds()
	s.raw += float64(s.Drive) * step
	s.Level = math.Min(math.Max(s.raw, 0), 1)
	s.Doubt += p.drift() * step
}

// look corrects the position at the end switches.
func (p *Position3pt) look(s *Position, in PositionIn) {
	if s.deaf == Closing && !in.AtClosed || s.deaf == Opening && !in.AtOpen {
		s.deaf = Halt
	}
	closed, open := in.AtClosed && p.switched(s, Closing), in.AtOpen && p.switched(s, Opening)
	if closed && open {
		p.fail(s, FaultBothEnds)
		return
	}
	for _, end := range [...]struct {
		made, before bool
		d            Direction
	}{{closed, s.made[0], Closing}, {open, s.made[1], Opening}} {
		switch {
		case !end.made:
			if s.at == end.d && s.Drive == Halt && p.switched(s, end.d) {
				s.at = Halt // it was moved by something else, or the switch lets go
			}
		case s.Drive == -end.d && !end.before:
			p.fail(s, FaultWrongWay)
			p.arrive(s, end.d)
		case s.Drive == -end.d:
			if s.run-p.Dead > time.Duration(endMargin*float64(p.travel(s.Drive))) {
				p.fail(s, FaultStays)
				s.deaf = end.d
			}
		default:
			p.arrive(s, end.d)
		}
	}
	if d := s.Drive; d != Halt && !p.switched(s, d) && p.beyond(s, d) {
		p.arrive(s, d) // nothing tells, but it has run longer than to the end
	}
}

// beyond reports whether a drive without a switch at that end must be there.
func (p *Position3pt) beyond(s *Position, d Direction) bool {
	if !s.Known || s.finding == d {
		return s.ran >= time.Duration((1+endMargin)*float64(p.travel(d)))
	}
	return d == Closing && s.raw <= -endMargin || d == Opening && s.raw >= 1+endMargin
}

// arrive sets the position at an end.
func (p *Position3pt) arrive(s *Position, d Direction) {
	level := 0.0
	if d == Opening {
		level = 1
	}
	if off := math.Abs(s.raw - level); p.switched(s, d) && s.Known && s.at != d {
		switch {
		case off > endMargin:
			s.Suspect, s.Off, s.sweep = true, off, Halt
		case s.sweep == d:
			s.Suspect, s.Off, s.Why = false, 0, ""
		}
	}
	s.Known, s.Level, s.raw, s.Doubt, s.at, s.finding = true, level, level, endDoubt, d, Halt
	if s.last == d {
		s.ran = 0
	}
}

// fail stops a run. Where it stands is not known from then on.
func (p *Position3pt) fail(s *Position, why MotorFault) {
	if s.Drive != Halt {
		s.fault = s.Drive
	}
	if why != FaultNoEnd || p.switched(s, s.fault) {
		s.Suspect, s.Why = true, why
	}
	s.Known, s.at, s.sweep, s.finding = false, Halt, Halt, Halt
	if s.Drive != Halt {
		s.Drive, s.run, s.idle = Halt, 0, 0
	}
}

// ranOut reports whether the drive ran as long as it may in its direction.
func (p *Position3pt) ranOut(s *Position) bool { return s.ran >= p.limit(s.Drive) }

// want returns the direction that leads to the target, Halt where it is reached
// or barred.
func (p *Position3pt) want(s *Position, in PositionIn) Direction {
	target := in.Target
	if math.IsNaN(target) {
		return Halt
	}
	target = math.Min(math.Max(target, 0), 1)
	near := Closing
	if target >= 0.5 {
		near = Opening
	}
	if s.Known && s.finding == Halt && s.Doubt > mostDoubt && s.Drive == Halt && p.away(s, target) {
		s.finding = near // the estimate is worn: by the end that is nearest to where it is going
	}
	d := near
	switch {
	case !s.Known:
	case s.finding != Halt:
		d = s.finding
	default:
		d = p.toward(s, target)
	}
	if d != Halt && d == s.fault {
		return Halt
	}
	return d
}

// away reports whether the target is worth a move.
func (p *Position3pt) away(s *Position, target float64) bool { return p.toward(s, target) != Halt }

// toward returns the direction to a target from a known position.
func (p *Position3pt) toward(s *Position, target float64) Direction {
	switch {
	case target == 0 && s.at != Closing:
		return Closing
	case target == 1 && s.at != Opening:
		return Opening
	case target == 0, target == 1:
		return Halt
	}
	d, diff := Opening, target-s.Level
	if diff < 0 {
		d, diff = Closing, -diff
	}
	left := time.Duration(diff * float64(p.travel(d)))
	least := p.minMove()
	if s.Drive == d {
		least = time.Millisecond
	}
	if left < least {
		return Halt
	}
	return d
}

// Done reports whether the drive stands where it was told to, as far as it can.
func (p *Position3pt) Done(s Position, in PositionIn) bool {
	return s.Drive == Halt && s.Known && s.fault == Halt && p.want(&s, in) == Halt
}

// Failed reports whether the drive gave up its way to the target.
func (p *Position3pt) Failed(s Position, in PositionIn) bool {
	free := s
	free.fault = Halt
	return s.Drive == Halt && s.fault != Halt && p.want(&free, in) == s.fault
}

// Next returns after what time the next step is due at the latest, 0 for none: a
// drive that stands where it should waits for another target.
func (p *Position3pt) Next(s Position, in PositionIn) time.Duration {
	if s.Drive == Halt {
		switch {
		case p.want(&s, in) != Halt:
			return max(time.Millisecond, p.pause()-s.idle)
		case s.fault != Halt:
			return max(time.Millisecond, p.rest()-s.idle)
		}
		return 0
	}
	poll := min(time.Second, p.travel(s.Drive)/100) // end switches are looked at so often
	next := min(poll, p.limit(s.Drive)-s.ran+max(0, p.Dead-s.run))
	if s.run < p.minMove() {
		next = min(next, p.minMove()-s.run)
	}
	if t := in.Target; s.Known && s.finding == Halt && t > 0 && t < 1 {
		left := time.Duration((t - s.Level) * float64(s.Drive) * float64(p.travel(s.Drive)))
		if left > 0 {
			next = min(next, left+max(0, p.Dead-s.run))
		}
	}
	return max(time.Millisecond, next)
}
