package automation

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
)

// settling is how long after the start sensors may take to be heard before that
// is an alarm.
const settling = 90 * time.Second

// retell is how often all conditions are told, changed or not.
const retell = time.Minute

// alarmKind is one alarm of a zone.
type alarmKind uint8

const (
	alarmFrost alarmKind = iota
	alarmHot
	alarmBlind
	alarmHeld
	alarmBackup
	alarmDisagree
	alarmFrozen
	alarmCO2High
	alarmCO2Danger
	alarmCO2Leak
	alarmCO2NoEffect
	alarmDryLimited
	alarmWet
	alarmSaturated
	alarmNoHeat
	alarmStuckOn
	alarmHeatCut
	alarmFrostNear
	alarmHeatHard
	alarmWaterLeak
	alarmTankLow
	alarmCO2Spent
	alarmCO2Wrong
	alarmCount
)

// alarm is what was told of one alarm.
type alarm struct {
	active, told bool
	text         string // with the number of when it became active
}

// code, severity and text of an alarm. The number is what was measured when it
// came.
func (k alarmKind) what() (code string, s greenhouse.Severity, text string) {
	switch k {
	case alarmFrost:
		return "frost_protection", greenhouse.Critical, "the air fell to %.1f °C, the frost limit: heat is forced on and vents shut"
	case alarmHot:
		return "heat_protection", greenhouse.Critical, "the air rose to %.1f °C, the heat limit: heat is forced off and vents open"
	case alarmBlind:
		return "climate_blind", greenhouse.Critical, "no usable air temperature: heat and vents go by what was learned of the house, and are safe where nothing was"
	case alarmHeld:
		return "sensor_held", greenhouse.Warning, "the air temperature is lost; its last value, %.1f °C, is used for a short time"
	case alarmBackup:
		return "sensor_backup", greenhouse.Critical, "the air temperature is lost; another sensor stands in, by which it is %.1f °C"
	case alarmDisagree:
		return "sensors_disagree", greenhouse.Warning, "two air temperatures differ by %.1f K: the safer one counts for each purpose"
	case alarmFrozen:
		return "sensor_frozen", greenhouse.Critical, "the air temperature stands still at %.1f °C while it should move: it is not used"
	case alarmCO2High:
		return "co2_high", greenhouse.Warning, "CO₂ rose to %.0f ppm: air the zone before working in it"
	case alarmCO2Danger:
		return "co2_dangerous", greenhouse.Critical, "CO₂ rose to %.0f ppm: nobody may be in there"
	case alarmCO2Leak:
		return "co2_leak", greenhouse.Critical, "CO₂ rises by %.0f ppm a minute with the valve shut: does it leak?"
	case alarmCO2NoEffect:
		return "co2_no_effect", greenhouse.Warning, "a quarter of an hour of dosing raised nothing: bottle empty, valve or sensor; dosing rests"
	case alarmDryLimited:
		return "humidity_limited", greenhouse.Warning, "the heat allowed for drying is used up for today"
	case alarmWet:
		return "crop_wet", greenhouse.Warning, "the crop has been within %.1f K of the dew point for half an hour"
	case alarmSaturated:
		return "humidity_saturated", greenhouse.Warning, "the humidity has been at the end of its scale for an hour: its sensor tells nothing"
	case alarmNoHeat:
		return "heat_no_response", greenhouse.Warning, "full heat for twenty minutes moved the air by %.1f K only: heater or sensor, or it is too cold outside"
	case alarmStuckOn:
		return "heater_stuck_on", greenhouse.Critical, "the air rose by %.1f K while heat is off and nothing else warms: a heater is stuck on, vents open early; cut its power"
	case alarmHeatCut:
		return "heater_cut", greenhouse.Critical, "a heater is stuck on: heater_master has cut its power and only keeps the frost out; exchange the contactor, then put the zone in maintenance for a moment"
	case alarmFrostNear:
		return "frost_near", greenhouse.Warning, "the air fell to %.1f °C, close to the frost limit"
	case alarmHeatHard:
		return "heat_demand_high", greenhouse.Warning, "the house takes far more heat than it used to (%.0f %% in the last half hour): a door, a vent or a pane is open, a heater has lost power, or the thermometer reads too low"
	case alarmWaterLeak:
		return "water_leak", greenhouse.Critical, "a leak sensor is wet: valves and pumps of water are shut"
	case alarmTankLow:
		return "tank_low", greenhouse.Critical, "the tank is low: pumps are off, so that none runs dry"
	case alarmCO2Spent:
		return "co2_budget", greenhouse.Warning, "the CO₂ allowed for an hour is dosed and the aim is not reached: vents, leaks, or a sensor that tells nothing"
	case alarmCO2Wrong:
		return "co2_implausible", greenhouse.Warning, "CO₂ reads %.0f ppm, less than any air holds: its sensor calibrated itself wrongly; dosing rests"
	}
	return "", greenhouse.Info, ""
}

// watch tells the alarms of the zone and of its sensors.
func (st *State) watch() {
	all := st.retelling()
	for k := range alarmCount {
		st.tell(k, all)
	}
	for i := range st.sensors {
		if s := &st.sensors[i]; s.where == here {
			st.watchSensor(s, all)
		}
	}
}

// watchSafety tells the alarms of protection alone.
func (st *State) watchSafety() {
	all := st.retelling()
	for _, k := range [...]alarmKind{alarmFrost, alarmHot, alarmCO2Danger, alarmWaterLeak, alarmTankLow} {
		st.tell(k, all)
	}
}

