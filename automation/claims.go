package automation

import (
	"math"
	"time"

	"greenhouse"
)

// claims adds what the zone wants of one actuator. stage counts its heaters.
func (v *view) claims(d *Device, w *Want, stage *int) {
	switch d.Point.Name {
	case "heater":
		v.heater(w, min(*stage, maxStages-1))
		*stage++
	case "vent":
		v.vents(w)
	case "fan":
		v.fans(w)
	case "lamp":
		v.lamps(d, w)
	case "co2_valve":
		v.co2Valve(w)
	}
}

// claim adds one claim.
func (w *Want) claim(p greenhouse.Priority, owner string, value float64, reason string) {
	w.Claims = append(w.Claims, greenhouse.Claim{Priority: p, Owner: owner, Value: value, Reason: reason, Urgent: p <= greenhouse.PrioritySafety})
}

// atMost adds a bound.
func (w *Want) atMost(p greenhouse.Priority, owner string, most *float64, reason string) {
	w.Claims = append(w.Claims, greenhouse.Claim{Priority: p, Owner: owner, Max: most, Reason: reason, Urgent: p <= greenhouse.PrioritySafety})
}

// saw adds a quantity to what the decision rests on.
func (v *view) saw(w *Want, name greenhouse.ChannelName, m measure, sensors []Sensor) {
	if !m.any {
		return
	}
	for i := range sensors {
		s := &sensors[i]
		if s.Point.Name != name {
			continue
		}
		age, quality := s.state(v.c, v.now, v.in.Trusted)
		in := greenhouse.Input{Point: s.Point.ID, Value: s.Latest.Value, Quality: quality, AgeS: age.Seconds()}
		if !s.Heard {
			in.Value, in.AgeS = math.NaN(), -1
		}
		w.Inputs = append(w.Inputs, in)
	}
}

// left notes a timer that is running.
func (w *Want) left(name string, until time.Time, now time.Time) {
	if s := until.Sub(now).Seconds(); s > 0 {
		w.Timers[name] = s
	}
}

