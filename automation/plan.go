package automation

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
)

// Plan is what a zone's set-points do on one local date, as far as is known
// now: adjustments that stand are in it until they end.
type Plan struct {
	From, Until      time.Time // the date
	Sunrise, Sunset  time.Time // zero where the sun does not rise or set, or nobody knows where the zone is
	DayFrom, DayTill time.Time // when the zone's day begins and ends
	Courses          []Course  // of the quantities that anybody asks for
}

// Course is the course of one set-point over a date.
type Course struct {
	Quantity  greenhouse.Quantity
	Steps     []Step    // where its curve, or day and night, send it
	Levels    []float64 // every CourseStep from the beginning of the date
	Mean      float64   // of the date
	DayMean   float64   // while it is day in the zone; NaN: never
	NightMean float64   // while it is night; DIF is the difference
}

// Step is an instant from which a set-point moves.
type Step struct {
	At   time.Time
	To   float64
	Ramp float64 // units an hour; 0: at once
}

// CourseStep is the time between two levels of a [Course].
const CourseStep = 5 * time.Minute

// PlanDay works out the set-points of a zone for the local date of t.
func PlanDay(z *greenhouse.Zone, site *greenhouse.Site, location *time.Location, t time.Time) Plan {
	s := ScheduleOf(z, site, location)
	var cal calendar
	var c course
	cal.look(&s, t)
	c.look(&cal, &s, z)
	p := Plan{From: time.UnixMilli(cal.from).In(location), Until: time.UnixMilli(cal.until).In(location)}
	p.DayFrom, p.DayTill = s.On(t)
	if rise, set, ok := SunTimes(t.In(location), s.Latitude, s.Longitude); ok && (s.Latitude != 0 || s.Longitude != 0) {
		p.Sunrise, p.Sunset = rise, set
	}
	var courses [setPoints]Course
	var byDay, byNight [setPoints]mean
	for ms := cal.from; ms < cal.until; ms += CourseStep.Milliseconds() {
		var points SetPoints
		day := cal.day(ms)
		c.points(&points, &cal, z, tuningOf(z.Control), ms, day, true)
		for i := range points {
			courses[i].Levels = append(courses[i].Levels, points[i].Value)
			if day {
				byDay[i].add(points[i].Value)
			} else {
				byNight[i].add(points[i].Value)
			}
		}
	}
	for i := range courses {
		x := &courses[i]
		all := mean{byDay[i].sum + byNight[i].sum, byDay[i].n + byNight[i].n}
		x.Quantity, x.Mean, x.DayMean, x.NightMean = setQuantity(i), all.value(), byDay[i].value(), byNight[i].value()
		if all.n == 0 {
			continue
		}
		x.Steps = c.steps(i, &cal, location)
		p.Courses = append(p.Courses, *x)
	}
	return p
}

// mean is a mean of what is known.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v float64) {
	if !math.IsNaN(v) {
		m.sum, m.n = m.sum+v, m.n+1
	}
}

// value returns the mean, NaN of nothing.
func (m *mean) value() float64 { return m.sum / float64(m.n) }

// steps lists where a set-point is sent on the date of the calendar, beginning with
// the ramps between phases of a recipe.
func (c *course) steps(i int, cal *calendar, location *time.Location) []Step {
	var steps []Step
	for k := 1; k < len(c.stages); k++ {
		st := &c.stages[k]
		end := st.at.Add(st.ramp)
		if int64(end) <= cal.from || int64(st.at) >= cal.until {
			continue
		}
		was, to := c.stages[k-1].level(i, cal, int64(st.at), cal.day(int64(st.at))), st.level(i, cal, int64(end), cal.day(int64(end)))
		if was != to && !math.IsNaN(to) {
			steps = append(steps, Step{At: time.UnixMilli(max(int64(st.at), cal.from)).In(location), To: to, Ramp: perHour(math.Abs(to-was), st.ramp)})
		}
	}
	last := c.now()
	stops := last.stops[i]
	if t, ok := last.zone.Targets[setQuantity(i)]; ok && len(stops) == 0 && t.Day != t.Night && !cal.always {
		up, down := 0.0, 0.0
		if i <= setVent {
			up, down = setQuantity(i).Ramps()
		}
		for _, k := range cal.knots {
			stops = append(stops, stop{at: k.at, value: levelOf(t, k.day), up: up, down: down})
		}
	}
	for k, s := range stops {
		if s.at < cal.from || s.at >= cal.until {
			continue
		}
		ramp := s.up
		if k > 0 && stops[k-1].value > s.value {
			ramp = s.down
		}
		steps = append(steps, Step{At: time.UnixMilli(s.at).In(location), To: s.value, Ramp: ramp})
	}
	return steps
}

