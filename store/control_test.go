package store_test

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"greenhouse"
	"greenhouse/store"
)

// TestDocumentedRangesHold reads the ranges of the parameters from docs/control.md:
// what they promise is taken, and what lies beyond is refused by name.
func TestDocumentedRangesHold(t *testing.T) {
	page, err := os.ReadFile("../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, options(t))
	zones(t, s, "north")
	set := func(name string, v float64) error {
		return s.Update(func(tx *store.Tx) error {
			_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) error {
				z.Control = greenhouse.Control{}
				return json.Unmarshal([]byte(`{"`+name+`":`+strconv.FormatFloat(v, 'f', -1, 64)+`}`), &z.Control)
			})
			return err
		})
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\|[^|]*\\|[^|]*\\| (-?[0-9.]+) to ([0-9.]+)")
	rows := row.FindAllStringSubmatch(string(page), -1)
	if len(rows) < 20 {
		t.Fatalf("only %d parameters with a range", len(rows))
	}
	for _, m := range rows {
		name := m[1]
		lo, _ := strconv.ParseFloat(m[2], 64)
		hi, _ := strconv.ParseFloat(m[3], 64)
		for _, v := range []float64{math.Floor(lo) - 1, hi + 1} {
			if v == 0 {
				v = lo / 2 // 0 is the default
			}
			if err := set(name, v); err == nil || !strings.HasPrefix(code(err), name) {
				t.Errorf("%s = %g, beyond %g to %g: %v", name, v, lo, hi, err)
			}
		}
		for _, v := range []float64{lo, hi} {
			if err := set(name, v); err != nil && code(err) != "limits_inverted" {
				t.Errorf("%s = %g, within %g to %g: %v", name, v, lo, hi, err)
			}
		}
	}
}
