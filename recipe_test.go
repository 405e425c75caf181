package greenhouse_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"greenhouse"
)

// heats is a phase with one level of heating.
func heats(name string, level float64) greenhouse.Phase {
	return greenhouse.Phase{Name: name, Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: level, Night: level}}}
}

// days and warmth are phases that end by themselves.
func days(name string, n int) greenhouse.Phase {
	p := heats(name, 18)
	p.Days = n
	return p
}

func warmth(name string, sum, base float64) greenhouse.Phase {
	p := heats(name, 18)
	p.DegreeDays, p.BaseTemp = sum, base
	return p
}

func recipe(phases ...greenhouse.Phase) *greenhouse.Recipe {
	return &greenhouse.Recipe{ID: "basil", Phases: phases, Meta: greenhouse.Meta{Version: 3}}
}

// started puts a crop on a recipe that was planted today.
func started(t *testing.T, today greenhouse.Date, phases ...greenhouse.Phase) *greenhouse.RecipeRun {
	t.Helper()
	run, err := greenhouse.StartRecipe(recipe(phases...), today, 0, today, 1000, "anna")
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestDates(t *testing.T) {
	for _, bad := range []string{"", "spring", "2026-2-1", "2026-02-30", "1969-12-31", "2101-01-01", "2026-02-01T00:00:00Z", " 2026-02-01"} {
		if d, err := greenhouse.ParseDate(bad); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%q: got %q, %v, want it refused", bad, d, err)
		}
	}
	d, err := greenhouse.ParseDate("2026-03-28")
	if err != nil || d.Add(1) != "2026-03-29" || d.Add(-28) != "2026-02-28" || d.Since("2026-02-28") != 28 || d.Since("2026-03-30") != -2 || greenhouse.Date("2028-03-01").Since("2028-02-28") != 2 {
		t.Errorf("%s, %v: arithmetic of dates", d, err)
	}
	loc, err := time.LoadLocation("America/Sao_Paulo") // its clocks once skipped midnight
	if err != nil {
		t.Skip("no time zones on this machine")
	}
	if b := greenhouse.Date("2018-11-04").Begin(loc); greenhouse.DateOf(b) != "2018-11-04" || greenhouse.DateOf(b.Add(-time.Second)) != "2018-11-03" {
		t.Errorf("a date without midnight begins at %v", b)
	}
}

func TestThePlantingDateLeadsToThePhase(t *testing.T) {
	r := recipe(days("a", 10), days("b", 20), warmth("c", 300, 5), days("d", 5))
	for ago, want := range map[int]struct {
		phase int
		from  greenhouse.Date
	}{0: {1, "2026-03-01"}, 9: {1, "2026-02-20"}, 10: {2, "2026-03-01"}, 29: {2, "2026-02-10"}, 30: {3, "2026-03-01"}, 200: {3, "2025-09-12"}} {
		const today = greenhouse.Date("2026-03-01")
		run, err := greenhouse.StartRecipe(r, today.Add(-ago), 0, today, 1, "anna")
		if err != nil {
			t.Fatal(err)
		}
		if got := run.Last(); got.Phase != want.phase || got.From != want.from {
			t.Errorf("planted %d days ago: got phase %d from %s, want %d from %s", ago, got.Phase, got.From, want.phase, want.from)
		}
	}
}

// TestPhasesByDays: each date is judged once, whatever order the dates come in, and a
// daemon that was down for long catches up on the dates that count.
func TestPhasesByDays(t *testing.T) {
	run := started(t, "2026-03-01", days("a", 3), days("b", 4), heats("c", 12))
	if run.Advance("2026-03-03", 1) {
		t.Error("a phase of three days ends on the third")
	}
	if !run.Advance("2026-03-04", 5000) || run.Last() != (greenhouse.PhaseChange{Phase: 2, From: "2026-03-04", At: 5000, By: "recipe:basil", Why: "after 3 days"}) {
		t.Errorf("on the fourth day: %+v", run.Last())
	}
	for _, back := range []greenhouse.Date{"2026-03-01", "2026-03-07", "2026-03-04"} {
		if run.Advance(back, 6000) {
			t.Errorf("something changed on %s", back)
		}
	}
	if run = started(t, "2026-03-01", days("a", 3), days("b", 4), heats("c", 12)); !run.Follow("2026-04-01", 9000, nobody) || run.Last().Phase != 3 || run.Last().From != "2026-03-08" {
		t.Errorf("after a month: %+v", run.Last())
	}
	if run.Follow("2026-12-01", 9000, nobody) {
		t.Error("a phase without an end ended")
	}
}

