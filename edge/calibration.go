package edge

import (
	"fmt"
	"time"

	"greenhouse"
	"greenhouse/store"
	"greenhouse/wire"
)

// tempFresh is how old the temperature may be that a value is compensated by.
const tempFresh = 10 * time.Minute

// corrected applies to a sample what its node cannot: the calibration, and the
// temperature compensation, with the temperature of the same instant where the
// message has it, else the last one. Without any the value is kept as it is and
// called suspect.
func (in *inbound) corrected(reg *store.Registry, uid greenhouse.UID, c *greenhouse.Channel, s wire.Sample, samples []wire.Sample) (float64, greenhouse.Quality) {
	v := s.Value
	if c.CalEdge && c.Cal != nil {
		v = c.Cal.Apply(v)
	}
	if c.Comp == nil || s.Null {
		return v, greenhouse.Good
	}
	for _, t := range samples {
		if t.Channel == c.Comp.Channel && !t.Null && t.HasAt == s.HasAt && t.At == s.At {
			return c.Comp.Apply(v, t.Value), greenhouse.Good
		}
	}
	if p, ok := reg.Route(uid, c.Comp.Channel); ok {
		if l, ok := in.d.telemetry.Latest(p); ok && l.Quality == greenhouse.Good && l.Age(in.d.opts.Now(), in.d.clock.Trusted()) <= tempFresh {
			return c.Comp.Apply(v, l.Value), greenhouse.Good
		}
	}
	return v, greenhouse.Suspect
}

// calibrations says which points wait for a calibration and which are due, for
// those that are now or were at the last look.
func (d *Daemon) calibrations() {
	reg, now := d.store.Registry(), greenhouse.MillisOf(d.opts.Now())
	var conds []greenhouse.Condition
	for id, p := range reg.Points {
		if p.Kind != greenhouse.Sensor || p.Zone == "" {
			continue
		}
		st := reg.CalState(p)
		required, due := st.Required != 0, d.clock.Trusted() && st.Due(now)
		raised, told := d.calRaised[id]
		asks := st.Policy != (greenhouse.CalPolicy{}) || st.Last != nil // at the first look the alarms of an earlier run may have to clear
		if !required && !due && !raised && (told || !asks) {
			continue
		}
		d.calRaised[id] = required || due
		conds = append(conds,
			greenhouse.Condition{Source: greenhouse.PointSource(id), Code: "calibration_required", Severity: greenhouse.Warning, Active: required,
				Text: fmt.Sprintf("%s has another probe, which was not calibrated: greenctl node calibrate %s %s", id, p.Node, p.Channel)},
			greenhouse.Condition{Source: greenhouse.PointSource(id), Code: "calibration_due", Severity: greenhouse.Warning, Active: due && !required,
				Text: fmt.Sprintf("the calibration of %s is too old: greenctl node calibrate %s %s", id, p.Node, p.Channel)})
	}
	for id := range d.calRaised {
		if _, there := reg.Points[id]; !there { // a point that is gone wants nothing
			delete(d.calRaised, id)
			for _, code := range []string{"calibration_required", "calibration_due"} {
				conds = append(conds, greenhouse.Condition{Source: greenhouse.PointSource(id), Code: code, Severity: greenhouse.Warning})
			}
		}
	}
	d.clerk.observe(d.raised.changed(conds)...)
}
