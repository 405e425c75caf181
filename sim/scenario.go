package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"greenhouse"
)

// Scenario is one experiment in the simulated greenhouse: a house, its weather,
// what is wanted, what goes wrong when, and what is expected. People write it as
// YAML; docs/scenarios.md explains every field.
type Scenario struct {
	Number   int           `yaml:"scenario"` // of the catalogue; 0: none of it
	Name     string        `yaml:"name"`
	What     string        `yaml:"what"`   // prose for people
	Preset   string        `yaml:"preset"` // of the greenhouse; "" is hobby30
	Weather  WeatherSpec   `yaml:"weather"`
	Start    Local         `yaml:"start"`    // by the clock of the place
	For      Span          `yaml:"for"`      // how long it lasts
	Step     Span          `yaml:"step"`     // of the physics; 0 is 1 s
	Interval Span          `yaml:"interval"` // between two measurements; 0 is 10 s
	Inside   Inside        `yaml:"inside"`   // at the start
	Zone     ZoneSpec      `yaml:"zone"`
	Devices  []string      `yaml:"devices"` // channels, with ".2" for a second one; empty: the usual ones
	Class    ClassMap      `yaml:"class"`   // of actuators that are not of the usual class
	Clock    string        `yaml:"clock"`   // "untrusted", or "" for one that may drive schedules
	Timeline []Action      `yaml:"timeline"`
	Expect   []Expectation `yaml:"expect"`
}

// ClassMap gives actuators another class, by channel.
type ClassMap map[greenhouse.ChannelName]greenhouse.Class

// ZoneSpec is what people want of the zone.
type ZoneSpec struct {
	Crop     string             `yaml:"crop"`
	Mode     greenhouse.Mode    `yaml:"mode"`
	DayFrom  greenhouse.DayEdge `yaml:"day_from"`
	DayUntil greenhouse.DayEdge `yaml:"day_until"`
	Targets  Targets            `yaml:"targets"`
	Schedule CurveMap           `yaml:"schedule"` // curves, as on the command line
	Recipe   RecipeSpec         `yaml:"recipe"`   // what it grows by from the start on
	Control  ControlSpec        `yaml:"control"`
}

// Targets are set-points: a number, or one by day and one by night.
type Targets map[greenhouse.Quantity]DayNight

// CurveMap gives set-points curves: knots as "sunrise-0:30=20@1.5".
type CurveMap map[greenhouse.Quantity][]string

// over puts the curves into a zone.
func (m CurveMap) over(z *greenhouse.Zone) error {
	for q, list := range m {
		var c greenhouse.Curve
		for _, text := range list {
			k, err := greenhouse.ParseKnot(text)
			if err != nil {
				return err
			}
			c = append(c, k)
		}
		if err := c.Check(q); err != nil {
			return err
		}
		if z.Schedule == nil {
			z.Schedule = map[greenhouse.Quantity]greenhouse.Curve{}
		}
		z.Schedule[q] = c
	}
	return nil
}

// DayNight is a set-point.
type DayNight greenhouse.Target

// ControlSpec holds parameters of control blocks, under the names they have on
// the API.
type ControlSpec map[string]float64

// Inside is the climate at the start; zero fields take 18 °C, 75 %, 420 ppm.
type Inside struct {
	Air  float64 `yaml:"air_temp"`
	RH   float64 `yaml:"air_rh"`
	CO2  float64 `yaml:"co2"`
	Mass float64 `yaml:"mass_temp"` // of floor and benches; 0: as the air
}

// Action is something that happens at a time: exactly one of its fields beside
// At and those that belong to them.
type Action struct {
	At       Span    `yaml:"at"`
	Fault    Fault   `yaml:"fault"`
	Override string  `yaml:"override"` // an actuator, with Level and For
	Level    float64 `yaml:"level"`
	Release  string  `yaml:"release"` // the override of an actuator
	Targets  Targets `yaml:"targets"`
	Mode     string  `yaml:"mode"`
	Advance  string  `yaml:"advance"` // to a phase of the recipe, by name
	Stop     bool    `yaml:"stop"`    // the emergency stop
	Resume   bool    `yaml:"resume"`
	Daemon   string  `yaml:"daemon"` // restart, kill, hang; the last two with For
	Broker   string  `yaml:"broker"` // down, with For
	Power    string  `yaml:"power"`  // cut, with For
	Disk     string  `yaml:"disk"`   // full, with For
	Clock    string  `yaml:"clock"`  // trusted, untrusted
	For      Span    `yaml:"for"`
	line     int
}

// Span is a length of time, written 90s, 2h30m or 3d.
type Span time.Duration

// Local is a wall-clock time without a zone.
type Local time.Time

// lineError says where in the file something is wrong.
func lineError(n *yaml.Node, err error) error { return fmt.Errorf("line %d: %w", n.Line, err) }

// UnmarshalYAML reads 90s, 2h30m or 3d.
func (s *Span) UnmarshalYAML(n *yaml.Node) error {
	d, err := parseSpan(n.Value)
	if err != nil {
		return lineError(n, err)
	}
	*s = Span(d)
	return nil
}

// parseSpan reads a duration that may begin with days.
func parseSpan(s string) (time.Duration, error) {
	var whole time.Duration
	rest := s
	if days, after, ok := strings.Cut(s, "d"); ok {
		var n int
		if _, err := fmt.Sscanf(days, "%d", &n); err != nil || fmt.Sprint(n) != days {
			return 0, fmt.Errorf("%q is no time: write 90s, 2h30m or 3d12h", s)
		}
		whole, rest = time.Duration(n)*24*time.Hour, after
	}
	if rest == "" && whole > 0 || rest == "0" {
		return whole, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time: write 90s, 2h30m or 3d12h", s)
	}
	return whole + d, nil
}

