package automation_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"greenhouse"
)

// TestHeaterPausesBeforeItHasTo asks for full heat for two days at all sorts of
// temperatures: no run is as long as the longest of the class, and no pause is
// longer than it needs to begin a new one.
func TestHeaterPausesBeforeItHasTo(t *testing.T) {
	for _, class := range []greenhouse.Class{greenhouse.ClassHeaterContactor, greenhouse.ClassHeaterSSR, greenhouse.ClassBurner} {
		for seed := range uint64(3) {
			r := rand.New(rand.NewPCG(seed, 12))
			h := newHouse(t, midnight(), "air_temp", "heater")
			h.class("heater", class)
			h.target(greenhouse.Heating, 18, 18)
			spec := class.Spec()
			var on, off time.Duration
			pauses, air := 0, 0.0
			for range 8 {
				air = 4.6 + 10*r.Float64()
				h.run(6*time.Hour, func() {
					h.set("air_temp", air+0.1*float64(h.now.Second()%3))
					if h.level("heater") == 0 {
						if on > 0 {
							pauses++
						}
						on, off = 0, off+5*time.Second
						return
					}
					if on == 0 && pauses > 0 && (off < spec.MinOff || off > 6*time.Minute) {
						t.Errorf("%s, seed %d: a pause of %s", class, seed, off)
					}
					if on, off = on+5*time.Second, 0; on >= spec.MaxRun {
						t.Fatalf("%s, seed %d: it runs for %s", class, seed, on)
					}
				})
			}
			if pauses < 3 || pauses > 9 {
				t.Errorf("%s, seed %d: %d pauses in two days", class, seed, pauses)
			}
		}
	}
}

// TestHeaterPausesWhileItIsWarm waits with its pause until the house can spare
// the heat, and takes it at the last moment where it never can.
func TestHeaterPausesWhileItIsWarm(t *testing.T) {
	h := newHouse(t, midnight(), "air_temp", "heater")
	h.target(greenhouse.Heating, 18, 18)
	began := h.now
	paused := time.Duration(0)
	watch := func(air float64) func() {
		return func() {
			h.set("air_temp", air+0.1*float64(h.now.Second()%3))
			if at := h.now.Sub(began); paused == 0 && at > 10*time.Minute && h.level("heater") == 0 {
				paused = at
			}
		}
	}
	h.run(8*time.Hour, watch(6))
	if paused != 0 {
		t.Fatalf("it pauses at 6 °C after %s", paused)
	}
	h.run(10*time.Minute, watch(8))
	if paused == 0 {
		t.Fatal("it does not pause at 8 °C after eight hours")
	}
	began, paused = h.now, 0
	h.run(12*time.Hour+10*time.Minute, watch(6))
	if paused < 11*time.Hour+30*time.Minute || paused > 12*time.Hour {
		t.Errorf("in the cold it pauses after %s", paused)
	}
}