// nobody has measured anything.
func nobody(greenhouse.Date) (float64, bool) { return 0, false }

func TestPhasesByWarmth(t *testing.T) {
	run := started(t, "2026-03-01", warmth("a", 50, 10), days("b", 2))
	air := map[greenhouse.Date]float64{"2026-03-01": 30, "2026-03-02": 5, "2026-03-04": 40}
	asked := map[greenhouse.Date]int{}
	mean := func(d greenhouse.Date) (float64, bool) {
		asked[d]++
		v, ok := air[d]
		return v, ok
	}
	for _, step := range []struct {
		today greenhouse.Date
		phase int
		sum   float64
	}{{"2026-03-01", 1, 0}, {"2026-03-02", 1, 20}, {"2026-03-02", 1, 20}, {"2026-03-03", 1, 20}, {"2026-03-04", 1, 30}, {"2026-03-01", 1, 30}, {"2026-03-05", 2, 0}} {
		run.Follow(step.today, 1, mean)
		if run.Last().Phase != step.phase || math.Abs(run.DegreeDays-step.sum) > 1e-9 {
			t.Errorf("on %s: got phase %d with %v °C·d, want %d with %v", step.today, run.Last().Phase, run.DegreeDays, step.phase, step.sum)
		}
	}
	if last := run.Last(); last.From != "2026-03-05" || last.Why != "60 of 50 °C·d are reached" {
		t.Errorf("the change: %+v", last)
	}
	for d, n := range asked {
		if n != 1 {
			t.Errorf("%s was counted %d times", d, n)
		}
	}
	if !run.Follow("2026-03-09", 1, mean) || run.Completed != "2026-03-07" || run.Last().Phase != 2 {
		t.Errorf("the last phase is complete and stays: %+v", run)
	}
}

