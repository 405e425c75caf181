package telemetry

import "math"

// maxExponent is the most decimal places looked for: 10¹⁵ is below 2⁵³.
const maxExponent = 15

// mantissa returns v·10^e as an integer if dividing it by 10^e gives back
// exactly the bits of v.
func mantissa(v float64, e int) (int64, bool) {
	p := math.Pow10(e)
	x := math.RoundToEven(v * p)
	if !(math.Abs(x) < 1<<53) || x/p != v || x == 0 && math.Signbit(v) {
		return 0, false
	}
	return int64(x), true
}

// decimal returns the shortest exact decimal m/10^e of v, if there is one of
// at most 15 places.
func decimal(v float64) (m int64, e int, ok bool) {
	for e = 0; e <= maxExponent; e++ {
		if m, ok = mantissa(v, e); ok {
			return m, e, true
		}
		if math.Abs(v)*math.Pow10(e) >= 1<<53 {
			break
		}
	}
	return 0, 0, false
}

// undecimal is the inverse of decimal.
func undecimal(m int64, e int) float64 { return float64(m) / math.Pow10(e) }
