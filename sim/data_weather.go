package sim

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"greenhouse"
)

// outdoorCO2 is assumed where a file says nothing, in ppm.
const outdoorCO2 = 420

// agcWeather names the columns of one generation of AGC weather files.
type agcWeather struct {
	time, layout, temp, rh, solar, wind, dir, rain, net string
}

// ReadAGC reads the weather of an Autonomous Greenhouse Challenge, editions
// 2022.1 and 2022.2, told apart by their columns. Times stand in the file
// without a zone and are read in loc. Rows with a gap are left out.
func ReadAGC(r io.Reader, loc *time.Location) (Series, error) {
	t, err := ReadTable(r)
	if err != nil {
		return Series{}, err
	}
	for _, c := range []agcWeather{
		{"Date", "1/2/2006 15:04", "Tout", "Rhout", "Iglob", "Windsp", "Winddir", "Rain", "Pyrgeo"},
		{"timestamp", time.DateTime, "T_Out", "rh_Out", "rad_Out", "airflow_Out", "wind_direction", "is_rain", "heat_emission"},
	} {
		if t.Has(c.time, c.temp, c.rh, c.solar, c.wind, c.dir, c.rain, c.net) {
			return c.series(t, loc)
		}
	}
	return Series{}, greenhouse.Invalid("weather_columns", "the file has not the columns of an AGC 2022 weather file")
}

func (c agcWeather) series(t *Table, loc *time.Location) (Series, error) {
	var records []Record
	for i := range t.Len() {
		at, err := time.ParseInLocation(c.layout, t.Text(i, c.time), loc)
		if err != nil {
			return Series{}, rowError(i, err)
		}
		o := Outside{
			Temp: t.Number(i, c.temp), RH: t.Number(i, c.rh), Solar: t.Number(i, c.solar), Wind: t.Number(i, c.wind),
			// The station counts the compass in 128 steps and says only whether
			// it rains: 1 mm/h is a moderate rain.
			WindDir: math.Mod(t.Number(i, c.dir)*360/128, 360), Rain: t.Number(i, c.rain), CO2: outdoorCO2,
		}
		o.Sky = skyFromNet(o.Temp, t.Number(i, c.net))
		if o.complete() {
			records = append(records, Record{at, o})
		}
	}
	return NewSeries(records)
}

func rowError(row int, err error) error {
	return fmt.Errorf("read row %d: %w", row+2, errors.Join(greenhouse.ErrInvalid, err))
}

