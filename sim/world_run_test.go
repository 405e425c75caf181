package sim_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse/sim"
)

func TestRunKeepsItsSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := demo(t, 1, 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx, 20); close(done) }()
		time.Sleep(time.Minute)
		cancel()
		<-done
		if got := w.Now().Sub(w.Plan().Start); got < 1198*time.Second || got > 1200*time.Second {
			t.Errorf("a minute at 20 times the speed of life: got %v, want about 20m", got)
		}
	})
}

// FuzzReadWeather: whatever a file holds, a reader refuses it or returns weather
// made of numbers.
func FuzzReadWeather(f *testing.F) {
	f.Add("Date,Tout,Rhout,Iglob,Windsp,Winddir,Rain,Pyrgeo\n2/1/2022 0:00,5,77,1,4,128,0,-78\n")
	f.Add("timestamp,T_Out,airflow_Out,heat_emission,is_rain,rad_Out,rh_Out,wind_direction\n2022-05-03 00:00:00,9.7,2,-80,0,1,76,1\n")
	f.Add("1,\"X\",NC,-5.0,36,-79,273\nDate (MM/DD/YYYY),Time (HH:MM),GHI (W/m^2),TotCld (tenths),Dry-bulb (C),Dew-point (C),RHum (%),Wdir (degrees),Wspd (m/s)\n01/01/1988,24:00,0,10,10,6,77,200,6\n")
	f.Add("LOCATION,u,-,u,E,u,45,8,1,250\n" + strings.Repeat("x,0\n", 7) + "2018,1,1,1,0,?,2.04,1.21,94.38,99870,9999,9999,283.58,0,-0,0,9,9,9,9,257,0.7,99,99,9,9,9,9,999,0.9,999,99,999,999,99\n")
	f.Fuzz(func(t *testing.T, in string) {
		read := []func() (sim.Series, error){
			func() (sim.Series, error) { return sim.ReadAGC(strings.NewReader(in), time.UTC) },
			func() (sim.Series, error) { return sim.ReadTMY3(strings.NewReader(in), 2025) },
			func() (sim.Series, error) { return sim.ReadEPW(strings.NewReader(in), 2025) },
		}
		for _, r := range read {
			s, err := r()
			if err != nil {
				continue
			}
			from, _ := s.Span()
			if o := s.At(from); math.IsNaN(o.Temp + o.RH + o.Solar + o.Sky + o.Wind) {
				t.Fatalf("%q: got %+v", in, o)
			}
		}
	})
}
