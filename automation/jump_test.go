package automation_test

import (
	"fmt"
	"math"
	"testing"
	"time"
	"unsafe"

	"greenhouse"
	"greenhouse/automation"
)

// stepped returns a time whose monotonic reading is that of at, and whose wall
// reading is another: what a step of the machine's clock makes of it. No function
// of package time can; it reaches into the layout that its source documents.
func stepped(t *testing.T, at, wall time.Time) time.Time {
	t.Helper()
	const hasMonotonic, nsecShift = 1 << 63, 30
	word := (*uint64)(unsafe.Pointer(&at))
	if *word&hasMonotonic == 0 {
		t.Fatal("no monotonic reading to keep")
	}
	*word += uint64(wall.Unix()-at.Unix()) << nsecShift
	return at
}

// walk is a house on a monotonic clock, whose wall clock the test moves.
type walk struct {
	*house
	began time.Time
	went  time.Duration
	wall  time.Time // at went 0

	date   string
	of     int // local date, days since 1970, that sums are of
	dli    float64
	begun  map[string]int // how often the sums of a local date began
	rises  map[string]int // of the crop's day, by local date
	lit    map[string]time.Duration
	wasDay bool
}

// newWalk is a house in Amsterdam with lamps and a light sum to reach, that has
// spent something on drying.
func newWalk(t *testing.T, zone string, at time.Time) *walk {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, at, "air_temp", "air_rh", "solar", "heater", "lamp")
	h.loc = loc
	h.site.TimeZone = zone
	h.zone.DayFrom, h.zone.DayUntil = "06:00", "20:00"
	h.target(greenhouse.Heating, 18, 15)
	h.target(greenhouse.DLI, 40, 40)
	h.set("air_temp", 17)
	h.set("air_rh", 70)
	h.set("solar", 50)
	return &walk{house: h, began: time.Now(), wall: at, begun: map[string]int{}, rises: map[string]int{}, lit: map[string]time.Duration{}}
}

// jump moves the wall clock alone.
func (w *walk) jump(by time.Duration) { w.wall = w.wall.Add(by) }

// pass decides every 15 s for a while and notes what began.
func (w *walk) pass(d time.Duration) {
	for end := w.went + d; w.went < end; {
		w.went += 15 * time.Second
		w.now = stepped(w.t.(*testing.T), w.began.Add(w.went), w.wall.Add(w.went))
		w.step()
		date := w.now.In(w.loc).Format(time.DateOnly)
		m := w.st.Memory()
		if w.date == "" || m.DLI < 0.01 && (m.DLI < w.dli || m.Date != w.of) {
			w.begun[date]++
		}
		w.of = m.Date
		if w.dli = w.last.Climate.DLI; w.last.Day && !w.wasDay && w.date != "" {
			w.rises[date]++
		}
		if w.wasDay, w.date = w.last.Day, date; w.level("lamp") > 0 {
			w.lit[date] += 15 * time.Second
		}
	}
}

// until goes on to a wall time, in the location of the house.
func (w *walk) until(clock time.Time) { w.pass(clock.Sub(w.wall.Add(w.went))) }

// TestJumpsBeginNoDateTwice: NTP takes the clock away and back again, at night, at
// noon and before midnight, by hours and by a year. Every local date begins once,
// and what was counted of the day that is, light and heat for drying, is still
// counted when the clock is right again.
func TestJumpsBeginNoDateTwice(t *testing.T) {
	const h, year = time.Hour, 365 * 24 * time.Hour
	for _, by := range []time.Duration{h, -h, 5 * h, -5 * h, 24 * h, -24 * h, year, -year, 40 * year} {
		for _, clock := range []string{"00:30", "03:00", "12:00", "19:30", "23:40"} {
			t.Run(fmt.Sprint(by, " at ", clock), func(t *testing.T) {
				w := newWalk(t, "Europe/Amsterdam", time.Date(2026, 4, 14, 20, 0, 0, 0, time.UTC))
				at, err := time.ParseInLocation("2006-01-02 15:04", "2026-04-15 "+clock, w.loc)
				if err != nil {
					t.Fatal(err)
				}
				w.until(at)
				before := w.st.Memory()
				w.jump(by)
				w.pass(20 * time.Minute)
				w.jump(-by)
				w.pass(15 * time.Second)
				if after := w.st.Memory(); after.Date == before.Date && (after.DLI < before.DLI || after.DryKWh < before.DryKWh) {
					t.Errorf("the sums of the day were %.3f mol and %.4f kWh, and are %.3f and %.4f", before.DLI, before.DryKWh, after.DLI, after.DryKWh)
				}
				w.until(time.Date(2026, 4, 16, 1, 0, 0, 0, w.loc))
				for date, n := range w.begun {
					if n != 1 {
						t.Errorf("%s began %d times", date, n)
					}
				}
				if w.begun["2026-04-15"] != 1 || w.begun["2026-04-16"] != 1 {
					t.Errorf("begun: %v", w.begun)
				}
			})
		}
	}
}

