package edge_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/edge"
	"greenhouse/store"
	"greenhouse/telemetry"
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

// TestHistoryGivesWayToItsSummaries: days go by age and then by the disk budget. Light,
// water and temperature of each day are told as before, sums of what adds up over time
// included; the journal says what went and why, doctor counts it, and raw history says
// that it has been thinned.
func TestHistoryGivesWayToItsSummaries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		keep, budget := 30*24*time.Hour, int64(0)
		h := start(t, func(o *edge.Options) { o.Retention, o.HistoryMaxBytes = keep, budget })
		secret := h.register(box, "", channels("ppfd", "flow", "air_temp")...)
		d := h.login(string(box), secret)
		now := time.Now()
		today := now.Truncate(24 * time.Hour)
		seq := 0
		for at := today.AddDate(0, 0, -8); at.Before(now); {
			var batch []string
			for ; at.Before(now) && len(batch) < 100; at = at.Add(10 * time.Minute) {
				batch = append(batch, fmt.Sprintf(`{"ts":%d,"m":{"ppfd":%d,"flow":%d,"air_temp":%d}}`, at.UnixMilli(), 100+at.Hour(), 1+at.Hour()%3, 15+at.Hour()))
			}
			seq++
			d.tell(topic(wire.KindTelemetry, box), fmt.Sprintf(`{"v":1,"boot":"a","seq":%d,"batch":[%s]}`, seq, strings.Join(batch, ",")))
		}
		ask := func(name, step string) (a api.History) {
			t.Helper()
			h.must("GET", fmt.Sprintf("/points/@%s%%2F%s/history?step=%s&from=%s&to=%s", box, name, step, today.AddDate(0, 0, -8).Format(time.RFC3339), now.Format(time.RFC3339)), nil, &a)
			return a
		}
		days := func() (all []api.History) {
			for _, name := range []string{"ppfd", "flow", "air_temp"} {
				a := ask(name, "1d")
				a.Gaps = nil
				all = append(all, a)
			}
			return all
		}
		want := days()
		if len(want[0].Samples) < 8 || want[0].IntegralUnit != "mol/m²" || want[1].IntegralUnit != "L" || want[2].IntegralUnit != "" {
			t.Fatalf("days are told as %+v", want)
		}
		if err := h.History().Seal(); err != nil {
			t.Fatal(err)
		}
		wear := func() (c api.Check) {
			t.Helper()
			pass(61 * time.Minute)
			var doctor api.Doctor
			h.must("GET", "/doctor", nil, &doctor)
			for _, c = range doctor.Checks {
				if c.ID == api.CheckDiskWear {
					return c
				}
			}
			t.Fatal("doctor does not look at the disk")
			return c
		}
		again := func(why, words string) {
			t.Helper()
			before := len(h.events("history_dropped"))
			h.stop()
			h.run()
			for range 2 {
				if err := h.History().Maintain(); err != nil {
					t.Fatal(err)
				}
			}
			c := wear()
			events := h.events("history_dropped")[before:]
			if len(events) == 0 {
				t.Fatalf("%s: nothing in the journal", why)
			}
			for _, e := range events {
				if text := string(e.Detail); !strings.Contains(text, why) || !strings.Contains(text, "readings") || !strings.Contains(text, `"summaries_kept":true`) {
					t.Errorf("%s: event %s", why, e.Detail)
				}
			}
			if n := h.History().Stats().DaysDropped; int(n) != len(events) || !strings.Contains(c.Text, fmt.Sprintf(words, n)) || !strings.Contains(c.Text, "summaries of what is older occupy") ||
				strings.Contains(c.Text, "it may have") != (budget > 0) || c.Values["max_bytes"] != float64(budget) {
				t.Errorf("%s: %d days dropped, %d events, doctor says %q", why, n, len(events), c.Text)
			}
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b)) })
			if diff := cmp.Diff(want, days(), near); diff != "" {
				t.Errorf("%s: days are told otherwise (-before +now):\n%s", why, diff)
			}
			thinned := false
			for _, g := range ask("ppfd", "raw").Gaps {
				thinned = thinned || g.Cause == telemetry.CauseThinned && g.Count == 0
			}
			if !thinned {
				t.Errorf("%s: raw history does not say that it is thinned", why)
			}
		}
		keep = 5 * 24 * time.Hour
		again("age", "%d days were dropped by age, 0 for the disk budget")
		// Only of what adds up over time is a sum kept.
		for name, kept := range map[string]bool{"ppfd": true, "flow": true, "air_temp": false} {
			r, err := h.History().History(context.Background(), telemetry.Query{Point: greenhouse.NodePoint(box, greenhouse.ChannelName(name)), To: greenhouse.MillisOf(today.AddDate(0, 0, -7)), Step: telemetry.StepDay, Integral: true})
			if err != nil || len(r.Samples) != 1 || math.IsNaN(r.Samples[0].Integral) == kept {
				t.Errorf("%s: %+v, %v: a sum should be kept: %v", name, r.Samples, err, kept)
			}
		}
		budget = h.History().Stats().DayBytes
		again("disk budget", "0 days were dropped by age, %d for the disk budget")
	})
}
