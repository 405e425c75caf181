package automation

import (
	"fmt"
	"math"
)

// reason is a clause for people with up to three numbers in it.
type reason uint8

const (
	whyNone reason = iota
	whyHeatOn
	whyHeatStays
	whyHeatOff
	whyHeatRests
	whyHeatPI
	whyHeatRun
	whyHeatPause
	whyHeatWaits
	whyHeatHeld
	whyHeatNext
	whyHeatLeast
	whyLimpWeather
	whyLimpDrift
	whyLimpHour
	whyLimpMean
	whyLimpNext
	whyLimpVent
	whyVentOpen
	whyVentShut
	whyVentHeat
	whyVentWaits
	whyVentHumid
	whyFanOn
	whyFanStays
	whyFanOff
	whyFanLater
	whyFanPurge
	whyPurgeBlind
	whyStorm
	whyWind
	whyRain
	whyFrostOut
	whyNoWeather
	whyFrost
	whyFrostVent
	whyHot
	whyHotCO2
	whyNoLight
	whyLampWait
	whyLampOn
	whyLampTimer
	whyLampDone
	whyLampNight
	whyLampClock
	whyLampHeld
	whyCO2Lost
	whyCO2Wrong
	whyCO2Max
	whyCO2People
	whyCO2Purge
	whyCO2Below
	whyCO2Above
	whyCO2Vents
	whyCO2Locked
	whyCO2Spent
	whyFogOn
	whyFogOff
	whyFogPause
	whyFogNight
	whyScreenNight
	whyScreenMild
	whyScreenDark
	whyScreenDay
	whyScreenGap
	whyScreenDawn
	whyScreenShade
	whyScreenFrost
	whyLostAir
	whyLostRH
	whyNoTarget
	whyAtRest
	whyMode
	whyManualOnly
	whyBurner
	whyMasterOn
	whyMasterCut
	whyMasterWarm
	whyLeak
	whyTankLow
	whyTankFull
	whyTankDeaf
	whyFinding
)

// wording returns the clause and how many decimals of its numbers a grower is
// shown; a change too small to be seen does not word it anew.
func (r reason) wording() (format string, decimals int) {
	if f := r.temperature(); f != "" {
		return f, 1
	}
	if f := r.moving(); f != "" {
		return f, 1
	}
	if f := r.mastered(); f != "" {
		return f, 1
	}
	if f := r.limping(); f != "" {
		return f, 1
	}
	return r.other()
}

func (r reason) temperature() string {
	switch r {
	case whyHeatOn:
		return "air %.1f °C is below %.1f − %.1f"
	case whyHeatStays:
		return "air %.1f °C is not yet above %.1f + %.1f, so heat stays on"
	case whyHeatOff:
		return "air %.1f °C is above %.1f + %.1f"
	case whyHeatRests:
		return "air %.1f °C is not below %.1f − %.1f, so heat stays off"
	case whyHeatWaits:
		return "air %.1f °C is below %.1f °C, but the vents shut only a moment ago"
	case whyHeatHeld:
		return "air %.1f °C against %.1f °C; the heater keeps its shortest time on or off"
	case whyHeatLeast:
		return "air %.1f °C is read, but the house takes too little heat for that: at least %.0f %% of it go to hold %.1f °C"
	case whyHeatNext:
		return "air %.1f °C is still below %.1f °C; the next heater waits for the stage delay"
	case whyVentShut:
		return "air %.1f °C is below venting at %.1f °C"
	case whyVentHeat:
		return "air %.1f °C is above venting at %.1f °C, but heat is still on"
	case whyVentWaits:
		return "air %.1f °C is above venting at %.1f °C, but heat ended only a moment ago"
	case whyVentOpen:
		return "air %.1f °C is above venting at %.1f °C, over a band of %.1f K"
	case whyFanOn:
		return "air %.1f °C is above %.1f + %.1f"
	case whyFanStays:
		return "air %.1f °C is not yet below %.1f − %.1f, so the fan stays on"
	case whyFanOff:
		return "air %.1f °C needs no fan below %.1f + %.1f"
	case whyFanLater:
		return "air %.1f °C is above %.1f °C; open vents get their time first"
	case whyFrost, whyFrostVent:
		return "air %.1f °C is at the frost limit of %.1f °C"
	case whyHot:
		return "air %.1f °C is at the heat limit of %.1f °C"
	case whyFrostOut:
		return "it is %.1f °C outside"
	case whyStorm:
		return "a gust of %.1f m/s within ten minutes: storm"
	case whyWind:
		return "wind %.1f m/s"
	case whyFogOn:
		return "air takes up %.1f kPa, more than %.1f"
	case whyFogOff:
		return "air takes up %.1f kPa, not more than %.1f"
	case whyFogPause:
		return "the mist of the last pulse has to evaporate first"
	case whyScreenFrost:
		return "frost is near: whatever keeps the warmth in is shut"
	case whyLampOn:
		return "the crop has %.1f of %.1f mol/m² and the day will not bring the rest"
	case whyLampWait:
		return "the crop has %.1f of %.1f mol/m² and the rest can still come"
	case whyLampDone:
		return "the crop has its %.1f of %.1f mol/m²"
	case whyLampTimer:
		return "by day, without a light sensor: %.1f of %.1f mol/m² counted"
	case whyLampHeld:
		return "the lamp keeps its shortest time on or off (%.1f of %.1f mol/m²)"
	}
	return ""
}

