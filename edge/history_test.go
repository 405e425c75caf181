package edge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
	"greenhouse/wire"
)

// TestDaysOfTheSite sends a reading every ten minutes over the days on which the
// clocks change, and asks for days: they run from midnight to midnight at the
// site and have 23, 24 and 25 hours, in memory, sealed and packed, and after a
// restart.
func TestDaysOfTheSite(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := start(t)
		h.update(func(tx *store.Tx) error {
			_, err := tx.SetSite(greenhouse.Site{Name: "Home", TimeZone: "Europe/Amsterdam", Latitude: 52, Longitude: 4.5}, 0)
			return err
		})
		loc, err := time.LoadLocation("Europe/Amsterdam")
		if err != nil {
			t.Fatal(err)
		}
		secret := h.register(box, "", channels("ppfd")...)
		d := h.login(string(box), secret)
		const point = "@" + string(box) + "/ppfd"
		seq := 0
		fill := func(from, to time.Time) {
			for at := from; at.Before(to); {
				var batch []string
				for ; at.Before(to) && len(batch) < 100; at = at.Add(10 * time.Minute) {
					batch = append(batch, fmt.Sprintf(`{"ts":%d,"m":{"ppfd":100}}`, at.UnixMilli()))
				}
				seq++
				d.tell(topic(wire.KindTelemetry, box), fmt.Sprintf(`{"v":1,"boot":"a","seq":%d,"batch":[%s]}`, seq, strings.Join(batch, ",")))
			}
		}
		day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, loc) }
		fill(day(2025, 3, 29), day(2025, 4, 1))
		fill(day(2025, 10, 25), day(2025, 10, 28))
		want := []struct {
			day   time.Time
			hours int
		}{{day(2025, 3, 29), 24}, {day(2025, 3, 30), 23}, {day(2025, 3, 31), 24}, {day(2025, 10, 25), 24}, {day(2025, 10, 26), 25}, {day(2025, 10, 27), 24}}
		check := func(how string) {
			t.Helper()
			var days, hours api.History
			h.must("GET", "/points/"+strings.ReplaceAll(point, "/", "%2F")+"/history?step=1d&from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", nil, &days)
			h.must("GET", "/points/"+strings.ReplaceAll(point, "/", "%2F")+"/history?step=1h&from=2025-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", nil, &hours)
			if len(days.Samples) != len(want) {
				t.Fatalf("%s: %d days, want %d: %+v", how, len(days.Samples), len(want), days.Samples)
			}
			total := 0
			for i, w := range want {
				s := days.Samples[i]
				total += w.hours
				// The first reading of a stretch has none before it, so its day has ten minutes less.
				light := 100e-6 * float64(w.hours) * 3600
				if i%3 == 0 {
					light -= 100e-6 * 600
				}
				if s.TS != greenhouse.MillisOf(w.day) || s.Count != 6*w.hours || api.Val(s.Integral) < light-1e-9 || api.Val(s.Integral) > light+1e-9 {
					t.Errorf("%s: day %v has %d readings, %v mol; want %v, %d, %v", how, s.TS.Time().In(loc), s.Count, api.Val(s.Integral), w.day, 6*w.hours, light)
				}
			}
			if len(hours.Samples) != total {
				t.Errorf("%s: %d hours, want %d", how, len(hours.Samples), total)
			}
		}
		check("in memory")
		if err := h.History().Seal(); err != nil {
			t.Fatal(err)
		}
		check("sealed")
		if err := h.History().Maintain(); err != nil {
			t.Fatal(err)
		}
		check("packed")
		d.Close(true)
		h.stop()
		h.run()
		check("after a restart")
	})
}
