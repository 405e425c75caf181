package edge_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/edge"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

// TestBootWithoutTheTime: a machine begins in 1970 and learns the time after an
// hour. A node without a clock is seen and steers its zone from its first reading
// on; when the time is known its readings move to where they belong, history and
// journal say so, and one with a clock of its own is left alone.
func TestBootWithoutTheTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var behind atomic.Int64
		begin := time.Now()
		behind.Store(int64(begin.Sub(time.Date(1970, 1, 1, 0, 0, 40, 0, time.UTC)).Truncate(time.Second)))
		c := newCabin(t, func(o *edge.Options) {
			o.ClockTrust = edge.TrustAuto
			o.Now = func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) }
		})
		other := c.register("multi-a4cf12b3de09", "", channels("lux")...)
		clocked := c.login("multi-a4cf12b3de09", other)
		truth := map[float64]greenhouse.Millis{}
		bare := func(v float64) {
			t.Helper()
			c.seq++
			truth[v] = greenhouse.MillisOf(time.Now())
			c.d.tell(topic(wire.KindTelemetry, box), fmt.Sprintf(`{"v":1,"boot":"a","seq":%d,"m":{"air_temp":%v,"air_rh":60}}`, c.seq, v))
		}
		heated := false
		for i := range 60 {
			bare(16 + float64(i)/100)
			pass(10 * time.Second)
			heated = heated || c.wanted() == 1
		}
		own := greenhouse.MillisOf(time.Now())
		clocked.tell(topic(wire.KindTelemetry, "multi-a4cf12b3de09"), fmt.Sprintf(`{"v":1,"ts":%d,"boot":"z","seq":1,"m":{"lux":500}}`, own))
		if !heated {
			t.Error("the heater was never wanted before the time was known, and it is cold")
		}
		if got := c.history("hut/air_temp"); len(got) != 60 || got[0].At.Time().Year() != 1970 {
			t.Fatalf("%d readings to be seen, the first from %v", len(got), got[0].At.Time())
		}
		pass(50 * time.Minute)
		behind.Store(0)
		pass(20 * time.Second)
		bare(17)
		var h api.History
		c.must("GET", "/points/hut%2Fair_temp/history?step=raw&from=2026-03-10T00:00:00Z&to=2026-03-11T00:00:00Z", nil, &h)
		if len(h.Samples) != 61 {
			t.Fatalf("%d readings of the day, want 61", len(h.Samples))
		}
		for _, s := range h.Samples {
			if d := s.TS - truth[*s.Value]; d < -5 || d > 5 {
				t.Errorf("%v is told for %v, it was %v", *s.Value, s.TS.Time(), truth[*s.Value].Time())
			}
		}
		if len(h.Gaps) == 0 || h.Gaps[0].Cause != telemetry.CauseRestamped || h.Gaps[0].Node != box || h.Gaps[0].Count != 0 {
			t.Errorf("gaps %+v, want one that tells of it", h.Gaps)
		}
		if got := c.events("telemetry_restamped"); len(got) != 1 {
			t.Errorf("events %+v", got)
		}
		if got := c.history("@multi-a4cf12b3de09/lux"); len(got) != 1 || got[0].At != own {
			t.Errorf("the reading with a time of its own: %v, want %v", got, own)
		}
	})
}
