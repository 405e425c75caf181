package automation

import (
	"math"
	"time"

	"greenhouse"
)

// Doubts are what a zone holds against its sensors and equipment. It took minutes
// to hours to find, and a restart proves nothing: they stand until what ends them
// happens, as they would have without it.
type Doubts struct {
	Frozen  *FrozenPair                   `json:"frozen,omitempty"`
	Pair    map[greenhouse.PointID]Leaper `json:"pair,omitempty"`       // two thermometers, one of which has leapt
	ApartS  map[greenhouse.PointID]int64  `json:"apart_s,omitempty"`    // for which sensors have been far from the median
	StuckOn float64                       `json:"stuck_on,omitempty"`   // K that the air rose by heat that nobody ordered
	RHStood int64                         `json:"rh_stood_s,omitempty"` // for which the humidity has been at the end of its scale
	NoGas   int64                         `json:"no_gas_s,omitempty"`   // for which dosing that raised nothing rests
}

// FrozenPair is a thermometer and a hygrometer that stood still together, with
// the values at which they did.
type FrozenPair struct {
	Air   greenhouse.PointID `json:"air"`
	RH    greenhouse.PointID `json:"rh"`
	AirAt float64            `json:"air_at"` // °C
	RHAt  float64            `json:"rh_at"`  // %
}

// Leaper is one of two thermometers: where they last agreed, and whether it is
// the one that left.
type Leaper struct {
	Agreed float64 `json:"agreed"` // °C
	Leapt  bool    `json:"leapt,omitempty"`
}

// driftTold is the time apart from which on it is worth keeping.
const driftTold = 10 * time.Minute

// doubts returns what the zone doubts now, nil for nothing.
func (st *State) doubts() *Doubts {
	var d Doubts
	if f := &st.flat; f.frozen {
		d.Frozen = &FrozenPair{f.points[0], f.points[1], f.t, f.rh}
	}
	if pair := st.sensors[st.votes[airTemp].from:st.votes[airTemp].to]; len(pair) == 2 && (pair[0].leapt || pair[1].leapt) {
		d.Pair = map[greenhouse.PointID]Leaper{}
		for i := range pair {
			d.Pair[pair[i].point.ID] = Leaper{pair[i].agreed, pair[i].leapt}
		}
	}
	for i := range st.sensors {
		if s := &st.sensors[i]; s.where == here && s.apart >= driftTold {
			if d.ApartS == nil {
				d.ApartS = map[greenhouse.PointID]int64{}
			}
			d.ApartS[s.point.ID] = int64(s.apart.Seconds())
		}
	}
	if st.watching.stuck {
		d.StuckOn = st.watching.rose
	}
	d.RHStood, d.NoGas = int64(st.drying.saturated.Seconds()), int64(math.Ceil(st.gas.lockout.Seconds()))
	if d.Frozen == nil && d.Pair == nil && d.ApartS == nil && d.StuckOn == 0 && d.RHStood == 0 && d.NoGas == 0 {
		return nil
	}
	return &d
}

// doubt takes over what was doubted before a restart. What belongs to sensors
// waits until they are bound.
func (st *State) doubt(d *Doubts) {
	if d == nil {
		return
	}
	if f := d.Frozen; f != nil {
		st.flat = flat{t: f.AirAt, rh: f.RHAt, frozen: true, points: [2]greenhouse.PointID{f.Air, f.RH}, started: true}
	}
	st.recalled = d
	st.paired = len(d.Pair) == 2
	if d.StuckOn > 0 {
		st.watching.stuck, st.watching.rose = true, d.StuckOn
	}
	st.drying.saturated, st.gas.lockout = secondsOf(d.RHStood, 24*time.Hour), secondsOf(d.NoGas, co2Retry)
}

// recall gives a sensor that is bound for the first time what was doubted of it.
func (d *Doubts) recall(s *sensor) {
	if d == nil || s.where != here {
		return
	}
	if l, in := d.Pair[s.point.ID]; in && len(d.Pair) == 2 {
		s.agreed, s.leapt = l.Agreed, l.Leapt
	}
	s.apart = secondsOf(d.ApartS[s.point.ID], driftLong)
}

// secondsOf returns that many seconds, from none to most.
func secondsOf(n int64, most time.Duration) time.Duration {
	return time.Duration(clamp(float64(n), 0, most.Seconds())) * time.Second
}
