package sim

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// output is one actuator of a node.
type output struct {
	name   greenhouse.ChannelName
	safe   float64
	maxOn  time.Duration // 0: no limit
	minOff time.Duration
	level  float64 // as commanded
	effect float64 // as the device was really driven
	seen   float64 // as the device sees it

	foreseen float64 // where the device says it will end up
	motor    *drive  // nil: it takes levels

	set      greenhouse.CommandID // the set in force, "" for none
	leaseEnd time.Time
	pulse    greenhouse.CommandID // the pulse that runs, "" for none
	pulseEnd time.Time
	watched  greenhouse.CommandID // the command whose level is not reached yet, "" for none
	moved    time.Time            // when the level was last seen to change

	onSince  time.Time // when it went on, while on
	offSince time.Time // when it went off, while off
}

// held reports whether a command keeps the output where it is.
func (o *output) held() bool { return o.set != "" || o.pulse != "" }

// output returns the output of that name, nil for none.
func (f *Firmware) output(name greenhouse.ChannelName) *output {
	for i := range f.outputs {
		if f.outputs[i].name == name {
			return &f.outputs[i]
		}
	}
	return nil
}

// Level returns the level a channel is driven to, and whether there is such an
// output.
func (f *Firmware) Level(name greenhouse.ChannelName) (float64, bool) {
	if o := f.output(name); o != nil {
		return o.level, true
	}
	return 0, false
}

// drive puts an output to a level, through its faults, and keeps its timers.
func (f *Firmware) drive(o *output, level float64, now time.Time) error {
	switch was, on := o.level > 0, level > 0; {
	case on && !was:
		o.onSince = now
	case was && !on:
		o.offSince = now
	}
	o.level, o.watched, o.moved = level, "", now
	effective, lies := f.effect(o, level, now)
	var err error
	foreseen := level
	if o.motor != nil {
		err = f.aimMotor(o, effective, o.held(), now)
	} else {
		foreseen, err = f.o.Body.Drive(o.name, effective, now)
	}
	o.effect = effective
	if lies {
		foreseen = level
	}
	o.foreseen, o.seen = foreseen, f.look(o, now)
	return err
}

// look returns the level that the device believes an output has; NaN where it
// knows that it does not know.
func (f *Firmware) look(o *output, now time.Time) float64 {
	if _, lies := f.effect(o, o.level, now); lies {
		return o.level
	}
	if o.motor != nil {
		return f.motorLook(o, now)
	}
	if seen, ok := f.o.Body.Read(o.name, now); ok {
		return seen
	}
	return o.level
}

// reached reports whether an output is seen at the level it was told.
func (o *output) reached() bool { return math.Abs(o.seen-o.level) <= 0.02 }

// arrived is reached for good: a drive has stopped as well.
func (o *output) arrived() bool { return o.reached() && (o.motor == nil || o.motor.s.Drive == Halt) }

// toSafe puts an output to its safe level and forgets who held it.
func (f *Firmware) toSafe(o *output, now time.Time) {
	o.set, o.pulse = "", ""
	if err := f.drive(o, o.safe, now); err != nil {
		f.event(now, "output_failed", greenhouse.Critical, o.name, "")
	}
}

// command carries out one command, and answers it.
func (f *Firmware) command(now time.Time, payload []byte) {
	c, err := wire.DecodeCommand(payload)
	switch {
	case err != nil && c.ID == "":
		f.event(now, "command_invalid", greenhouse.Warning, "", "")
		return
	case err != nil:
		f.answer(wire.CommandReport{ID: c.ID, Status: greenhouse.CommandInvalid, Error: cut(err.Error())})
		return
	case c.Op == greenhouse.OpStop:
		f.stop(now, c)
		return
	}
	known := f.remembered(c.ID)
	switch {
	case known != nil && c.Expires <= known.Expires:
		f.answer(known.Report)
	case c.Epoch < f.mem.Epoch:
		r := f.refusal(c, greenhouse.CommandFenced, "epoch %d is lower than %d, which was seen", c.Epoch, f.mem.Epoch)
		r.Detail = fmt.Appendf(nil, `{"epoch":%d}`, f.mem.Epoch)
		f.settle(c, r, known == nil)
	case f.expired(c, now):
		f.settle(c, f.refusal(c, greenhouse.CommandExpired, "it expired, or the time is not known"), known == nil)
	case known != nil:
		f.renew(now, c, known)
	default:
		f.execute(now, c)
	}
}

