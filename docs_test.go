package greenhouse_test

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"greenhouse"
)

// table returns the rows of the table of a page whose header begins with the given
// cells, each as its cells.
func table(t testing.TB, page string, header ...string) (rows [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docs", page))
	if err != nil {
		t.Fatal(err)
	}
	cells := func(line string) (list []string) {
		for _, c := range strings.Split(strings.Trim(line, "|"), "|") {
			list = append(list, strings.TrimSpace(c))
		}
		return list
	}
	in := false
	for line := range strings.SplitSeq(string(text), "\n") {
		switch is := strings.HasPrefix(line, "|"); {
		case !is:
			in = false
		case in && !strings.HasPrefix(line, "|---"):
			rows = append(rows, cells(line))
		case !in:
			c := cells(line)
			in = len(c) >= len(header) && slices.Equal(c[:len(header)], header)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("docs/%s has no table of %v", page, header)
	}
	return rows
}

// TestParametersAreDocumented holds docs/control.md against the parameters that a
// zone has: every one is there, with its default, and nothing else is.
func TestParametersAreDocumented(t *testing.T) {
	documented := map[string][]string{}
	for _, row := range table(t, "control.md", "Parameter", "Unit", "Default", "Range") {
		name := strings.Trim(row[0], "`")
		if documented[name] != nil {
			t.Errorf("%s is documented twice", name)
		}
		if documented[name] = row; len(row) != 6 || row[1] == "" || row[2] == "" || row[4] == "" || row[5] == "" {
			t.Errorf("%s: unit, default, meaning and advice are needed: %q", name, row)
		}
	}
	defaults := reflect.ValueOf(greenhouse.Control{}.Defaults())
	for i := range defaults.NumField() {
		name, _, _ := strings.Cut(defaults.Type().Field(i).Tag.Get("json"), ",")
		row, ok := documented[name]
		if !ok {
			t.Errorf("%s is a parameter and not documented", name)
			continue
		}
		delete(documented, name)
		var want float64
		switch f := defaults.Field(i); f.Kind() {
		case reflect.Float64:
			want = f.Float()
		case reflect.Int:
			want = float64(f.Int())
		}
		got, err := strconv.ParseFloat(row[2], 64)
		if want == 0 && err == nil || want != 0 && got != want {
			t.Errorf("%s: its default is %v, and %q is documented", name, want, row[2])
		}
	}
	for name := range documented {
		t.Errorf("%s is documented and no parameter", name)
	}
}

// TestClassesAreDocumented holds the table of equipment classes against what
// protects them.
func TestClassesAreDocumented(t *testing.T) {
	none := func(d time.Duration) string {
		switch {
		case d == 0:
			return "–"
		case d%time.Hour == 0:
			return strconv.Itoa(int(d/time.Hour)) + " h"
		case d%time.Minute == 0 && d >= 10*time.Minute:
			return strconv.Itoa(int(d/time.Minute)) + " min"
		}
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
	pair := func(a, b string) string {
		if a == "–" && b == "–" {
			return "–"
		}
		return a + " / " + b
	}
	classes := map[greenhouse.Class]bool{}
	for _, row := range table(t, "control.md", "Class", "Shortest on / off") {
		c, err := greenhouse.ParseClass(strings.Trim(row[0], "`"))
		if err != nil {
			t.Error(err)
			continue
		}
		classes[c] = true
		s := c.Spec()
		times, starts := "–", "–"
		if s.MinOn+s.MinOff > 0 {
			if times = strconv.Itoa(int(s.MinOn.Seconds())) + " / " + strconv.Itoa(int(s.MinOff.Seconds())) + " s"; s.MinOn == 0 {
				times = "–" + times[1:]
			}
		}
		if s.StartsPerHour > 0 {
			starts = strconv.Itoa(s.StartsPerHour)
		}
		if s.Modulating {
			starts += " moves"
			if step := strconv.Itoa(int(math.Round(100 * s.MinStep))); !strings.Contains(row[7], step+" % or more") {
				t.Errorf("%s moves by %s %% at least: %q", c, step, row[7])
			}
		}
		safe := map[string]float64{"off": 0, "shut": 0, "open": 0, "on": 1}
		for i, want := range []string{times, starts, none(s.MaxRun), pair(none(s.MaxOnHour), none(s.MaxOnDay)), none(s.Lease)} {
			if row[i+1] != want {
				t.Errorf("%s: %q is documented where the class has %q", c, row[i+1], want)
			}
		}
		if level, ok := safe[row[6]]; !ok || level != s.Safe {
			t.Errorf("%s: %q is documented as safe, it is %g", c, row[6], s.Safe)
		}
	}
	if len(classes) != 15 {
		t.Errorf("%d classes are documented, want 15", len(classes))
	}
}

// TestSensorTestsAreDocumented holds the table of sensor tests against the tests.
func TestSensorTestsAreDocumented(t *testing.T) {
	for _, row := range table(t, "control.md", "Quantity", "Range", "Failed") {
		for name := range strings.SplitSeq(strings.Split(row[0], ", ")[0], " ") {
			n := greenhouse.ChannelName(strings.Trim(name, "`"))
			if _, ok := greenhouse.StandardChannel(n); !ok || strings.Contains(row[0], ",") {
				continue
			}
			tests := greenhouse.SensorTestsOf(n)
			number := func(v float64) string {
				return strings.ReplaceAll(strings.ReplaceAll(strconv.FormatFloat(v, 'f', -1, 64), "-", "−"), "10000", "10,000")
			}
			if want := number(tests.Min) + " to " + number(tests.Max); !strings.HasPrefix(row[1], want) {
				t.Errorf("%s: range %q is documented, it is %s", n, row[1], want)
			}
			for _, f := range tests.Failed {
				if !math.IsNaN(f) && !slices.Contains(strings.Split(row[2], ", "), number(f)) {
					t.Errorf("%s: %s is a failure, and documented are %q", n, number(f), row[2])
				}
			}
			if fields := strings.Fields(row[4]); tests.Rate > 0 && (len(fields) == 0 || fields[0] != number(tests.Rate)) {
				t.Errorf("%s: %s a minute is believed, and %q is documented", n, number(tests.Rate), row[4])
			}
			if hours := strconv.Itoa(int(tests.Flat.Hours())) + " h"; tests.Flat > 0 && row[5] != hours {
				t.Errorf("%s: flat for %s, and %q is documented", n, hours, row[5])
			}
		}
	}
}