func level(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func (v *view) heater(w *Want, stage int) {
	v.saw(w, "air_temp", v.air, v.in.Sensors)
	st := v.st
	if st.frost {
		w.claim(greenhouse.PrioritySafety, "frost", 1, st.phrases[phraseFrost].say("air %.1f °C is near the frost limit of %.1f °C", v.air.low, v.c.FrostLimit))
	}
	if st.over {
		w.claim(greenhouse.PrioritySafety, "overheat", 0, st.phrases[phraseOver].say("air %.1f °C is above the heat limit of %.1f °C", v.air.high, v.c.HeatLimit))
	}
	if !v.auto || !v.air.usable() || math.IsNaN(v.heatSP) {
		return
	}
	h := &st.heat[stage]
	t := v.air.towards(higher)
	sp := v.heatSP - float64(stage)
	w.Terms["set_point"], w.Terms["error"], w.Terms["humidity_demand"] = sp, sp-t, st.humidity
	w.left("changeover", st.vented.Add(v.c.changeover), v.now)
	why := "air %.1f °C is above %.1f °C less the dead band"
	if h.on {
		why = "air %.1f °C is not yet above %.1f °C plus the dead band"
	}
	p := &st.phrases[phraseHeat]
	if stage > 0 {
		p = &phrase{}
	}
	w.claim(greenhouse.PriorityLoop, "heating", level(h.on), p.say(why, t, sp))
}

func (v *view) vents(w *Want) {
	v.saw(w, "air_temp", v.air, v.in.Sensors)
	v.saw(w, "wind_speed", v.out.wind, v.in.Outside)
	v.saw(w, "rain", v.out.rain, v.in.Outside)
	st := v.st
	if v.vent.most < 1 {
		w.Terms["vent_limit"] = v.vent.most
		most := &st.ventMost
		*most = v.vent.most
		w.atMost(greenhouse.PriorityInterlock, "weather", most, v.vent.reason)
	}
	if st.frost {
		w.claim(greenhouse.PrioritySafety, "frost", 0, st.phrases[phraseFrost].say("air %.1f °C is near the frost limit of %.1f °C", v.air.low, v.c.FrostLimit))
	}
	if st.over {
		w.claim(greenhouse.PrioritySafety, "overheat", v.vent.most, st.phrases[phraseOver].say("air %.1f °C is above the heat limit of %.1f °C", v.air.high, v.c.HeatLimit))
	}
	if !v.auto || !v.air.usable() || math.IsNaN(v.position) {
		return
	}
	w.Terms["set_point"], w.Terms["position"], w.Terms["p_band"] = v.ventSP, v.position, ventBand(v.c.VentPBand, v.out)
	w.left("changeover", st.heated.Add(v.c.changeover), v.now)
	w.claim(greenhouse.PriorityLoop, "venting", v.position, v.ventWhy)
}

func (v *view) fans(w *Want) {
	v.saw(w, "air_temp", v.air, v.in.Sensors)
	st := v.st
	if st.over {
		w.claim(greenhouse.PrioritySafety, "overheat", 1, st.phrases[phraseOver].say("air %.1f °C is above the heat limit of %.1f °C", v.air.high, v.c.HeatLimit))
	}
	if st.frost {
		w.claim(greenhouse.PrioritySafety, "frost", 0, st.phrases[phraseFrost].say("air %.1f °C is near the frost limit of %.1f °C", v.air.low, v.c.FrostLimit))
	}
	if v.auto && v.air.usable() && !math.IsNaN(v.ventSP) {
		w.claim(greenhouse.PriorityLoop, "venting", level(v.fan), v.fanWhy)
	}
}

// The hours of the day in which lamps may burn, and the longest part of it.
const (
	lampsFrom  = 4
	lampsUntil = 22
)

// lamps gives what the day lacks of its light sum, as late as that can wait.
func (v *view) lamps(d *Device, w *Want) {
	v.saw(w, "ppfd", v.ppfd, v.in.Sensors)
	want, has := targetOf(v.in.Zone, greenhouse.DLI, v.day)
	st := v.st
	if !v.in.Trusted || !has || !v.auto {
		st.lamp.reset(v.now)
		return
	}
	local := v.now.In(v.in.Location)
	sum := st.light.dli
	if v.ppfd.usable() {
		sum = st.light.add(v.ppfd.value, local.Year()*366+local.YearDay(), v.now)
	}
	lamp := v.c.LampPPFD
	if lamp <= 0 {
		lamp = 150
	}
	natural := v.ppfd.value
	if d.Applied > 0 {
		natural -= lamp * d.Applied
	}
	hours := float64(lampsUntil) - float64(local.Hour()) - float64(local.Minute())/60
	need, most := want-sum, lamp*hours*3600e-6
	dark := !v.ppfd.usable() || natural < 60
	within := local.Hour() >= lampsFrom && local.Hour() < lampsUntil
	on := within && need > 0 && (need > 0.92*most || dark && need > 0.5*most)
	if st.lamp.on != on && (!on && (!within || need <= 0) || v.now.Sub(st.lamp.since) >= 30*time.Minute) {
		st.lamp = hysteresis{on, v.now}
	}
	w.Terms["dli"], w.Terms["dli_target"], w.Terms["dli_lamps_can_give"] = sum, want, max(most, 0)
	why := "the day has %.1f of %.1f mol/m² and light enough to come"
	switch {
	case st.lamp.on:
		why = "the day has %.1f of %.1f mol/m²: lamps give the rest"
	case !within:
		why = "it is night for the crop: the day had %.1f of %.1f mol/m²"
	}
	w.claim(greenhouse.PriorityLoop, "light", level(st.lamp.on), st.phrases[phraseLamp].say(why, sum, want))
}

// co2Valve doses while it is light and the vents are nearly shut; its interlocks
// and limits hold whoever wants CO₂.
func (v *view) co2Valve(w *Want) {
	v.saw(w, "co2", v.co2, v.in.Sensors)
	st := v.st
	switch {
	case !v.co2.usable():
		w.claim(greenhouse.PrioritySafety, "co2", 0, "there is no CO₂ value to dose by")
	case v.co2.high >= v.c.CO2Max:
		w.claim(greenhouse.PrioritySafety, "co2", 0, st.phrases[phraseCO2].say("CO₂ %.0f ppm is at its most of %.0f ppm", v.co2.high, v.c.CO2Max))
	}
	if v.fan || v.position > 0.25 {
		w.atMost(greenhouse.PriorityInterlock, "venting", &st.zero, "vents or fan would blow it out")
	}
	target, has := targetOf(v.in.Zone, greenhouse.TargetCO2, v.day)
	if !v.auto || !has || !v.co2.usable() {
		st.dose.reset(v.now)
		return
	}
	lit := v.day && (!v.ppfd.usable() || v.ppfd.value > 50)
	if !lit {
		st.dose.reset(v.now)
		w.claim(greenhouse.PriorityLoop, "co2", 0, "without light the crop takes none")
		return
	}
	on := st.dose.step(v.co2.value, target, 25, 25, v.now)
	w.Terms["set_point"], w.Terms["error"] = target, target-v.co2.value
	w.claim(greenhouse.PriorityLoop, "co2", level(on), st.phrases[phraseCO2].say("CO₂ is %.0f ppm, the set-point %.0f ppm", v.co2.value, target))
}

// failsafe adds the level that every actuator has when nobody wants anything,
// and says why nobody does.
func (v *view) failsafe(d *Device, w *Want) {
	reason := "nothing asks for it"
	switch {
	case !v.auto:
		reason = "the zone is in mode " + string(v.in.Zone.Mode)
	case !v.air.usable() && drivenByAir(d.Point.Name):
		reason = "there is no air temperature to go by"
	}
	w.claim(greenhouse.PriorityFailsafe, "failsafe", d.Point.Safe, reason)
}

// drivenByAir reports whether an actuator is driven by the air temperature.
func drivenByAir(n greenhouse.ChannelName) bool { return n == "heater" || n == "vent" || n == "fan" }

// settle is how long after the start sensors may take to be heard before that is
// an alarm.
const settle = 90 * time.Second

// alarms says what is wrong with the zone.
func (v *view) alarms() {
	st, zone := v.st, v.in.Zone
	source := greenhouse.ZoneSource(zone.ID)
	add := func(code string, s greenhouse.Severity, active bool, text string) {
		st.decision.Conditions = append(st.decision.Conditions, greenhouse.Condition{Source: source, Code: code, Severity: s, Active: active, Text: text})
	}
	quiet := zone.Mode == greenhouse.ModeMaintenance || v.now.Sub(st.began) < settle
	_, heats := zone.Targets[greenhouse.Heating]
	_, vents := zone.Targets[greenhouse.Venting]
	add("frost_protection", greenhouse.Critical, st.frost, "the air is near the frost limit: heat is forced on and vents shut")
	add("heat_protection", greenhouse.Critical, st.over, "the air is above the heat limit: heat is forced off and vents open")
	add("climate_blind", greenhouse.Critical, !quiet && (heats || vents) && !v.air.usable(), "no usable air temperature: heating and venting are at their safe levels")
	add("sensor_held", greenhouse.Warning, !quiet && (heats || vents) && v.air.quality == greenhouse.Held && v.air.any, "the air temperature is lost; its last value is used for a short time")
	add("sensors_disagree", greenhouse.Warning, !quiet && v.air.good == 2 && v.air.spread >= disagreement, "two air temperatures differ by more than 2 K: the safe one of them counts")
	add("co2_high", greenhouse.Critical, v.co2.usable() && v.co2.high >= noPeople, "CO₂ is above 5000 ppm: nobody may be in there")
	for i := range v.in.Sensors {
		v.sensorAlarm(&v.in.Sensors[i], quiet)
	}
}

// sensorAlarm says what is wrong with one sensor that has been heard before.
func (v *view) sensorAlarm(s *Sensor, quiet bool) {
	_, quality := s.state(v.c, v.now, v.in.Trusted)
	source := greenhouse.PointSource(s.Point.ID)
	d := &v.st.decision
	d.Conditions = append(d.Conditions,
		greenhouse.Condition{Source: source, Code: "sensor_stale", Severity: greenhouse.Warning, Active: !quiet && s.Heard && s.Point.Node != "" && quality == greenhouse.Stale, Text: "no value has come for too long"},
		greenhouse.Condition{Source: source, Code: "sensor_implausible", Severity: greenhouse.Warning, Active: !quiet && s.Heard && (quality == greenhouse.Bad || quality == greenhouse.Suspect), Text: "the sensor fails or says what cannot be"})
}