// retelling reports whether it is time to tell everything again.
func (st *State) retelling() bool {
	if !st.told.IsZero() && st.now.Sub(st.told) < retell {
		return false
	}
	st.told = st.now
	return true
}

// tell adds the condition of an alarm, where it changed or all are told.
func (st *State) tell(k alarmKind, all bool) {
	active, value := st.alarming(k)
	a := &st.alarms[k]
	if !all && active == a.active {
		return
	}
	code, severity, text := k.what()
	if active && (!a.active || a.text == "") {
		if a.text = text; verbs(text) > 0 {
			a.text = fmt.Sprintf(text, value)
		}
	}
	if a.active = active; a.text != "" {
		text = a.text
	}
	if st.source == "" {
		st.source = greenhouse.ZoneSource(st.zone.ID)
	}
	st.decision.Conditions = append(st.decision.Conditions, greenhouse.Condition{Source: st.source, Code: code, Severity: severity, Active: active, Text: text})
}

// alarming reports whether an alarm holds, and the number that belongs to it.
func (st *State) alarming(k alarmKind) (bool, float64) {
	air, gas := &st.seen[airTemp], &st.seen[airCO2]
	switch k { // those that no mode holds back
	case alarmFrost:
		return st.safety.frost, air.Lo
	case alarmHot:
		return st.safety.hot, air.Hi
	case alarmCO2Danger:
		return st.safety.co2Dangerous, st.safety.ppm
	case alarmWaterLeak:
		return st.water.leak > 0, 0
	case alarmTankLow:
		return st.water.low > 0, 0
	case alarmHeatCut:
		return st.mastering.cut, 0
	case alarmCO2Leak:
		return st.gas.leak >= 2*time.Minute, st.gas.rise
	}
	if st.quiet() {
		return false, 0
	}
	steered := !math.IsNaN(st.aim.vent)
	switch k {
	case alarmBlind:
		return steered && !air.ok(), 0
	case alarmHeld:
		return steered && air.any && air.quality == greenhouse.Held && st.backup.role == backupNone, air.Value
	case alarmBackup:
		return steered && st.backup.role != backupNone, air.Value
	case alarmDisagree:
		return air.ok() && air.N == 2 && !air.Agree, air.Spread
	case alarmFrozen:
		if st.drift.frozen {
			return true, st.drift.at
		}
		return st.flat.frozen, st.flat.t
	case alarmCO2High:
		return gas.ok() && gas.Hi >= co2Warns, gas.Hi
	case alarmCO2Wrong:
		return st.safety.co2Wrong, gas.Lo
	case alarmCO2Spent:
		return st.gas.spent, 0
	case alarmCO2NoEffect:
		return st.gas.lockout > 0, 0
	case alarmDryLimited:
		return st.drying.limited && st.drying.demand > 0, 0
	case alarmWet:
		return st.drying.wet >= 30*time.Minute && st.wantsDry(), cropWet
	case alarmSaturated:
		return st.drying.blind(), 0
	case alarmStuckOn:
		return st.watching.stuck, st.watching.rose
	case alarmFrostNear:
		return st.safety.near, air.Lo
	case alarmHeatHard:
		return st.drift.hard, 100 * st.drift.last
	case alarmNoHeat:
		return st.heating.full >= noResponse && air.Value-st.heating.from < leastResponse, air.Value - st.heating.from
	}
	return false, 0
}

// wantsDry reports whether anybody set a target for humidity.
func (st *State) wantsDry() bool {
	return !math.IsNaN(st.aim.rh) || !math.IsNaN(st.aim.vpd) || !math.IsNaN(st.aim.hd)
}

// quiet reports whether alarms are held back: in maintenance, and at the start.
func (st *State) quiet() bool {
	return st.zone.Mode == greenhouse.ModeMaintenance || st.now.Sub(st.began) < settling
}

// The alarms of one sensor.
const (
	sensorStale = iota
	sensorImplausible
	sensorDrift
	sensorAlarms
)

// accusation words why the thermometer cannot be right.
func (st *State) accusation() string {
	if st.drift.low {
		return "it reads far colder than outside, which no house is: it is not used, and heat goes by what was learned of the house; compare it with another thermometer"
	}
	return "it reads too warm for the heat that the house takes: it is not used, and heat goes by what was learned of the house; compare it with another thermometer"
}

// watchSensor tells what is wrong with a sensor that was heard before.
func (st *State) watchSensor(s *sensor, all bool) {
	fault := s.now.Fault
	for k := range sensorAlarms {
		severity, code, text, active := greenhouse.Warning, "sensor_stale", "no value has come for too long", fault == greenhouse.Stale
		switch k {
		case sensorImplausible:
			code, text, active = "sensor_implausible", "the sensor fails or says what cannot be", fault == greenhouse.Bad || fault == greenhouse.Suspect && !(st.accused(s) && !st.drift.leapt)
		case sensorDrift:
			code, text, active = "sensor_drift", "it has been far from the other sensors for six hours", s.apart >= driftLong
			if st.drifted(s) {
				severity, text, active = greenhouse.Critical, st.accusation(), true
			}
		}
		active = active && s.heard && !st.quiet()
		a := &s.alarms[k]
		if !all && a.told && active == a.active {
			continue
		}
		if a.active, a.told = active, true; a.text == "" {
			a.text = string(greenhouse.PointSource(s.point.ID))
		}
		st.decision.Conditions = append(st.decision.Conditions, greenhouse.Condition{Source: greenhouse.Source(a.text), Code: code, Severity: severity, Active: active, Text: text})
	}
}