// moving words why screens stand as they do, and drives that look for their end.
func (r reason) moving() string {
	switch r {
	case whyScreenNight:
		return "it is night and %.1f °C outside against %.1f °C wanted"
	case whyScreenMild:
		return "it is night, but mild: %.1f °C outside against %.1f °C wanted"
	case whyScreenDark:
		return "it is night"
	case whyScreenDay:
		return "it is day: the crop needs the light"
	case whyScreenGap:
		return "it is night; a gap lets moisture out"
	case whyScreenDawn:
		return "the night is over; a gap first, so that the cold air above does not fall on the crop"
	case whyScreenShade:
		return "the sun is at %.0f W/m², against %.0f from which screens shade"
	case whyFinding:
		return "its position is unknown, is being found: it goes to its end"
	}
	return ""
}

func (r reason) other() (string, int) {
	switch r {
	case whyHeatPI:
		return "air %.1f °C against %.1f °C asks for %.1f of full heat", 1
	case whyHeatRun:
		return "air %.1f °C against %.1f °C asks for %.1f of full heat, given in runs and pauses: it runs", 1
	case whyHeatPause:
		return "air %.1f °C against %.1f °C asks for %.1f of full heat, given in runs and pauses: it pauses", 1
	case whyVentHumid:
		return "humidity %.0f %% is too high: vents stay open a little", 0
	case whyFanPurge:
		return "humidity %.0f %% is too high: the fan changes the air for a few minutes", 0
	case whyPurgeBlind:
		return "the humidity sensor is at the end of its scale: the air is changed a little after sunrise", 0
	case whyRain:
		return "it rains, or did within ten minutes", 0
	case whyNoWeather:
		return "no wind and rain sensor tells whether more is safe", 0
	case whyHotCO2:
		return "it is too hot: vents are open", 0
	case whyLampNight:
		return "it is night for the crop", 0
	case whyLampClock:
		return "the clock is not set, so nobody knows when the crop's day is", 0
	case whyNoLight:
		return "the crop takes no CO₂ without light", 0
	case whyCO2Lost:
		return "there is no CO₂ reading to dose by", 0
	case whyCO2Wrong:
		return "CO₂ reads %.0f ppm, less than any air holds (%.0f ppm): its sensor is wrong", 0
	case whyCO2Max:
		return "CO₂ %.0f ppm is above the most allowed, %.0f ppm", 0
	case whyCO2People:
		return "CO₂ %.0f ppm is dangerous to people", 0
	case whyCO2Purge:
		return "CO₂ %.0f ppm is dangerous to people: the air is changed", 0
	case whyCO2Below:
		return "CO₂ %.0f ppm is below %.0f ppm", 0
	case whyCO2Above:
		return "CO₂ %.0f ppm is not below %.0f ppm", 0
	case whyCO2Vents:
		return "vents or fan would blow the CO₂ out", 0
	case whyCO2Spent:
		return "the CO₂ allowed for an hour is dosed", 0
	case whyCO2Locked:
		return "a quarter of an hour of dosing raised nothing: bottle empty, valve or sensor", 0
	case whyFogNight:
		return "no mist by night", 0
	case whyLostAir:
		return "the air temperature is lost", 0
	case whyLostRH:
		return "the humidity is lost", 0
	case whyNoTarget:
		return "there is no target for it", 0
	case whyAtRest:
		return "its level when nobody wants anything of it", 0
	case whyManualOnly:
		return "only people drive it", 0
	case whyBurner:
		return "a burner must not run against an exhaust fan, nor a minute after it", 0
	case whyLeak:
		return "water leaks", 0
	case whyTankLow:
		return "the tank is low: pumps must not run dry", 0
	case whyTankFull:
		return "the tank is full", 0
	case whyTankDeaf:
		return "nobody tells when the tank is full", 0
	}
	return "", 0
}

// note is a reason as last worded for one claim.
type note struct {
	why     reason
	a, b, c float64
	text    string
	blind   string // the same without a trusted clock; "" until it is asked for
}

// blindly returns what was said last, with why no schedule is in it.
func (n *note) blindly() string {
	if n.blind == "" {
		n.blind = n.text + "; the clock is not trusted, so aims do not follow the time of day"
	}
	return n.blind
}

// say returns the clause with its numbers, worded anew only where the grower
// would see a difference.
func (n *note) say(why reason, a, b, c float64) string {
	format, decimals := why.wording()
	scale := [...]float64{1, 10, 100}[decimals]
	a, b, c = math.Round(a*scale)/scale, math.Round(b*scale)/scale, math.Round(c*scale)/scale
	if n.why == why && n.a == a && n.b == b && n.c == c {
		return n.text
	}
	args := [...]any{a, b, c}
	*n = note{why: why, a: a, b: b, c: c, text: fmt.Sprintf(format, args[:verbs(format)]...)}
	return n.text
}

// verbs counts the numbers that a format takes.
func verbs(format string) int {
	n := 0
	for i := 0; i+1 < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		if format[i+1] == '%' {
			i++
			continue
		}
		n++
	}
	return n
}