// perHour returns a way as units an hour; 0 for one that takes no time, or whose
// length nobody knows.
func perHour(way float64, lasts time.Duration) float64 {
	if lasts <= 0 || math.IsNaN(way) {
		return 0
	}
	return way / lasts.Hours()
}

// CheckCurves refuses set-points of which venting would come nearer to heating
// than it may at any time of the year, under each phase of the recipe it grows by:
// control would keep them apart, but nobody would get what they asked for.
func CheckCurves(z *greenhouse.Zone, site *greenhouse.Site, location *time.Location, year int) error {
	plain := *z
	plain.Offsets, plain.Holds, plain.Run = nil, nil, nil
	who := fmt.Sprintf("zone %s", z.ID)
	if len(z.Schedule[greenhouse.Heating])+len(z.Schedule[greenhouse.Venting]) > 0 { // else the registry compares day and night
		if err := checkApart(&plain, who, site, location, year); err != nil {
			return err
		}
	}
	if z.Run == nil {
		return nil
	}
	for i := range z.Run.Phases {
		p := &z.Run.Phases[i]
		if err := checkApart(plain.Under(p), fmt.Sprintf("%s in phase %d, %s, of recipe %s", who, i+1, p.Name, z.Run.Recipe), site, location, year); err != nil {
			return err
		}
	}
	return nil
}

// CheckRecipe refuses a recipe that breaks its laws, or of which a phase would vent
// too near to where it heats at any time of the year.
func CheckRecipe(r *greenhouse.Recipe, site *greenhouse.Site, location *time.Location, year int) error {
	if err := r.Check(); err != nil {
		return err
	}
	for i := range r.Phases {
		p := &r.Phases[i]
		z := (&greenhouse.Zone{DayFrom: "sunrise", DayUntil: "sunset"}).Under(p)
		if err := checkApart(z, fmt.Sprintf("phase %d, %s,", i+1, p.Name), site, location, year); err != nil {
			return err
		}
	}
	return nil
}

// checkApart looks at a day of each month.
func checkApart(z *greenhouse.Zone, who string, site *greenhouse.Site, location *time.Location, year int) error {
	for _, q := range [...]greenhouse.Quantity{greenhouse.Heating, greenhouse.Venting} {
		if _, ok := z.Targets[q]; !ok && len(z.Schedule[q]) == 0 {
			return nil // nothing is heated, or venting follows heating
		}
	}
	s := ScheduleOf(z, site, location)
	for month := time.January; month <= time.December; month++ {
		var cal calendar
		var c course
		cal.look(&s, time.Date(year, month, 21, 12, 0, 0, 0, location))
		c.look(&cal, &s, z)
		for ms := cal.from; ms < cal.until; ms += CourseStep.Milliseconds() {
			heat, vent := c.point(setHeat, &cal, z, ms, true, true), c.point(setVent, &cal, z, ms, true, true)
			if vent.Value < heat.Value+leastDeadZone {
				at := time.UnixMilli(ms).In(location)
				return greenhouse.Invalid("targets_inverted", "on %s at %s %s would vent above %.1f °C and heat below %.1f °C: venting must lie at least %d K above heating",
					at.Format("2 January"), at.Format("15:04"), who, vent.Value, heat.Value, leastDeadZone).
					WithHint("give venting a curve that lies above that of heating, or clear its target: it then follows heating")
			}
		}
	}
	return nil
}
