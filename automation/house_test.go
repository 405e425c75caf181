package automation_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// house is a zone whose sensors say what the test tells them and whose actuators
// do what is wanted, unless the test says otherwise.
type house struct {
	t    testing.TB
	zone *greenhouse.Zone
	site *greenhouse.Site
	loc  *time.Location
	now  time.Time
	st   automation.State
	in   automation.Input
	last *automation.Decision

	silent  map[string]bool // sensors that send nothing
	values  map[string]float64
	quality map[string]greenhouse.Quality // what the sensor or its node says
	sensors map[string]*greenhouse.SensorState
	levels  map[string]float64
	stuck   map[string]bool // actuators that stay at their level
	raised  map[string]greenhouse.Condition
}

// noon is a summer day at Bleiswijk.
func noon() time.Time { return time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC) }

// midnight is a winter night there.
func midnight() time.Time { return time.Date(2026, 1, 15, 0, 30, 0, 0, time.UTC) }

// newHouse returns a zone "north" with those sensors and actuators.
func newHouse(t testing.TB, now time.Time, points ...string) *house {
	h := &house{
		t: t, now: now, loc: time.UTC,
		zone:   &greenhouse.Zone{ID: "north", Mode: greenhouse.ModeAuto, Targets: map[greenhouse.Quantity]greenhouse.Target{}, DayFrom: "sunrise", DayUntil: "sunset"},
		site:   &greenhouse.Site{Latitude: 52.03, Longitude: 4.53, TimeZone: "Europe/Amsterdam"},
		silent: map[string]bool{}, values: map[string]float64{}, quality: map[string]greenhouse.Quality{}, sensors: map[string]*greenhouse.SensorState{}, levels: map[string]float64{},
		stuck: map[string]bool{}, raised: map[string]greenhouse.Condition{},
	}
	for _, p := range points {
		h.add(p)
	}
	h.in.Trusted = true
	return h
}

func (h *house) add(name string) {
	id := greenhouse.PointID("north/" + name)
	spec, _ := greenhouse.StandardChannel(id.Name())
	p := &greenhouse.Point{ID: id, Zone: "north", Name: id.Name(), Kind: spec.Kind, Unit: spec.Unit, Node: "climate-a4cf12b3de01", Class: spec.Class}
	if spec.Kind == greenhouse.Actuator {
		p.Safe = p.Class.Spec().Safe
		h.in.Devices = append(h.in.Devices, automation.Device{Point: p})
		return
	}
	h.in.Sensors = append(h.in.Sensors, automation.Sensor{Point: p})
}

// class makes an actuator one of another class.
func (h *house) class(name string, c greenhouse.Class) {
	for i := range h.in.Devices {
		if p := h.in.Devices[i].Point; string(p.ID) == "north/"+name {
			p.Class = c
		}
	}
}

func (h *house) target(q greenhouse.Quantity, day, night float64) {
	h.zone.Targets[q] = greenhouse.Target{Day: day, Night: night}
}

func (h *house) set(name string, v float64) { h.values[name] = v }

// fill brings the input up to date.
func (h *house) fill() {
	h.in.Zone, h.in.Site, h.in.Location, h.in.Now = h.zone, h.site, h.loc, h.now
	for i := range h.in.Sensors {
		s := &h.in.Sensors[i]
		name := strings.TrimPrefix(string(s.Point.ID), "north/")
		v, ok := h.values[name]
		if !ok || h.silent[name] {
			continue
		}
		s.Heard = true
		s.Latest = greenhouse.Latest{Reading: greenhouse.Reading{Point: s.Point.ID, At: greenhouse.MillisOf(h.now), Value: v, Quality: h.judge(name, v)}, Seen: h.now}
	}
	h.in.Outside = h.in.Sensors
	for i := range h.in.Devices {
		d := &h.in.Devices[i]
		d.Applied, d.Known, d.Online = h.levels[strings.TrimPrefix(string(d.Point.ID), "north/")], true, true
	}
}

// judge judges a reading as the history does before control sees it.
func (h *house) judge(name string, v float64) greenhouse.Quality {
	s := h.sensors[name]
	if s == nil {
		s = &greenhouse.SensorState{}
		h.sensors[name] = s
	}
	tests, at := greenhouse.SensorTestsOf(greenhouse.PointID("north/"+name).Name()), greenhouse.MillisOf(h.now)
	q := tests.Judge(s, at, v, h.quality[name])
	s.Note(at, v, q)
	return q
}

// step decides once and has the actuators follow.
func (h *house) step() *automation.Decision {
	h.fill()
	h.last = automation.Decide(&h.in, &h.st)
	for _, w := range h.last.Wants {
		name := strings.TrimPrefix(string(w.Point), "north/")
		if !h.stuck[name] {
			h.levels[name] = outcome(w)
		}
	}
	for _, c := range h.last.Conditions {
		h.raised[string(c.Source)+" "+c.Code] = c
	}
	return h.last
}

// run decides every 5 s for a while, and calls each after every decision.
func (h *house) run(d time.Duration, each func()) {
	for end := h.now.Add(d); h.now.Before(end); {
		h.now = h.now.Add(5 * time.Second)
		h.step()
		if each != nil {
			each()
		}
	}
}

// outcome arbitrates the claims as docs/control.md says, which is done for real
// in another room: the lowest number wins, bounds limit their own level and
// weaker ones.
func outcome(w automation.Want) float64 {
	value, rank := 0.0, greenhouse.PriorityFailsafe+1
	for _, c := range w.Claims {
		if !c.Bound() && c.Priority < rank {
			value, rank = c.Value, c.Priority
		}
	}
	for p := rank; p >= greenhouse.PriorityStop; p-- {
		for _, c := range w.Claims {
			if c.Priority == p && c.Min != nil {
				value = max(value, *c.Min)
			}
			if c.Priority == p && c.Max != nil {
				value = min(value, *c.Max)
			}
		}
	}
	return value
}

func (h *house) want(name string) automation.Want {
	for _, w := range h.last.Wants {
		if string(w.Point) == "north/"+name {
			return w
		}
	}
	h.t.Fatalf("no want for %s", name)
	return automation.Want{}
}

// level is what comes of the last decision about an actuator.
func (h *house) level(name string) float64 { return outcome(h.want(name)) }

// claim returns the claim of an owner, if there is one.
func (h *house) claim(name, owner string) (greenhouse.Claim, bool) {
	for _, c := range h.want(name).Claims {
		if c.Owner == owner {
			return c, true
		}
	}
	return greenhouse.Claim{}, false
}

// reason is the one of the owner's claim.
func (h *house) reason(name, owner string) string {
	c, _ := h.claim(name, owner)
	return c.Reason
}

// alarm reports whether a condition of the zone holds.
func (h *house) alarm(code string) bool { return h.raised["zone/north "+code].Active }

func (h *house) expect(name string, want float64) {
	h.t.Helper()
	if got := h.level(name); math.Abs(got-want) > 0.005 {
		h.t.Errorf("%s is %.2f, want %.2f; claims %+v", name, got, want, h.want(name).Claims)
	}
}
