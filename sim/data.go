package sim

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"greenhouse"
)

// Series is measured or tabulated weather, interpolated between its instants.
// The zero value is empty and stands for still, dark air at 0 °C.
type Series struct {
	from time.Time
	at   []float64 // s after from, rising
	out  []Outside
}

// Record is the weather at one instant.
type Record struct {
	At      time.Time
	Outside Outside
}

// NewSeries returns a series of records in any order. Of two records of one
// instant the later in the slice counts.
func NewSeries(records []Record) (Series, error) {
	if len(records) == 0 {
		return Series{}, greenhouse.Invalid("weather_empty", "the weather has no records")
	}
	sorted := slices.Clone(records)
	slices.SortStableFunc(sorted, func(a, b Record) int { return a.At.Compare(b.At) })
	s := Series{from: sorted[0].At}
	for _, r := range sorted {
		x := r.At.Sub(s.from).Seconds()
		if n := len(s.at); n > 0 && s.at[n-1] == x {
			s.out[n-1] = r.Outside
			continue
		}
		s.at = append(s.at, x)
		s.out = append(s.out, r.Outside)
	}
	return s, nil
}

// Tabulate asks w every step from one instant to another, for a run that needs
// its weather often.
func Tabulate(w Weather, from, to time.Time, step time.Duration) Series {
	s := Series{from: from}
	for t := from; !t.After(to); t = t.Add(step) {
		s.at = append(s.at, t.Sub(from).Seconds())
		s.out = append(s.out, w.At(t))
	}
	return s
}

// Span returns the first and the last instant.
func (s Series) Span() (from, to time.Time) {
	if len(s.at) == 0 {
		return s.from, s.from
	}
	return s.from, s.from.Add(time.Duration(s.at[len(s.at)-1] * float64(time.Second)))
}

// At interpolates; before the first and after the last instant it returns those.
// The wind's direction is taken from the nearer record.
func (s Series) At(t time.Time) Outside {
	if len(s.at) == 0 {
		return Outside{RH: 80, Sky: -10, CO2: 420}
	}
	x := t.Sub(s.from).Seconds()
	i, exact := slices.BinarySearch(s.at, x)
	switch {
	case exact || i == 0:
		return s.out[i]
	case i == len(s.at):
		return s.out[i-1]
	}
	a, b := s.out[i-1], s.out[i]
	share := (x - s.at[i-1]) / (s.at[i] - s.at[i-1])
	mid := func(p, q float64) float64 { return p + (q-p)*share }
	o := Outside{mid(a.Temp, b.Temp), mid(a.RH, b.RH), mid(a.Solar, b.Solar), mid(a.Wind, b.Wind), a.WindDir,
		mid(a.Rain, b.Rain), mid(a.Sky, b.Sky), mid(a.CO2, b.CO2)}
	if share > 0.5 {
		o.WindDir = b.WindDir
	}
	return o
}

// Table is a CSV file by column name. Names lose the blanks around them.
type Table struct {
	columns map[string]int
	rows    [][]string
}

// ReadTable reads a CSV file whose first line names the columns.
func ReadTable(r io.Reader) (*Table, error) {
	c := csv.NewReader(bufio.NewReader(r))
	c.FieldsPerRecord = -1
	rows, err := c.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read table: %w", errors.Join(greenhouse.ErrInvalid, err))
	}
	if len(rows) == 0 {
		return nil, greenhouse.Invalid("table_empty", "the file has no header line")
	}
	t := &Table{columns: map[string]int{}, rows: rows[1:]}
	for i, name := range rows[0] {
		t.columns[strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))] = i
	}
	return t, nil
}

// Len returns the number of rows below the header.
func (t *Table) Len() int { return len(t.rows) }

// Has reports whether all columns exist.
func (t *Table) Has(columns ...string) bool {
	for _, c := range columns {
		if _, ok := t.columns[c]; !ok {
			return false
		}
	}
	return true
}

// Text returns a cell, "" where row or column is missing.
func (t *Table) Text(row int, column string) string {
	i, ok := t.columns[column]
	if !ok || row >= len(t.rows) || i >= len(t.rows[row]) {
		return ""
	}
	return strings.TrimSpace(t.rows[row][i])
}

// Number returns a cell as a number, NaN where it holds none.
func (t *Table) Number(row int, column string) float64 {
	v, err := strconv.ParseFloat(t.Text(row, column), 64)
	if err != nil {
		return math.NaN()
	}
	return v
}