// TestDatesOfTheCalendar: over changes of summer time, the leap day, the turn of the
// year, in the polar night and day and far from Greenwich, each local date begins
// once, its day comes once, and lamps leave the crop its dark.
func TestDatesOfTheCalendar(t *testing.T) {
	for _, c := range []struct {
		name, zone, from string
		latitude         float64
		solar            bool // day by the sun
		days             int
	}{
		{"spring forward", "Europe/Amsterdam", "2026-03-28", 52, false, 3},
		{"fall back", "Europe/Amsterdam", "2026-10-24", 52, false, 3},
		{"a day that begins at one", "America/Santiago", "2026-09-05", -33, false, 3},
		{"summer time by half an hour", "Australia/Lord_Howe", "2026-10-03", -31, false, 3},
		{"leap day", "Europe/Amsterdam", "2028-02-28", 52, false, 3},
		{"no leap day", "Europe/Amsterdam", "2100-02-28", 52, false, 3},
		{"turn of the year", "Pacific/Auckland", "2026-12-30", -37, false, 4},
		{"polar night", "Europe/Oslo", "2026-12-20", 70, true, 3},
		{"polar day", "Europe/Oslo", "2026-06-20", 70, true, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			loc, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			first, err := time.ParseInLocation(time.DateOnly, c.from, loc)
			if err != nil {
				t.Fatal(err)
			}
			w := newWalk(t, c.zone, first.Add(-time.Hour))
			w.site.Latitude, w.site.Longitude = c.latitude, 25
			if c.solar {
				w.zone.DayFrom, w.zone.DayUntil = "sunrise", "sunset"
			}
			w.until(time.Date(first.Year(), first.Month(), first.Day()+c.days, 0, 30, 0, 0, loc))
			for i := range c.days {
				date := time.Date(first.Year(), first.Month(), first.Day()+i, 12, 0, 0, 0, loc).Format(time.DateOnly)
				if w.begun[date] != 1 || w.rises[date] != 1 {
					t.Errorf("%s began %d times, and its day %d times", date, w.begun[date], w.rises[date])
				}
				if lit := w.lit[date]; lit < 12*time.Hour || lit > 15*time.Hour {
					t.Errorf("%s: lamps burnt for %v of a day of fourteen hours", date, lit)
				}
			}
		})
	}
}

// TestMovedTimeZone: the site is put into another time zone at noon, and back. No
// date begins twice, and that of the new place begins once.
func TestMovedTimeZone(t *testing.T) {
	w := newWalk(t, "Europe/Amsterdam", time.Date(2026, 4, 14, 20, 0, 0, 0, time.UTC))
	amsterdam := w.loc
	w.until(time.Date(2026, 4, 15, 13, 0, 0, 0, amsterdam))
	before := w.last.Climate.DLI
	for _, zone := range []string{"America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Amsterdam"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		w.loc = loc
		w.pass(10 * time.Minute)
	}
	if got := w.last.Climate.DLI; got < before {
		t.Errorf("the light sum of the day is %v, it was %v", got, before)
	}
	w.until(time.Date(2026, 4, 16, 0, 30, 0, 0, amsterdam))
	for date, n := range w.begun {
		if n > 1 {
			t.Errorf("%s began %d times", date, n)
		}
	}
}

// TestUnknownTimeBeginsNothing: a restart without a trusted clock goes on with the
// sums of the day as they were; when the clock comes, the same date goes on too.
func TestUnknownTimeBeginsNothing(t *testing.T) {
	w := newWalk(t, "Europe/Amsterdam", time.Date(2026, 4, 15, 6, 0, 0, 0, time.UTC))
	w.zone.Control.HeaterWM2 = 200
	w.target(greenhouse.HumidityMax, 80, 80)
	w.set("air_rh", 90)
	w.set("air_temp", 18.5)
	w.pass(2 * time.Hour)
	before := w.st.Memory()
	if before.DLI == 0 || before.DryKWh == 0 {
		t.Fatalf("nothing was counted: %+v", before)
	}
	w.st = automation.State{}
	w.st.Restore(before)
	w.in.Trusted = false
	w.jump(-50 * 365 * 24 * time.Hour)
	w.pass(time.Hour)
	blind := w.st.Memory()
	w.in.Trusted = true
	w.jump(50 * 365 * 24 * time.Hour)
	w.pass(time.Hour)
	after := w.st.Memory()
	if blind.Date != before.Date || blind.DLI < before.DLI || blind.DryKWh < before.DryKWh {
		t.Errorf("without the time: %+v, was %+v", blind, before)
	}
	if after.Date != before.Date || after.DLI < blind.DLI || after.DryKWh < blind.DryKWh || math.IsNaN(after.DLI) {
		t.Errorf("with the time again: %+v, was %+v", after, blind)
	}
}
