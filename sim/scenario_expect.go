package sim

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Expectation is one thing that must hold in a scenario, in words:
//
//	air_temp >= heat_below - 0.5 for 98% of the time from 1h
//	heater = 0 when vent > 0.1
//	starts(heater) <= 12 from 2h to 14h
//	vent <= 0.1 within 4m from 2h
//	alarm frost_protection within 2m from 3h
//	no alarm
//	event phase_changed by recipe:basil within 2m from 12h
//
// Known says why an expectation is not met yet. It then must fail, so that it is
// noticed when it begins to hold.
type Expectation struct {
	Text  string
	Known string

	alarm    string // code; "*" any; "" for a comparison
	event    string // code; "" for none
	by       string // who caused it; "" for anybody
	absent   bool
	cleared  bool
	source   string
	that     comparison
	when     []comparison
	mode     expectMode
	share    float64 // of the time
	within   time.Duration
	from, to time.Duration // to 0: the end
	line     int
}

// expectMode says how long a comparison must hold.
type expectMode uint8

const (
	expectAlways expectMode = iota
	expectShare             // for a share of the time
	expectWithin            // at least once, soon after the beginning
	expectEnd               // at the end
	expectOnce              // at least once
)

// comparison compares two sums.
type comparison struct {
	left, right sum
	op          string
}

// holds reports whether the comparison holds for two numbers.
func (c comparison) holds(a, b float64) bool {
	const exact = 1e-9
	switch c.op {
	case "<=":
		return a <= b+exact
	case ">=":
		return a >= b-exact
	case "<":
		return a < b
	case ">":
		return a > b
	}
	return a <= b+exact && a >= b-exact
}

// sum is a sum of numbers and quantities.
type sum []term

// term is a factor times a quantity, or times what a function makes of a sum over
// time; a plain number has neither.
type term struct {
	factor float64
	name   string
	fn     string
	of     sum
	slot   int // of the meter
}

// folds reports whether the sum is known only once all of the time is over.
func (s sum) folds() bool {
	for _, t := range s {
		if t.fn != "" {
			return true
		}
	}
	return false
}

// UnmarshalYAML reads the text, or {expect: text, known: why}.
func (e *Expectation) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.ScalarNode:
		e.Text = n.Value
	case yaml.MappingNode:
		var both struct {
			Expect string `yaml:"expect"`
			Known  string `yaml:"known"`
		}
		if err := strictly(n, &both); err != nil {
			return err
		}
		e.Text, e.Known = both.Expect, both.Known
	default:
		return lineError(n, errors.New("an expectation is a line of text, or expect and known"))
	}
	e.line = n.Line
	if err := e.parse(); err != nil {
		return lineError(n, fmt.Errorf("%q: %w", e.Text, err))
	}
	return nil
}

// words cuts a text into names, numbers, operators and brackets.
func words(text string) ([]string, error) {
	pattern := regexp.MustCompile(`^\s*(<=|>=|[<>=()+*-]|[a-z]+:[a-z0-9-]+|[0-9][0-9a-z.%]*|[a-z_][a-z0-9_.]*|[a-z]+/[a-z0-9_./-]+)`)
	var all []string
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := pattern.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("%q is not understood", strings.TrimSpace(rest))
		}
		all, rest = append(all, m[1]), rest[len(m[0]):]
	}
	return all, nil
}

// reader goes through the words of an expectation.
type reader struct {
	words []string
	err   error
}

// next returns the next word without taking it, "" at the end.
func (r *reader) next() string {
	if len(r.words) == 0 {
		return ""
	}
	return r.words[0]
}

// take returns the next word.
func (r *reader) take() string {
	w := r.next()
	if w != "" {
		r.words = r.words[1:]
	}
	return w
}

// eat takes the words given if they come next.
func (r *reader) eat(all ...string) bool {
	if len(r.words) < len(all) {
		return false
	}
	for i, w := range all {
		if r.words[i] != w {
			return false
		}
	}
	r.words = r.words[len(all):]
	return true
}

// fail keeps the first error.
func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

// span takes a length of time.
func (r *reader) span() time.Duration {
	d, err := parseSpan(r.take())
	if err != nil {
		r.fail("%v", err)
	}
	return d
}

