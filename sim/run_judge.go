package sim

import (
	"fmt"
	"math"
	"strings"
	"time"

	"greenhouse"
)

// judge watches one expectation.
type judge struct {
	e        *Expectation
	to       time.Duration
	folds    map[*term]fold
	n, held  int
	last     bool
	once     bool
	onceAt   time.Duration
	worst    float64 // value of the left side where it missed most
	worstBy  float64
	worstAt  time.Duration
	seen     bool
	lastLeft float64
}

// prepare makes a judge of every expectation and finds what they speak of.
func (r *run) prepare() error {
	r.meter = &meter{}
	for i := range r.s.Expect {
		e := &r.s.Expect[i]
		if e.Text != "" && e.that.op == "" && e.alarm == "" && e.event == "" {
			if err := e.parse(); err != nil { // built in Go, not read from a file
				return greenhouse.Invalid("scenario_invalid", "%q: %v", e.Text, err)
			}
		}
		j := &judge{e: e, to: e.to, folds: map[*term]fold{}}
		if j.to == 0 || j.to > time.Duration(r.s.For) {
			j.to = time.Duration(r.s.For)
		}
		for _, c := range append([]comparison{e.that}, e.when...) {
			if err := r.resolve(j, c.left); err != nil {
				return greenhouse.Invalid("scenario_invalid", "line %d: %v", e.line, err)
			}
			if err := r.resolve(j, c.right); err != nil {
				return greenhouse.Invalid("scenario_invalid", "line %d: %v", e.line, err)
			}
		}
		r.judges = append(r.judges, j)
	}
	return r.prepareTrace()
}

// resolve finds the slots of a sum, and makes its folds.
func (r *run) resolve(j *judge, s sum) (err error) {
	for i := range s {
		t := &s[i]
		switch {
		case t.fn != "":
			j.folds[t] = newFold(t.fn)
			err = r.resolve(j, t.of)
		case t.name != "":
			t.slot, err = r.slot(t.name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// value returns a sum; a function of time counts as it is so far.
func (j *judge) value(s sum, v []float64) float64 {
	total := 0.0
	for i := range s {
		t := &s[i]
		switch {
		case t.fn != "":
			total += t.factor * j.folds[t].value()
		case t.name != "":
			total += t.factor * v[t.slot]
		default:
			total += t.factor
		}
	}
	return total
}

// look judges one instant.
func (j *judge) look(at time.Duration, v []float64) {
	e := j.e
	if e.alarm != "" || e.event != "" || at < e.from || at > j.to || e.mode == expectWithin && at > e.from+e.within {
		return
	}
	for _, c := range e.when {
		if !c.holds(j.value(c.left, v), j.value(c.right, v)) {
			return
		}
	}
	if e.that.left.folds() || e.that.right.folds() {
		for t, f := range j.folds {
			if x := j.value(t.of, v); !math.IsNaN(x) {
				f.add(x, at, lookEvery)
				j.seen = true
			}
		}
		return
	}
	a, b := j.value(e.that.left, v), j.value(e.that.right, v)
	if math.IsNaN(a) || math.IsNaN(b) {
		return
	}
	j.seen, j.lastLeft = true, a
	j.last = e.that.holds(a, b)
	j.n++
	switch {
	case j.last:
		j.held++
		if !j.once {
			j.once, j.onceAt = true, at
		}
	case math.Abs(a-b) > j.worstBy || j.worstBy == 0:
		j.worst, j.worstBy, j.worstAt = a, math.Abs(a-b), at
	}
}

// Finding is what became of an expectation.
type Finding struct {
	Text   string  `json:"expect"`
	Known  string  `json:"known,omitempty"` // why it was expected not to hold
	Held   bool    `json:"held"`
	Detail string  `json:"detail"`
	Value  float64 `json:"-"` // of the left side, where it is a function of time
	Line   int     `json:"line,omitempty"`
}

// OK reports whether the expectation turned out as the scenario says.
func (f Finding) OK() bool { return f.Held == (f.Known == "") }

// finding concludes.
func (j *judge) finding(d *stand) Finding {
	e := j.e
	f := Finding{Text: e.Text, Known: e.Known, Line: e.line}
	switch {
	case e.alarm != "":
		f.Held, f.Detail = j.alarms(d)
	case e.event != "":
		f.Held, f.Detail = j.events(d)
	case !j.seen:
		f.Detail = "it never came to be judged"
	case e.that.left.folds() || e.that.right.folds():
		a, b := j.value(e.that.left, nil), j.value(e.that.right, nil)
		f.Held, f.Detail, f.Value = e.that.holds(a, b), fmt.Sprintf("%.4g", a), a
	default:
		f.Held, f.Detail = j.conclude()
	}
	return f
}

// conclude says whether a comparison held as long as it should.
func (j *judge) conclude() (held bool, detail string) {
	worst := fmt.Sprintf("%.4g at %s", j.worst, clockOf(j.worstAt))
	switch j.e.mode {
	case expectShare:
		share := float64(j.held) / float64(j.n)
		detail = fmt.Sprintf("held for %.1f %% of the time", 100*share)
		if j.held < j.n {
			detail += ", worst " + worst
		}
		return share >= j.e.share, detail
	case expectWithin, expectOnce:
		if j.once {
			return true, "at " + clockOf(j.onceAt)
		}
		return false, fmt.Sprintf("never; last %.4g", j.lastLeft)
	case expectEnd:
		return j.last, fmt.Sprintf("%.4g at the end", j.lastLeft)
	}
	if j.held == j.n {
		return true, "always"
	}
	return false, fmt.Sprintf("missed for %s, worst %s", time.Duration(j.n-j.held)*lookEvery, worst)
}

// alarms says whether an alarm came, or ended, or stayed away, when it should.
func (j *judge) alarms(d *stand) (held bool, detail string) {
	e := j.e
	limit := j.to
	if e.mode == expectWithin {
		limit = e.from + e.within
	}
	inside := func(at time.Duration) bool { return at >= e.from && at <= limit }
	for _, a := range d.alarms {
		if e.alarm != "*" && a.Code != e.alarm || e.source != "" && !strings.HasSuffix(d.nick(string(a.Source)), e.source) {
			continue
		}
		for _, s := range a.Spans {
			standing := s[0] <= limit && (s[1] < 0 || s[1] >= e.from)
			switch {
			case e.absent && standing:
				return false, fmt.Sprintf("%s of %s at %s", a.Code, d.nick(string(a.Source)), clockOf(s[0]))
			case e.cleared && s[1] >= 0 && inside(s[1]):
				return true, "at " + clockOf(s[1])
			case !e.absent && !e.cleared && standing:
				return true, "at " + clockOf(s[0])
			}
		}
	}
	if e.absent {
		return true, "none"
	}
	return false, "never"
}

// events says whether an event came, or stayed away, when it should.
func (j *judge) events(d *stand) (held bool, detail string) {
	e := j.e
	limit := j.to
	if e.mode == expectWithin {
		limit = e.from + e.within
	}
	for _, x := range d.events {
		if x.code == e.event && (e.by == "" || x.actor == e.by) && x.at >= e.from && x.at <= limit {
			return !e.absent, fmt.Sprintf("by %s at %s", x.actor, clockOf(x.at))
		}
	}
	if e.absent {
		return true, "none"
	}
	return false, "never"
}

// clockOf writes a time since the start.
func clockOf(d time.Duration) string {
	d = d.Round(time.Second)
	return fmt.Sprintf("%d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}
