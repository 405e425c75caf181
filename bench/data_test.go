package bench

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// columns is how many quantities the data has: a climate node's ten values.
const columns = 10

// sampling is the time between two rows, ms.
const sampling = 10_000

// table is the course of ten quantities of one greenhouse, a row every 10 s.
type table struct {
	origin string // where it comes from, for the report
	rows   [][columns]float64
}

// at returns what a node measures at row i; nodes see the same greenhouse at
// different hours, so that no two have the same course.
func (d *table) at(node, i int) *[columns]float64 {
	return &d.rows[(i+node*1117)%len(d.rows)]
}

// stamp returns the time of a node's message at row i: nodes are not on the beat.
func stamp(node, i int) int64 {
	const start = 1_767_225_600_000 // 2026-01-01 00:00 UTC
	h := uint64(node)*0x9e3779b97f4a7c15 ^ uint64(i)*0xd1342543de82ef95
	return start + int64(i)*sampling + int64(node*37%sampling) + int64((h>>32)%40)
}

// loadData reads the real course of a compartment, or makes one with the same
// statistics where the data is not here.
func loadData() (*table, error) {
	for _, dir := range []string{os.Getenv("GREENHOUSE_DATA"), "../../shared/data"} {
		if dir == "" {
			continue
		}
		name := filepath.Join(dir, "agc2022_1", "Reference", "GreenhouseClimate.csv")
		if _, err := os.Stat(name); err == nil {
			return realData(name)
		}
	}
	return madeData(), nil
}

// realData interpolates the records, about every five minutes, to 10 s. Where
// two neighbouring records differ, noise of half a step of the column's own
// resolution is added: a line drawn with a ruler would compress too well.
func realData(name string) (*table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	all, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	var index [columns]int
	for c, want := range []string{"Tair", "Rhair", "CO2air", "HumDef", "VentLee", "VentWind", "EnScr", "Tpipe", "PARin", "Tair_sigrow"} {
		index[c] = slices.Index(all[0], want)
	}
	var times []int64
	var records [][columns]float64
	var last [columns]float64
	for _, rec := range all[1:] {
		at, err := time.Parse("1/2/2006 15:04", rec[0])
		if err != nil {
			continue
		}
		for c, i := range index {
			if v, err := strconv.ParseFloat(rec[i], 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
				last[c] = v
			}
		}
		times, records = append(times, at.UnixMilli()), append(records, last)
	}
	return &table{origin: "real climate of a lettuce compartment (agc2022_1), interpolated to 10 s", rows: interpolate(times, records)}, nil
}

func interpolate(times []int64, records [][columns]float64) [][columns]float64 {
	steps := resolutions(records)
	rnd := rand.New(rand.NewPCG(1, 2))
	var rows [][columns]float64
	for k, t := 0, times[0]; t < times[len(times)-1]; t += sampling {
		for times[k+1] <= t {
			k++
		}
		part := float64(t-times[k]) / float64(times[k+1]-times[k])
		var row [columns]float64
		for c := range row {
			a, b := records[k][c], records[k+1][c]
			v := a + (b-a)*part
			if a != b {
				v += rnd.NormFloat64() * 0.5 / steps[c]
			}
			row[c] = math.Round(v*steps[c])/steps[c] + 0
		}
		rows = append(rows, row)
	}
	return rows
}

// resolutions finds how many steps a unit has in each column: 1, 10 or 100.
func resolutions(records [][columns]float64) (steps [columns]float64) {
	for c := range steps {
		for steps[c] = 1; steps[c] < 100; steps[c] *= 10 {
			odd := 0
			for _, r := range records {
				if x := r[c] * steps[c]; math.Abs(x-math.Round(x)) > 1e-6 {
					odd++
				}
			}
			if odd*100 <= len(records) {
				break
			}
		}
	}
	return steps
}

// madeData is a month with the swing, noise and resolution of the real one.
func madeData() *table {
	level := [columns]float64{18, 75, 600, 4, 15, 5, 50, 35, 120, 18}
	swing := [columns]float64{5, 12, 150, 2, 15, 5, 50, 15, 120, 5}
	noise := [columns]float64{0.05, 0.3, 4, 0.03, 0, 0, 0, 0.3, 3, 0.05}
	steps := [columns]float64{10, 10, 1, 100, 10, 10, 10, 10, 1, 100}
	rnd := rand.New(rand.NewPCG(3, 4))
	rows := make([][columns]float64, 31*8640)
	for i := range rows {
		day := math.Sin(2 * math.Pi * float64(i%8640) / 8640)
		for c := range rows[i] {
			level[c] += rnd.NormFloat64() * noise[c] / 10
			rows[i][c] = math.Round((level[c]+swing[c]*day+rnd.NormFloat64()*noise[c])*steps[c])/steps[c] + 0
		}
	}
	return &table{origin: "synthetic climate (the real data is not here: GREENHOUSE_DATA)", rows: rows}
}