// stop puts one output, or without a channel all of them, to the safe level. It
// passes whatever its epoch, age or id.
func (f *Firmware) stop(now time.Time, c wire.Command) {
	if c.Channel != "" && f.output(c.Channel) == nil {
		f.answer(f.refusal(c, greenhouse.CommandInvalid, "this device has no output %q", c.Channel))
		return
	}
	if c.Epoch > f.mem.Epoch {
		f.mem.Epoch = c.Epoch
		_ = f.save() // the stop is obeyed even where the memory fails
	}
	var failed error
	level := 0.0
	for i := range f.outputs {
		o := &f.outputs[i]
		if c.Channel != "" && o.name != c.Channel {
			continue
		}
		f.endPulse(o, now, greenhouse.CommandError, "stopped")
		o.set, o.pulse = "", ""
		if err := f.drive(o, o.safe, now); err != nil {
			failed = err
		}
		level = o.seen
	}
	r := wire.CommandReport{ID: c.ID, Status: greenhouse.CommandDone}
	if c.Channel != "" {
		r.Value = known(level)
	}
	if failed != nil {
		r.Status, r.Error = greenhouse.CommandError, cut(failed.Error())
	}
	f.answer(r)
}

// expired reports whether a command came too late, or whether that cannot be
// told: a node that does not know the time runs nothing but stops.
func (f *Firmware) expired(c wire.Command, now time.Time) bool {
	at, known := f.wall(now)
	return c.Expires != 0 && (!known || at > c.Expires)
}

// renew prolongs the lease of a set in force; one that is over never acts again.
func (f *Firmware) renew(now time.Time, c wire.Command, known *Remembered) {
	known.Expires = c.Expires
	o := f.output(c.Channel)
	switch status := known.Report.Status; {
	case c.Op != greenhouse.OpSet,
		status != greenhouse.CommandDone && status != greenhouse.CommandAccepted && status != greenhouse.CommandNoEffect:
		f.answer(known.Report)
		return
	}
	if o == nil || o.set != c.ID {
		f.answer(f.refusal(c, greenhouse.CommandExpired, "its lease is over, or another command took its place"))
		return
	}
	if c.LeaseS >= 1 && c.LeaseS <= 86400 {
		o.leaseEnd = now.Add(seconds(c.LeaseS))
	}
	f.answer(known.Report)
}

// execute carries out a command never heard before. The memory is written
// first: a reboot in between counts as run.
func (f *Firmware) execute(now time.Time, c wire.Command) {
	if r, ok := f.permit(now, c); !ok {
		f.settle(c, r, true)
		return
	}
	f.mem.Epoch = max(f.mem.Epoch, c.Epoch)
	f.remember(c, f.refusal(c, greenhouse.CommandError, "interrupted: the outcome is unknown"))
	if err := f.save(); err != nil {
		f.settle(c, f.refusal(c, greenhouse.CommandError, "the memory cannot be written"), true)
		return
	}
	f.settle(c, f.act(now, c), true)
	_ = f.save() // the outcome; without it a repeat is answered "interrupted"
}

// permit judges whether a command can run now.
func (f *Firmware) permit(now time.Time, c wire.Command) (wire.CommandReport, bool) {
	if err := c.Check(); err != nil {
		return f.refusal(c, greenhouse.CommandInvalid, "%s", err), false
	}
	o := f.output(c.Channel)
	switch c.Op {
	case greenhouse.OpCalibrate:
		if f.sensor(c.Channel) == nil || c.Value == nil {
			return f.refusal(c, greenhouse.CommandInvalid, "calibrate needs a sensor of this device and the true value"), false
		}
	case greenhouse.OpSet, greenhouse.OpPulse:
		if o == nil {
			return f.refusal(c, greenhouse.CommandInvalid, "this device has no output %q", c.Channel), false
		}
		return f.permitOutput(now, c, o)
	}
	return wire.CommandReport{}, true
}

// permitOutput is permit for what drives an output.
func (f *Firmware) permitOutput(now time.Time, c wire.Command, o *output) (wire.CommandReport, bool) {
	on := c.Op == greenhouse.OpPulse || *c.Value > 0
	switch {
	case o.pulse != "":
		return f.refusal(c, greenhouse.CommandBusy, "a pulse is running"), false
	case c.Op == greenhouse.OpPulse && o.set != "" && o.level > 0:
		return f.refusal(c, greenhouse.CommandBusy, "the output is on"), false
	case c.Op == greenhouse.OpPulse && o.maxOn > 0 && f.pulseTime(c) > o.maxOn:
		return f.refusal(c, greenhouse.CommandInvalid, "the pulse is longer than max_on_s of %v", o.maxOn), false
	case on && o.level == 0 && now.Sub(o.offSince) < o.minOff:
		left := o.minOff - now.Sub(o.offSince)
		return f.refusal(c, greenhouse.CommandBusy, "min_off_s has %v to go", left.Round(time.Second)), false
	}
	return wire.CommandReport{}, true
}