// complete reports whether no value is missing.
func (o Outside) complete() bool {
	sum := o.Temp + o.RH + o.Solar + o.Wind + o.WindDir + o.Rain + o.Sky + o.CO2
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

// ReadTMY3 reads a typical year in the format TMY3 of NREL. Its hours, which
// stem from different years, are placed one after the other in the given year.
func ReadTMY3(r io.Reader, year int) (Series, error) {
	in := bufio.NewReader(r)
	station, err := in.ReadString('\n')
	if err != nil {
		return Series{}, rowError(-1, err)
	}
	head := strings.Split(strings.TrimSpace(station), ",")
	if len(head) < 7 {
		return Series{}, greenhouse.Invalid("weather_station", "the first line of a TMY3 file names station, state, zone, latitude, longitude and height")
	}
	zone, err := strconv.ParseFloat(head[3], 64)
	if err != nil {
		return Series{}, rowError(-1, err)
	}
	t, err := ReadTable(in)
	if err != nil {
		return Series{}, err
	}
	const date, clock = "Date (MM/DD/YYYY)", "Time (HH:MM)"
	if !t.Has(date, clock, "Dry-bulb (C)", "RHum (%)", "GHI (W/m^2)") {
		return Series{}, greenhouse.Invalid("weather_columns", "the file has not the columns of a TMY3 file")
	}
	var records []Record
	for i := range t.Len() {
		at, err := typicalHour(t.Text(i, date), t.Text(i, clock), year, zone)
		if err != nil {
			return Series{}, rowError(i+1, err)
		}
		o := Outside{
			Temp: t.Number(i, "Dry-bulb (C)"), RH: t.Number(i, "RHum (%)"), Solar: t.Number(i, "GHI (W/m^2)"),
			Wind: t.Number(i, "Wspd (m/s)"), WindDir: math.Mod(t.Number(i, "Wdir (degrees)"), 360), CO2: outdoorCO2,
			Rain: max(0, t.Number(i, "Lprecip depth (mm)")),
		}
		if math.IsNaN(o.Rain) {
			o.Rain = 0
		}
		o.Sky = skyTemperature(o.Temp, t.Number(i, "Dew-point (C)"), t.Number(i, "TotCld (tenths)")/10)
		if o.complete() {
			records = append(records, Record{at, o})
		}
	}
	return NewSeries(records)
}

// typicalHour returns the middle of the hour that ends at clock, local standard
// time; "24:00" ends the day.
func typicalHour(date, clock string, year int, zone float64) (time.Time, error) {
	d, err := time.Parse("01/02/2006", date)
	if err != nil {
		return time.Time{}, err
	}
	h, err := strconv.Atoi(strings.TrimSuffix(clock, ":00"))
	if err != nil {
		return time.Time{}, err
	}
	return time.Date(year, d.Month(), d.Day(), h, -30, 0, 0, time.FixedZone("", int(zone*3600))), nil
}

// ReadEPW reads a typical year in EnergyPlus weather format. Its hours are
// placed one after the other in the given year.
func ReadEPW(r io.Reader, year int) (Series, error) {
	raw, err := io.ReadAll(r)
	if err != nil {
		return Series{}, fmt.Errorf("read weather: %w", err)
	}
	c := csv.NewReader(bytes.NewReader(raw))
	c.FieldsPerRecord = -1
	rows, err := c.ReadAll()
	if err != nil {
		return Series{}, fmt.Errorf("read weather: %w", errors.Join(greenhouse.ErrInvalid, err))
	}
	if len(rows) < 9 || rows[0][0] != "LOCATION" || len(rows[0]) < 10 {
		return Series{}, greenhouse.Invalid("weather_station", "the file does not start with the LOCATION line of an EPW file")
	}
	zone, err := strconv.ParseFloat(rows[0][8], 64)
	if err != nil {
		return Series{}, rowError(-1, err)
	}
	var records []Record
	for i, row := range rows[8:] {
		rec, err := epwRecord(row, year, zone)
		if err != nil {
			return Series{}, rowError(i+7, err)
		}
		if rec.Outside.complete() {
			records = append(records, rec)
		}
	}
	return NewSeries(records)
}

// epwRecord reads one hour; the columns are numbered by the format.
func epwRecord(row []string, year int, zone float64) (Record, error) {
	const month, day, hour, dry, rh, down, ghi, dir, speed, rain = 1, 2, 3, 6, 8, 12, 13, 20, 21, 33
	if len(row) <= rain {
		return Record{}, greenhouse.Invalid("weather_columns", "the row has %d columns, an EPW row has 35", len(row))
	}
	n := make([]float64, rain+1)
	for _, i := range []int{month, day, hour, dry, rh, down, ghi, dir, speed, rain} {
		v, err := strconv.ParseFloat(strings.TrimSpace(row[i]), 64)
		if err != nil {
			return Record{}, err
		}
		n[i] = v
	}
	o := Outside{Temp: n[dry], RH: n[rh], Solar: n[ghi], Wind: n[speed], WindDir: math.Mod(n[dir], 360), CO2: outdoorCO2, Sky: skyFromDown(n[down])}
	if n[rain] < 900 { // 999 means missing
		o.Rain = n[rain]
	}
	at := time.Date(year, time.Month(n[month]), int(n[day]), int(n[hour]), -30, 0, 0, time.FixedZone("", int(zone*3600)))
	return Record{at, o}, nil
}
