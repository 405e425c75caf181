package sim_test

import (
	"math"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// replayed are the devices of a measured house as control sees them.
type replayed struct {
	in      automation.Input
	state   automation.State
	sensors map[greenhouse.ChannelName]*automation.Sensor
	devices map[greenhouse.ChannelName]*automation.Device
}

func newReplayed(loc *time.Location, every time.Duration) *replayed {
	r := &replayed{sensors: map[greenhouse.ChannelName]*automation.Sensor{}, devices: map[greenhouse.ChannelName]*automation.Device{}}
	zone := &greenhouse.Zone{ID: "north", Mode: greenhouse.ModeAuto, DayFrom: "sunrise", DayUntil: "sunset", Targets: map[greenhouse.Quantity]greenhouse.Target{
		greenhouse.Heating: {Day: 19, Night: 17}, greenhouse.Venting: {Day: 24, Night: 21}, greenhouse.HumidityMax: {Day: 88, Night: 90}}}
	r.in = automation.Input{Zone: zone, Site: &greenhouse.Site{Latitude: 52.03, Longitude: 4.53}, Location: loc, Trusted: true}
	for _, ch := range []greenhouse.ChannelName{"air_rh", "air_temp", "outside_rh", "outside_temp", "rain", "solar", "wind_speed"} {
		r.in.Sensors = append(r.in.Sensors, automation.Sensor{Point: &greenhouse.Point{ID: greenhouse.ZonePoint("north", ch, 1), Zone: "north", Name: ch, Node: "logger", Kind: greenhouse.Sensor}, Interval: every})
	}
	for _, ch := range []greenhouse.ChannelName{"heater", "lamp", "screen", "vent"} {
		std, _ := greenhouse.StandardChannel(ch)
		r.in.Devices = append(r.in.Devices, automation.Device{Point: &greenhouse.Point{ID: greenhouse.ZonePoint("north", ch, 1), Zone: "north", Name: ch, Node: "logger", Kind: greenhouse.Actuator, Class: std.Class}, Known: true, Online: true})
	}
	for i := range r.in.Sensors {
		r.sensors[r.in.Sensors[i].Point.Name] = &r.in.Sensors[i]
	}
	for i := range r.in.Devices {
		r.devices[r.in.Devices[i].Point.Name] = &r.in.Devices[i]
	}
	r.in.Outside = r.in.Sensors
	return r
}

func (r *replayed) read(ch greenhouse.ChannelName, v float64, at time.Time) {
	s := r.sensors[ch]
	s.Heard = true
	s.Latest = greenhouse.Latest{Reading: greenhouse.Reading{Point: s.Point.ID, Value: v, At: greenhouse.MillisOf(at)}, Seen: at}
}

// wanted returns the level that automation wants of a device, after its bounds.
func wanted(dec *automation.Decision, p greenhouse.PointID) (level float64, most float64) {
	best := greenhouse.PriorityFailsafe + 1
	most = 1
	for _, w := range dec.Wants {
		if w.Point != p {
			continue
		}
		for _, c := range w.Claims {
			switch {
			case c.Max != nil:
				most = min(most, *c.Max)
			case !c.Bound() && c.Priority < best:
				best, level = c.Priority, c.Value
			}
		}
	}
	return min(level, most), most
}

// TestMeasuredDaysAreReplayed plays 43 winter and 44 spring days of a commercial
// compartment to control, readings as they were logged, gaps included. The
// equipment is said to do what it did then, so this is no test of control but of
// judgement: healthy sensors are never called frozen or blind, nothing is wanted
// that must not be, and no zone is alarmed without a cause.
func TestMeasuredDaysAreReplayed(t *testing.T) {
	for _, x := range []*trial{winterTrial(t), springTrial(t)} {
		r := newReplayed(x.start.Location(), time.Duration((x.at[1]-x.at[0])*float64(time.Second)))
		alarms, was := map[string]int{}, map[string]bool{}
		decisions, unsafe, heated, vented := 0, 0, false, false
		for i := range x.at {
			at := x.start.Add(time.Duration(x.at[i] * float64(time.Second)))
			o := x.weather.At(at)
			for ch, v := range map[greenhouse.ChannelName]float64{"air_temp": x.temp[i], "air_rh": x.rh[i], "outside_temp": o.Temp, "outside_rh": o.RH, "wind_speed": o.Wind, "solar": o.Solar, "rain": o.Rain} {
				r.read(ch, v, at)
			}
			r.devices["heater"].Applied = math.Max(x.do[i].Heater, math.Max(0, math.Min(1, (x.do[i].Pipe-x.temp[i])/40)))
			r.devices["lamp"].Applied, r.devices["screen"].Applied = x.do[i].Lamp, x.do[i].Screen
			r.devices["vent"].Applied = (x.do[i].VentLee + x.do[i].VentWind) / 2
			next := x.at[min(i+1, len(x.at)-1)]
			for now := x.at[i]; now < next; now += 60 { // a decision a minute
				r.in.Now = x.start.Add(time.Duration(now * float64(time.Second)))
				dec := automation.Decide(&r.in, &r.state)
				decisions++
				for _, c := range dec.Conditions {
					if c.Active && !was[c.Code] {
						alarms[c.Code]++
						if next-x.at[i] > 900 { // the log has a gap there
							alarms[c.Code]--
						}
					}
					was[c.Code] = c.Active
				}
				heat, _ := wanted(dec, "north/heater")
				vent, _ := wanted(dec, "north/vent")
				heated, vented = heated || heat > 0, vented || vent > 0
				if heat > 0 && (vent > 0.11 || x.temp[i] > 35) || vent > 0.11 && o.Wind > 15 {
					unsafe++
				}
			}
		}
		days := x.at[len(x.at)-1] / 86400
		t.Logf("%s: %.0f days, %d decisions, alarms %v", x.name, days, decisions, alarms)
		if !heated || !vented {
			t.Errorf("%s: it never wanted heat, or vents: %v, %v", x.name, heated, vented)
		}
		if unsafe > 0 {
			t.Errorf("%s: %d decisions want what must not be", x.name, unsafe)
		}
		for _, code := range []string{"sensor_frozen", "climate_blind", "sensor_implausible", "frost_protection", "heater_stuck_on", "sensor_drift", "heat_demand_high"} {
			if n := alarms[code]; n > 0 {
				t.Errorf("%s: %d false alarms %s in %.0f days", x.name, n, code, days)
			}
		}
	}
}