// act does what was permitted and returns the report.
func (f *Firmware) act(now time.Time, c wire.Command) wire.CommandReport {
	switch c.Op {
	case greenhouse.OpSet:
		return f.actSet(now, c, f.output(c.Channel))
	case greenhouse.OpPulse:
		return f.actPulse(now, c, f.output(c.Channel))
	case greenhouse.OpCalibrate:
		s := f.sensor(c.Channel)
		s.offset = *c.Value - s.gain*s.last
		detail := fmt.Sprintf(`{"gain":%g,"offset":%g}`, s.gain, s.offset)
		return wire.CommandReport{ID: c.ID, Status: greenhouse.CommandDone, Detail: []byte(detail)}
	case greenhouse.OpReboot:
		f.rebootAt = now.Add(time.Second) // time for the report to leave
	}
	return wire.CommandReport{ID: c.ID, Status: greenhouse.CommandDone}
}

// actSet takes a level under a lease.
func (f *Firmware) actSet(now time.Time, c wire.Command, o *output) wire.CommandReport {
	o.set, o.leaseEnd = c.ID, now.Add(seconds(c.LeaseS))
	return f.driven(c, o, f.drive(o, *c.Value, now), greenhouse.CommandDone)
}

// actPulse starts a bounded run at full level.
func (f *Firmware) actPulse(now time.Time, c wire.Command, o *output) wire.CommandReport {
	o.set, o.pulse, o.pulseEnd = "", c.ID, now.Add(f.pulseTime(c))
	return f.driven(c, o, f.drive(o, 1, now), greenhouse.CommandAccepted)
}

// driven reports what driving an output came to. A vent takes minutes: until it
// is where it should be the command is accepted, and settled by watch.
func (f *Firmware) driven(c wire.Command, o *output, err error, ok greenhouse.CommandState) wire.CommandReport {
	seen, foreseen := o.seen, o.foreseen
	r := wire.CommandReport{ID: c.ID, Status: ok, Value: known(seen), Detail: o.motor.detail()}
	switch {
	case err != nil:
		r.Status, r.Error = greenhouse.CommandError, cut(err.Error())
	case math.Abs(o.foreseen-o.level) > 0.02:
		r.Status, r.Error, r.Value = greenhouse.CommandNoEffect, "the output does not take the level", &foreseen
	case !o.arrived():
		r.Status, o.watched = greenhouse.CommandAccepted, c.ID
	}
	return r
}

// watch follows an output on its way to the level of a set and reports its
// arrival, or that it stands still elsewhere.
func (f *Firmware) watch(o *output, now time.Time) {
	failed := f.tickMotor(o, now)
	if o.watched == "" {
		return
	}
	seen := f.look(o, now)
	if math.Abs(seen-o.seen) > 0.002 {
		o.moved = now
	}
	o.seen = seen
	r := wire.CommandReport{ID: o.watched, Value: known(seen), Detail: o.motor.detail()}
	switch {
	case failed != "":
		r.Status, r.Error = greenhouse.CommandNoEffect, failed
	case o.arrived():
		r.Status = greenhouse.CommandDone
	case o.motor != nil: // it is on its way, or waits before it turns
		return
	case now.Sub(o.moved) >= settleTime:
		r.Status, r.Error = greenhouse.CommandNoEffect, "the output does not take the level"
	default:
		return
	}
	pulsing := o.pulse == o.watched
	o.watched = ""
	if pulsing && r.Status == greenhouse.CommandDone {
		return // its end is reported when its time is over
	}
	f.conclude(r)
}

// conclude answers a command that was accepted, and remembers how it ended.
func (f *Firmware) conclude(r wire.CommandReport) {
	if known := f.remembered(r.ID); known != nil && known.Report.Status == greenhouse.CommandAccepted {
		known.Report = r
		_ = f.save() // without it a repeat is answered "accepted", which does not act either
		f.answer(r)
	}
}

// pulseTime returns how long a pulse runs.
func (f *Firmware) pulseTime(c wire.Command) time.Duration {
	if c.DurMs > 0 {
		return time.Duration(c.DurMs) * time.Millisecond
	}
	rate := f.o.MLPerSecond
	if b, ok := f.o.Body.(interface {
		PumpRate(greenhouse.ChannelName) float64
	}); ok {
		if r := b.PumpRate(c.Channel); r > 0 {
			rate = r
		}
	}
	return time.Duration(c.VolumeML / rate * float64(time.Second))
}