func TestGoingByHand(t *testing.T) {
	run := started(t, "2026-03-01", days("a", 3), warmth("b", 100, 0), heats("c", 12))
	for _, c := range []struct {
		to   int
		kind error
	}{{1, greenhouse.ErrConflict}, {4, greenhouse.ErrInvalid}, {-1, greenhouse.ErrInvalid}} {
		if err := run.GoTo(c.to, "2026-03-02", 1, "anna", ""); !errors.Is(err, c.kind) {
			t.Errorf("to %d: got %v, want %v", c.to, err, c.kind)
		}
	}
	for _, to := range []int{0, 0, 1} {
		if err := run.GoTo(to, "2026-03-02", 2000, "anna", "pale leaves"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(run.Changes); n != 4 || run.Last().Phase != 1 || run.Last().From != "2026-03-02" || run.Counted != "" {
		t.Errorf("after three steps: %+v", run)
	}
	if run.Advance("2026-03-04", 1) || !run.Advance("2026-03-05", 1) {
		t.Error("the days of a phase count from when it was begun again")
	}
	for range 500 {
		_ = run.GoTo(3-run.Last().Phase%2, "2026-03-05", 1, "anna", "") // to 2 and 3 in turn; the first may be where it is
	}
	if len(run.Changes) > 100 || run.Check() != nil {
		t.Errorf("%d changes are kept, %v", len(run.Changes), run.Check())
	}
}

// TestForesight: phases by days and by warmth go on as they did, one that waits for a
// person waits, and the run itself stays where it is.
func TestForesight(t *testing.T) {
	run := started(t, "2026-03-01", days("a", 3), warmth("b", 100, 10), days("c", 2), heats("d", 12), days("e", 1))
	run.Follow("2026-03-05", 1, func(greenhouse.Date) (float64, bool) { return 30, true })
	for date, want := range map[greenhouse.Date]struct {
		phase int
		from  greenhouse.Date
	}{"2026-03-01": {2, "2026-03-04"}, "2026-03-08": {2, "2026-03-04"}, "2026-03-09": {3, "2026-03-09"}, "2026-03-11": {4, "2026-03-11"}, "2027-03-11": {4, "2026-03-11"}} {
		ahead := run.Foresee("2026-03-05", date, time.UTC)
		if last := ahead.Last(); last.Phase != want.phase || last.From != want.from {
			t.Errorf("on %s: phase %d from %s, want %d from %s", date, last.Phase, last.From, want.phase, want.from)
		} else if date > "2026-03-08" && last.At != greenhouse.MillisOf(last.From.Begin(time.UTC)) {
			t.Errorf("on %s: it begins at %v", date, last.At.Time())
		}
	}
	if run.Last().Phase != 2 || run.DegreeDays != 20 {
		t.Errorf("the run itself: %+v", run)
	}
}

// TestCloneStandsAlone: who advances a copy changes nothing for whoever reads the record.
func TestCloneStandsAlone(t *testing.T) {
	run := started(t, "2026-03-01", days("a", 3), heats("b", 12))
	c := run.Clone()
	if !c.Advance("2026-03-04", 1) || len(run.Changes) != 1 || run.Last().Phase != 1 {
		t.Errorf("the record: %+v", run)
	}
	if (*greenhouse.RecipeRun)(nil).Clone() != nil {
		t.Error("a copy of nothing")
	}
}

func TestZoneUnderAPhase(t *testing.T) {
	curve := func(v float64) greenhouse.Curve { return greenhouse.Curve{{At: "06:00", Value: v}} }
	z := &greenhouse.Zone{Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: 10, Night: 10}, greenhouse.DLI: {Day: 9, Night: 9}},
		Schedule: map[greenhouse.Quantity]greenhouse.Curve{greenhouse.Venting: curve(30)}}
	p := greenhouse.Phase{Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: 20, Night: 18}, greenhouse.Venting: {Day: 25, Night: 25}},
		Schedule: map[greenhouse.Quantity]greenhouse.Curve{greenhouse.HumidityMax: curve(80), greenhouse.Venting: curve(26)}}
	under := z.Under(&p)
	switch {
	case under.Targets[greenhouse.Heating].Day != 20, under.Targets[greenhouse.DLI].Day != 9:
		t.Errorf("targets %+v", under.Targets)
	case under.Schedule[greenhouse.HumidityMax][0].Value != 80, under.Schedule[greenhouse.Venting][0].Value != 30:
		t.Errorf("curves %+v", under.Schedule)
	case z.Targets[greenhouse.Heating].Day != 10, len(z.Schedule) != 1, len(p.Schedule) != 2:
		t.Error("the zone or the phase was changed")
	}
}

