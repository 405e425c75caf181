package sim

import (
	"math"
	"time"
)

// SunHeight returns the sine of the sun's height over the horizon at t, the
// cosine of its zenith angle; below 0 at night. It is good to about 0.3 degrees
// (declination and equation of time after Spencer 1971).
func SunHeight(t time.Time, latitude, longitude float64) float64 {
	u := t.UTC()
	hours := float64(u.Hour()) + float64(u.Minute())/60 + float64(u.Second())/3600
	g := 2 * math.Pi * (float64(u.YearDay()-1) + (hours-12)/24) / 365.25
	dec := 0.006918 - 0.399912*math.Cos(g) + 0.070257*math.Sin(g) - 0.006758*math.Cos(2*g) +
		0.000907*math.Sin(2*g) - 0.002697*math.Cos(3*g) + 0.00148*math.Sin(3*g)
	minutes := 229.18 * (0.000075 + 0.001868*math.Cos(g) - 0.032077*math.Sin(g) - 0.014615*math.Cos(2*g) - 0.040849*math.Sin(2*g))
	angle := (hours-12)*15 + longitude + minutes/4
	lat := latitude * math.Pi / 180
	return math.Sin(lat)*math.Sin(dec) + math.Cos(lat)*math.Cos(dec)*math.Cos(angle*math.Pi/180)
}

// haurwitz returns the global radiation of a clear sky in W/m² (Haurwitz 1945).
func haurwitz(sun float64) float64 {
	if sun <= 0 {
		return 0
	}
	return 1098 * sun * math.Exp(-0.057/sun)
}

// skyTemperature returns the effective temperature of the sky in °C for air and
// dew point in °C and a cloud cover from 0 to 1 (Berdahl and Martin 1984).
func skyTemperature(air, dew, cloud float64) float64 {
	d := dew / 100
	e := 0.711 + 0.56*d + 0.73*d*d
	e += 0.8 * cloud * (1 - e)
	return (air+kelvin)*math.Sqrt(math.Sqrt(e)) - kelvin
}

// skyFromNet returns the temperature of the sky in °C from the net longwave
// radiation in W/m² that a pyrgeometer shows at air °C; it is negative under a
// clear sky.
func skyFromNet(air, net float64) float64 {
	a := air + kelvin
	return skyFromDown(math.Max(50, boltzmann*a*cube(a)+net))
}

// skyFromDown returns the temperature of the sky in °C from the longwave
// radiation that comes down, in W/m².
func skyFromDown(down float64) float64 { return math.Sqrt(math.Sqrt(down/boltzmann)) - kelvin }