// UnmarshalYAML reads 2026-01-15 18:00.
func (l *Local) UnmarshalYAML(n *yaml.Node) error {
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, n.Value); err == nil {
			*l = Local(t)
			return nil
		}
	}
	return lineError(n, fmt.Errorf("%q is no start: write 2026-01-15 18:00", n.Value))
}

// In returns the time in a zone.
func (l Local) In(loc *time.Location) time.Time {
	t := time.Time(l)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, loc)
}

// UnmarshalYAML reads a number, or {day: 20, night: 16}.
func (d *DayNight) UnmarshalYAML(n *yaml.Node) error {
	var one float64
	if n.Decode(&one) == nil {
		*d = DayNight{one, one}
		return nil
	}
	var both map[string]float64
	if err := n.Decode(&both); err != nil {
		return lineError(n, errors.New("a target is a number, or {day: 20, night: 16}"))
	}
	for k := range both {
		if k != "day" && k != "night" {
			return lineError(n, fmt.Errorf("a target has day and night, not %q", k))
		}
	}
	*d = DayNight{both["day"], both["night"]}
	return nil
}

// UnmarshalYAML notes where the action stands, and refuses unknown fields.
func (a *Action) UnmarshalYAML(n *yaml.Node) error {
	type plain Action
	if err := strictly(n, (*plain)(a)); err != nil {
		return err
	}
	a.line = n.Line
	if verbs := a.verbs(); verbs != 1 {
		return lineError(n, fmt.Errorf("an entry of the timeline does one thing; this one does %d", verbs))
	}
	return nil
}

// verbs counts what an action does.
func (a *Action) verbs() (n int) {
	for _, is := range []bool{a.Fault.Verb != "", a.Override != "", a.Release != "", a.Targets != nil, a.Mode != "", a.Advance != "", a.Stop, a.Resume,
		a.Daemon != "", a.Broker != "", a.Power != "", a.Disk != "", a.Clock != ""} {
		if is {
			n++
		}
	}
	return n
}

// strictly decodes a node and refuses fields it does not know; yaml forgets to
// be strict below a type that decodes itself.
func strictly(n *yaml.Node, into any) error {
	raw, err := yaml.Marshal(n)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		return lineError(n, errors.New(lineOf().ReplaceAllString(err.Error(), "")))
	}
	return nil
}

// lineOf matches how yaml tells a line and its own wording.
func lineOf() *regexp.Regexp {
	return regexp.MustCompile(`yaml: (?:unmarshal errors:\n  )?(?:line \d+: )*|\n  line \d+|line \d+: | in type [a-z]+\.[A-Za-z]+`)
}

// ReadScenario reads a scenario and checks it. Its errors begin with name and
// line.
func ReadScenario(name string, r io.Reader) (*Scenario, error) {
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	s := &Scenario{}
	if err := d.Decode(s); err != nil {
		return nil, scenarioError(name, err)
	}
	if err := s.check(); err != nil {
		return nil, scenarioError(name, err)
	}
	return s, nil
}

// scenarioError brings an error into the form name:line: what.
func scenarioError(name string, err error) error {
	text := err.Error()
	where := name
	if m := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(text); m != nil {
		where += ":" + m[1]
	}
	text = strings.ReplaceAll(lineOf().ReplaceAllString(text, ""), "\n", "; ")
	return greenhouse.Invalid("scenario_invalid", "%s: %s", where, strings.TrimSpace(text)).WithHint("docs/scenarios.md explains every field")
}

// check fills in defaults and refuses what makes no sense.
func (s *Scenario) check() error {
	switch {
	case s.Name == "":
		return errors.New("the scenario needs a name")
	case s.For <= 0:
		return errors.New(`the scenario needs "for", how long it lasts`)
	case time.Time(s.Start).IsZero():
		return errors.New(`the scenario needs "start", e.g. 2026-01-15 18:00`)
	case len(s.Expect) == 0:
		return errors.New(`the scenario needs "expect", or it cannot fail`)
	case s.Clock != "" && s.Clock != "untrusted":
		return fmt.Errorf("clock is %q: it is untrusted, or left out", s.Clock)
	}
	if s.Preset == "" {
		s.Preset = "hobby30"
	}
	if s.Interval == 0 {
		s.Interval = Span(10 * time.Second)
	}
	if len(s.Devices) == 0 {
		s.Devices = strings.Fields("air_temp air_rh heater vent outside_temp outside_rh wind_speed wind_dir rain solar")
	}
	for i := range s.Timeline {
		if a := &s.Timeline[i]; a.At > s.For {
			return fmt.Errorf("line %d: %v is after the end", a.line, time.Duration(a.At))
		}
	}
	for _, d := range s.Devices {
		name, _, _ := strings.Cut(d, ".")
		if _, ok := greenhouse.StandardChannel(greenhouse.ChannelName(name)); !ok {
			return fmt.Errorf("device %q is no standard channel", d)
		}
	}
	for ch, class := range s.Class {
		if _, err := greenhouse.ParseClass(string(class)); err != nil {
			return fmt.Errorf("class of %s: %w", ch, err)
		}
	}
	if err := s.checkRecipe(); err != nil {
		return err
	}
	_, err := s.zone()
	return err
}