func TestStatusInWords(t *testing.T) {
	run := started(t, "2026-03-01", days("rooting", 3), warmth("growth", 300, 5), heats("harvest", 12))
	at := func(today greenhouse.Date, now greenhouse.Millis, want string) {
		t.Helper()
		if got := run.Status(today).Text(now); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	at("2026-03-02", 2000, "basil v3, phase 1 rooting, day 2 of 3")
	const change, hour = greenhouse.Millis(1_000_000), greenhouse.Millis(3_600_000)
	run.Advance("2026-03-04", change)
	at("2026-03-04", change+6*hour, "basil v3, phase 2 growth, day 1, 0 of 300 °C·d; 25 % of its 24-h ramp")
	run.Count(25, true)
	at("2026-03-05", change+24*hour, "basil v3, phase 2 growth, day 2, 20 of 300 °C·d")
	if st := run.Status("2026-03-04").On("2026-03-06"); st.Day != 3 || st.Age != 5 {
		t.Errorf("two days later: %+v", st)
	}
}

// TestShorthand: targets and knots are read as people write them, and always written
// in full; what is misspelt is refused.
func TestShorthand(t *testing.T) {
	var p greenhouse.Phase
	text := `{"name":"a","targets":{"heating":20,"venting":{"day":25,"night":23}},"schedule":{"co2":["06:00=800","sunset=400@100",{"at":"22:00","value":400}]}}`
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p)
	if want := `{"name":"a","targets":{"heating":{"day":20,"night":20},"venting":{"day":25,"night":23}},"schedule":{"co2":[{"at":"06:00","value":800},{"at":"sunset","value":400,"ramp":100},{"at":"22:00","value":400}]}}`; err != nil || string(raw) != want {
		t.Errorf("got  %s, %v\nwant %s", raw, err, want)
	}
	for _, bad := range []string{`{"targets":{"heating":"20"}}`, `{"targets":{"heating":{"day":20,"nihgt":1}}}`, `{"targets":{"heating":[20]}}`, `{"schedule":{"heating":["06:00"]}}`,
		`{"schedule":{"heating":[20]}}`, `{"schedule":{"heating":[{"at":"06:00","level":20}]}}`, `{"schedule":{"heating":["25:00=20"]}}`} {
		if err := json.Unmarshal([]byte(bad), &p); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func FuzzShorthand(f *testing.F) {
	for _, s := range []string{`20`, `"06:00=20"`, `{"day":1,"night":2}`, `{"at":"sunrise","value":1}`, `null`, `1e999`, `"=@"`, `[]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var target greenhouse.Target
		if err := json.Unmarshal([]byte(s), &target); err == nil {
			raw, err := json.Marshal(target)
			var again greenhouse.Target
			if err != nil || json.Unmarshal(raw, &again) != nil || again != target {
				t.Errorf("%s became %s and then %+v", s, raw, again)
			}
		}
		var knot greenhouse.Knot
		if err := json.Unmarshal([]byte(s), &knot); err == nil && !strings.Contains(strings.ToLower(s), "inf") && !strings.Contains(strings.ToLower(s), "nan") {
			raw, err := json.Marshal(knot)
			var again greenhouse.Knot
			if err != nil || json.Unmarshal(raw, &again) != nil || again != knot {
				t.Errorf("%s became %s and then %+v", s, raw, again)
			}
		}
	})
}

// TestLawsOfRecipes: each broken law is refused with ErrInvalid and names the phase.
func TestLawsOfRecipes(t *testing.T) {
	if err := recipe(days("a", 1), warmth("b", 100, 5), heats("c", 12)).Check(); err != nil {
		t.Errorf("a good recipe: %v", err)
	}
	inverted := heats("a", 20)
	inverted.Targets[greenhouse.Venting] = greenhouse.Target{Day: 25, Night: 20.9}
	curved := heats("a", 20)
	curved.Schedule = map[greenhouse.Quantity]greenhouse.Curve{greenhouse.DLI: {{At: "06:00", Value: 1}}}
	long := make([]greenhouse.Phase, greenhouse.MaxPhases+1)
	for i := range long {
		long[i] = heats(strings.Repeat("a", i+1), 20)
	}
	both := days("a", 3)
	both.DegreeDays = 10
	for name, r := range map[string]*greenhouse.Recipe{
		"no phases": recipe(), "too many": recipe(long...), "no name": recipe(heats("", 20)), "padded": recipe(heats(" a", 20)), "twice": recipe(heats("a", 20), heats("a", 18)),
		"silent": recipe(greenhouse.Phase{Name: "a", Days: 3}), "backwards": recipe(days("a", -1)), "for ever": recipe(days("a", greenhouse.MaxPhaseDays+1)), "both": recipe(both),
		"no warmth": recipe(warmth("a", math.NaN(), 5)), "cold": recipe(warmth("a", -5, 5)), "endless": recipe(warmth("a", math.Inf(1), 5)), "base": recipe(warmth("a", 5, 31)), "base alone": recipe(warmth("a", 0, 5)),
		"too hot": recipe(heats("a", 46)), "no number": recipe(heats("a", math.NaN())), "inverted": recipe(inverted), "no curve": recipe(curved),
		"no id": {Phases: []greenhouse.Phase{heats("a", 20)}}, "a tab": {ID: "b", Name: "a\tb", Phases: []greenhouse.Phase{heats("a", 20)}},
	} {
		if err := r.Check(); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}
