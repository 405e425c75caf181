package automation

import (
	"cmp"
	"math"
	"slices"

	"greenhouse"
)

// bind takes the zone as it is made now. What was remembered of sensors and
// devices that are still there is kept, by the id of their points.
func (st *State) bind(in *Input) {
	if !st.scheduled(in) || st.zone == nil {
		st.schedule = ScheduleOf(in.Zone, in.Site, in.Location)
		st.edges = [2]greenhouse.DayEdge{in.Zone.DayFrom, in.Zone.DayUntil}
		st.cal = calendar{}
	}
	st.zone, st.control, st.tuning = in.Zone, in.Zone.Control, tuningOf(in.Zone.Control)
	st.points = st.points[:0]
	for w := range wheres {
		for _, s := range st.sensorsOf(in, w) {
			st.points = append(st.points, s.Point)
		}
	}
	for i := range in.Devices {
		st.points = append(st.points, in.Devices[i].Point)
	}
	st.bindSensors(in)
	st.bindDevices(in)
}

func (st *State) bindSensors(in *Input) {
	old := st.sensors
	st.sensors = make([]sensor, 0, len(in.Sensors)+4)
	var own [quantities + 1]bool
	for w := range wheres {
		sensors := st.sensorsOf(in, w)
		for i := range sensors {
			p := sensors[i].Point
			q := quantityOf(p.Name)
			switch {
			case p.Kind == greenhouse.Actuator || p.Node == "" || w == outside && (!q.weather() || own[q]) || w == next && q != airTemp:
				continue
			case w == here:
				own[q] = true
			case w == next:
				q = nextTemp
			}
			st.addSensor(&sensors[i], i, w, q, old)
		}
	}
	slices.SortStableFunc(st.sensors, func(a, b sensor) int { return int(a.of) - int(b.of) })
	for q := range quantities {
		from, _ := slices.BinarySearchFunc(st.sensors, q, func(s sensor, q quantity) int { return int(s.of) - int(q) })
		to := from
		for to < len(st.sensors) && st.sensors[to].of == q {
			to++
		}
		st.votes[q] = span{from, to}
		st.seen[q] = seen{Voted: Vote(nil, 0), quality: greenhouse.Bad, any: to > from}
	}
	st.values, st.recalled = make([]float64, 0, len(st.sensors)), nil
}

func (st *State) addSensor(s *Sensor, index int, w where, q quantity, old []sensor) {
	n := sensor{point: s.Point, index: index, where: w, of: q}
	tests := greenhouse.SensorTestsOf(s.Point.Name)
	n.probe = Probe{Stale: cmp.Or(st.tuning.stale, tests.StaleAfter(s.Interval)), Hold: st.tuning.hold}
	st.recalled.recall(&n)
	for i := range old {
		if old[i].point.ID == s.Point.ID && old[i].point.Node == s.Point.Node {
			n.state, n.alarms, n.apart, n.agreed, n.leapt = old[i].state, old[i].alarms, old[i].apart, old[i].agreed, old[i].leapt
		}
	}
	st.sensors = append(st.sensors, n)
}

func (st *State) bindDevices(in *Input) {
	old := st.devices
	st.devices = make([]device, len(in.Devices))
	st.decision.Wants = make([]Want, len(in.Devices))
	for r := range st.roles {
		st.roles[r] = nil
	}
	for i := range in.Devices {
		p := in.Devices[i].Point
		d := &st.devices[i]
		for k := range old {
			if old[k].point.ID == p.ID {
				*d = old[k]
			}
		}
		d.point, d.role, d.spec = p, roleOf(p.Name), p.Class.Spec()
		st.roles[d.role] = append(st.roles[d.role], i)
		st.decision.Wants[i] = Want{Point: p.ID, Claims: make([]greenhouse.Claim, 0, 4)}
	}
	for r := range roles {
		st.notes[r] = ledger{}
		if !st.has(r) {
			continue
		}
		var looks []int
		for k := range st.sensors {
			if r.looks(st.sensors[k].of) {
				looks = append(looks, k)
			}
		}
		st.notes[r] = newLedger(looks)
	}
}

// sense judges every sensor and has those of one quantity vote.
func (st *State) sense(in *Input) {
	for i := range st.sensors {
		s := &st.sensors[i]
		f := &st.sensorsOf(in, s.where)[s.index]
		s.heard, s.raw = f.Heard, f.Latest.Value
		if !f.Heard {
			s.now, s.age = Judged{math.NaN(), greenhouse.Stale, greenhouse.Stale}, 0
			continue
		}
		s.age = f.Latest.Age(in.Now, in.Trusted)
		s.now = s.probe.step(&s.state, &f.Latest, s.age, st.elapse)
	}
	for q := range quantities {
		if st.seen[q].any {
			st.vote(q)
		}
	}
}

// vote combines the sensors of a quantity: those that are good, else those that
// hold their last value.
func (st *State) vote(q quantity) {
	out, sensors := &st.seen[q], st.sensors[st.votes[q].from:st.votes[q].to]
	if q == airTemp {
		st.unmask(sensors, q.agree())
		st.distrust(sensors)
	}
	best := greenhouse.Bad
	for i := range sensors {
		best = min(best, sensors[i].now.Quality)
	}
	st.values = st.values[:0]
	for i := range sensors {
		if j := &sensors[i].now; j.Quality == best && best <= greenhouse.Held {
			st.values = append(st.values, j.Value)
		}
	}
	out.quality, out.Voted = best, Vote(st.values, q.agree())
	for i := range sensors {
		s := &sensors[i]
		if s.apart += st.dt; out.N < 3 || !(math.Abs(s.now.Value-out.Value) > driftFar*q.agree()) {
			s.apart = 0
		}
	}
}
