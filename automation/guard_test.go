package automation_test

import (
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// TestCropIsWarmedBeforeSunrise raises heating by a ramp from two hours before
// sunrise, and not again after a morning on which the crop stayed dry.
func TestCropIsWarmedBeforeSunrise(t *testing.T) {
	start := time.Date(2026, 4, 10, 0, 0, 0, 0, time.UTC)
	h := newHouse(t, start, "air_temp", "air_rh", "solar", "outside_temp", "outside_rh", "heater", "vent")
	h.target(greenhouse.Heating, 18, 14)
	h.target(greenhouse.HumidityMax, 85, 85)
	h.mild(6, 80)
	rise, _, ok := automation.SunTimes(start, h.site.Latitude, h.site.Longitude)
	if !ok {
		t.Fatal("no sunrise")
	}
	rh := 60.0
	until := func(at time.Time) float64 {
		h.run(at.Sub(h.now), func() {
			h.set("air_temp", 14+0.1*float64(h.now.Minute()%2))
			h.set("air_rh", rh+0.1*float64(h.now.Minute()%3))
			h.set("solar", 0)
		})
		return h.last.Climate.HeatBelow
	}
	was := until(rise.Add(-2*time.Hour - time.Minute))
	if was != 14 {
		t.Fatalf("heats below %v by night", was)
	}
	for at := rise.Add(-2 * time.Hour); at.Before(rise.Add(time.Hour)); at = at.Add(10 * time.Minute) {
		now := until(at)
		if now > was+0.36 {
			t.Errorf("heating rises from %v to %v in ten minutes", was, now)
		}
		was = now
	}
	if was != 18 {
		t.Errorf("heats below %v an hour after sunrise, want the level of the day", was)
	}
	until(rise.Add(8 * time.Hour)) // the morning stayed dry
	if got := until(rise.Add(23 * time.Hour)); got != 14 {
		t.Errorf("heats below %v before the next sunrise, though the crop stayed dry", got)
	}
	rh = 97
	until(rise.Add(32 * time.Hour)) // and the next did not
	if got := until(rise.Add(47*time.Hour + 30*time.Minute)); got < 16.2 {
		t.Errorf("heats below %v before sunrise after a wet morning", got)
	}
}

// TestFastWarmingIsVented vents where the sun warms a cold wet crop's air by more
// than 1.5 K an hour, far below the set-point of venting.
func TestFastWarmingIsVented(t *testing.T) {
	h := newHouse(t, time.Date(2026, 4, 10, 8, 0, 0, 0, time.UTC), "air_temp", "air_rh", "solar", "outside_temp", "outside_rh", "wind_speed", "rain", "heater", "vent")
	h.target(greenhouse.Heating, 14, 14)
	h.target(greenhouse.Venting, 26, 26)
	h.target(greenhouse.HumidityMax, 95, 95)
	h.mild(8, 60)
	h.set("solar", 400)
	begin := h.now
	for _, c := range []struct{ rh, most float64 }{{60, 0}, {92, 1}} {
		begin = h.now
		h.run(90*time.Minute, func() {
			h.set("air_temp", 15+4*h.now.Sub(begin).Hours())
			h.set("air_rh", c.rh+0.1*float64(h.now.Minute()%3))
		})
		got := h.level("vent")
		if c.most == 0 && got > 0 || c.most > 0 && got < 0.15 {
			t.Errorf("at %.0f %% vents are %.2f open, set-point %.1f", c.rh, got, h.last.Climate.VentAbove)
		}
	}
}