// endPulse reports the end of a pulse that ran, if one did.
func (f *Firmware) endPulse(o *output, now time.Time, status greenhouse.CommandState, why string) {
	if o.pulse == "" {
		return
	}
	left := max(0, o.pulseEnd.Sub(now))
	r := wire.CommandReport{ID: o.pulse, Status: status, Error: why, Detail: fmt.Appendf(nil, `{"left_ms":%d}`, left.Milliseconds())}
	o.pulse = ""
	f.conclude(r)
}

// tickOutputs ends what has run out: pulses, leases, longest times on, and
// everything where the link has been gone too long.
func (f *Firmware) tickOutputs(now time.Time) {
	lost := !f.linked && !f.lossDone && now.Sub(f.lostAt) >= seconds(f.body.LinkLossS)
	for i := range f.outputs {
		o := &f.outputs[i]
		f.watch(o, now)
		if o.pulse != "" && !now.Before(o.pulseEnd) {
			f.endPulse(o, now, greenhouse.CommandDone, "")
			f.toSafe(o, now)
		}
		if o.set != "" && !now.Before(o.leaseEnd) {
			f.failsafe(o, now, "lease_expired", greenhouse.Warning)
		}
		if at := o.maxOnEnd(); !at.IsZero() && !now.Before(at) {
			f.endPulse(o, now, greenhouse.CommandError, "max_on_s reached")
			f.failsafe(o, now, "max_on_reached", greenhouse.Critical)
		}
		if lost && o.set != "" {
			f.failsafe(o, now, "link_lost", greenhouse.Warning)
		}
	}
	f.lossDone = f.lossDone || lost
}

// maxOnEnd returns when an output that is on must go off, zero for never. The
// safe level itself has no limit.
func (o *output) maxOnEnd() time.Time {
	if o.maxOn == 0 || o.level == 0 || o.level == o.safe {
		return time.Time{}
	}
	return o.onSince.Add(o.maxOn)
}

// failsafe puts an output to its safe level without being told to, and says so
// where that changed anything.
func (f *Firmware) failsafe(o *output, now time.Time, code string, severity greenhouse.Severity) {
	id, level := o.set, o.level
	f.toSafe(o, now)
	if level != o.safe {
		f.event(now, code, severity, o.name, fmt.Sprintf(`{"id":%q,"level":%g,"safe":%g}`, id, level, o.safe))
	}
}

// nextOutput returns when tickOutputs has something to do, zero for never.
func (f *Firmware) nextOutput(now time.Time) time.Time {
	var next time.Time
	sooner := func(at time.Time, holds bool) {
		if holds && !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for i := range f.outputs {
		o := &f.outputs[i]
		sooner(o.pulseEnd, o.pulse != "")
		sooner(now.Add(time.Second), o.watched != "" && o.motor == nil)
		if o.motor != nil {
			sooner(f.nextMotor(o, now), true)
		}
		sooner(o.leaseEnd, o.set != "")
		sooner(o.maxOnEnd(), true)
		sooner(f.lostAt.Add(seconds(f.body.LinkLossS)), !f.linked && !f.lossDone && o.set != "")
	}
	return next
}

// refusal makes the report of a command that did not act.
func (f *Firmware) refusal(c wire.Command, status greenhouse.CommandState, format string, args ...any) wire.CommandReport {
	return wire.CommandReport{ID: c.ID, Status: status, Error: cut(fmt.Sprintf(format, args...))}
}

// settle answers a command, and remembers the answer where it is the first.
func (f *Firmware) settle(c wire.Command, r wire.CommandReport, first bool) {
	if first {
		f.remember(c, r)
	}
	f.answer(r)
}

// answer publishes a report.
func (f *Firmware) answer(r wire.CommandReport) {
	if payload, err := r.Marshal(); err == nil {
		f.keep(wire.KindCmdReport, payload)
	}
}

// remembered returns what was answered to a command, nil for one never heard.
func (f *Firmware) remembered(id greenhouse.CommandID) *Remembered {
	for i := range f.mem.Commands {
		if f.mem.Commands[i].Report.ID == id {
			return &f.mem.Commands[i]
		}
	}
	return nil
}

// remember notes the answer to a command, and forgets the oldest where there
// are too many.
func (f *Firmware) remember(c wire.Command, r wire.CommandReport) {
	if known := f.remembered(c.ID); known != nil {
		known.Expires, known.Report = c.Expires, r
		return
	}
	if len(f.mem.Commands) >= maxRemembered {
		f.mem.Commands = append(f.mem.Commands[:0:0], f.mem.Commands[1:]...)
	}
	f.mem.Commands = append(f.mem.Commands, Remembered{Expires: c.Expires, Report: r})
}