func (e *Expectation) parse() error {
	all, err := words(e.Text)
	if err != nil {
		return err
	}
	r := &reader{words: all}
	switch {
	case r.eat("no", "alarm"):
		e.absent, e.alarm = true, "*"
		e.readAlarm(r)
	case r.eat("alarm"):
		e.readAlarm(r)
		if e.alarm == "" {
			r.fail("which alarm?")
		}
	case r.eat("no", "event"):
		e.absent = true
		e.readEvent(r)
	case r.eat("event"):
		e.readEvent(r)
	default:
		e.readComparison(r)
	}
	e.readTimes(r)
	if r.next() != "" {
		r.fail("%q is not understood", strings.Join(r.words, " "))
	}
	return r.err
}

// readAlarm takes a code, where there is one, and a source.
func (e *Expectation) readAlarm(r *reader) {
	if w := r.next(); w != "" && w != "from" && w != "to" && w != "of" {
		e.alarm = r.take()
	}
	if r.eat("of") {
		e.source = r.take()
	}
	e.cleared = r.eat("cleared")
}

// readEvent takes a code, and who caused it.
func (e *Expectation) readEvent(r *reader) {
	if e.event = r.take(); e.event == "" {
		r.fail("which event?")
	}
	if r.eat("by") {
		e.by = r.take()
	}
}

func (e *Expectation) readComparison(r *reader) {
	e.that = r.comparison()
	if r.eat("when") {
		e.when = append(e.when, r.comparison())
		for r.eat("and") {
			e.when = append(e.when, r.comparison())
		}
	}
}

// readTimes takes how long and when.
func (e *Expectation) readTimes(r *reader) {
	for r.err == nil && r.next() != "" {
		switch {
		case r.eat("always"):
		case r.eat("once"):
			e.mode = expectOnce
		case r.eat("at", "the", "end"):
			e.mode = expectEnd
		case r.eat("within"):
			e.mode, e.within = expectWithin, r.span()
		case r.eat("from"):
			e.from = r.span()
		case r.eat("to"):
			e.to = r.span()
		case r.eat("for"):
			p, err := strconv.ParseFloat(strings.TrimSuffix(r.take(), "%"), 64)
			if err != nil || p <= 0 || p > 100 || !r.eat("of", "the", "time") {
				r.fail(`write "for 98%% of the time"`)
			}
			e.mode, e.share = expectShare, p/100
		default:
			return
		}
	}
}

// comparison takes two sums with an operator between.
func (r *reader) comparison() comparison {
	c := comparison{left: r.sum()}
	switch c.op = r.take(); c.op {
	case "<=", ">=", "<", ">", "=":
	default:
		r.fail("a comparison with <=, >=, <, > or = is expected before %q", c.op)
	}
	c.right = r.sum()
	return c
}

func (r *reader) sum() sum {
	sign := 1.0
	if r.eat("-") {
		sign = -1
	}
	all := sum{r.term(sign)}
	for r.err == nil {
		switch {
		case r.eat("+"):
			all = append(all, r.term(1))
		case r.eat("-"):
			all = append(all, r.term(-1))
		default:
			return all
		}
	}
	return all
}

// term takes a number, a quantity, a number times a quantity, or a function.
func (r *reader) term(sign float64) term {
	w := r.take()
	if v, err := strconv.ParseFloat(w, 64); err == nil {
		t := term{factor: sign * v}
		if r.eat("*") {
			t = r.term(sign * v)
		}
		return t
	}
	if w == "" || !regexp.MustCompile(`^[a-z_]`).MatchString(w) {
		r.fail("a number or a quantity is expected instead of %q", w)
		return term{}
	}
	if !r.eat("(") {
		return term{factor: sign, name: w}
	}
	t := term{factor: sign, fn: w, of: r.sum()}
	if newFold(w) == nil {
		r.fail("the function %s is unknown: there are mean, min, max, rms, rms15, change, starts, hourly_starts, travel, hours", w)
	}
	if t.of.folds() {
		r.fail("a function of a function is not possible")
	}
	if !r.eat(")") {
		r.fail("a bracket is not closed")
	}
	return t
}
