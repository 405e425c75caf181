package automation

import (
	"math"
	"time"
)

// zenith is the sun's angle from the vertical at sunrise and sunset, degrees:
// refraction and the radius of the disc included.
const zenith = 90.833

// SunTimes returns sunrise and sunset on the date of day in its location, at a
// latitude and longitude in degrees, north and east positive. ok is false where
// the sun does not rise or does not set. The equations are NOAA's, after Meeus,
// good to a minute between 1901 and 2099 below 72 degrees.
func SunTimes(day time.Time, latitude, longitude float64) (rise, set time.Time, ok bool) {
	y, m, d := day.Date()
	noon := time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	decl, eqTime := sunPosition(noon)
	lat := latitude * math.Pi / 180
	cosH := (math.Cos(zenith*math.Pi/180) - math.Sin(lat)*math.Sin(decl)) / (math.Cos(lat) * math.Cos(decl))
	if !(cosH >= -1 && cosH <= 1) {
		return rise, set, false
	}
	half := math.Acos(cosH) * 180 / math.Pi // degrees
	midday := 720 - 4*longitude - eqTime    // minutes of the UTC day
	at := func(minutes float64) time.Time {
		return noon.Add(time.Duration((minutes - 720) * float64(time.Minute))).In(day.Location())
	}
	return at(midday - 4*half), at(midday + 4*half), true
}

// sunPosition returns the sun's declination in radians and the equation of time
// in minutes.
func sunPosition(t time.Time) (declination, equationOfTime float64) {
	const rad = math.Pi / 180
	jd := float64(t.Unix())/86400 + 2440587.5
	c := (jd - 2451545) / 36525
	l0 := math.Mod(280.46646+c*(36000.76983+c*0.0003032), 360)
	m := 357.52911 + c*(35999.05029-0.0001537*c)
	e := 0.016708634 - c*(0.000042037+0.0000001267*c)
	center := math.Sin(m*rad)*(1.914602-c*(0.004817+0.000014*c)) + math.Sin(2*m*rad)*(0.019993-0.000101*c) + math.Sin(3*m*rad)*0.000289
	omega := (125.04 - 1934.136*c) * rad
	lambda := (l0 + center - 0.00569 - 0.00478*math.Sin(omega)) * rad
	eps := (23 + (26+(21.448-c*(46.815+c*(0.00059-c*0.001813)))/60)/60 + 0.00256*math.Cos(omega)) * rad
	y := math.Tan(eps/2) * math.Tan(eps/2)
	eq := y*math.Sin(2*l0*rad) - 2*e*math.Sin(m*rad) + 4*e*y*math.Sin(m*rad)*math.Cos(2*l0*rad) - 0.5*y*y*math.Sin(4*l0*rad) - 1.25*e*e*math.Sin(2*m*rad)
	return math.Asin(math.Sin(eps) * math.Sin(lambda)), 4 * eq / rad
}
