package sim_test

import (
	"testing"
	"time"

	"greenhouse/sim"
)

func demo(t *testing.T, zones int, seed uint64) *sim.World {
	t.Helper()
	w, err := sim.DemoWorld(zones, seed)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestDemoMovesWithinAMinute(t *testing.T) {
	w := demo(t, 3, 1)
	for i := range 13 {
		for _, z := range w.Plan().Zones {
			s, _ := w.Zone(z.Zone.ID)
			t.Logf("%v %s T %.2f RH %.1f CO2 %.0f mass %.1f cover %.1f ec %.2f ph %.2f soil %.1f", w.Now().Format("15:04"), z.Zone.ID, s.Climate.Air, s.Climate.RH(), s.Climate.PPM(), s.Climate.Mass, s.Climate.Cover, s.Tank.EC, s.Tank.PH, s.Slab.Moisture)
		}
		t.Log(w.Outside())
		w.Advance(2 * time.Minute)
		if i > 5 {
			w.Advance(2 * time.Hour)
		}
	}
}
