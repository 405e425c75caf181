package sim

import "math"

// stream is a source of random numbers without state: the nth number of a
// stream is a function of its seed and n alone. Readers may therefore ask in any
// order and as often as they like, and two runs of one seed agree bit for bit.
type stream uint64

// newStream returns the stream of one purpose. Each (seed, place, thing,
// purpose) has its own, so that a new sensor never moves the noise of another.
func newStream(seed uint64, names ...string) stream {
	h := uint64(14695981039346656037) // FNV-1a
	for _, n := range names {
		for i := 0; i < len(n); i++ {
			h = (h ^ uint64(n[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	return stream(mix(seed ^ mix(h)))
}

// mix is the finaliser of splitmix64 (Steele, Lea and Flood 2014).
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// uniform returns the nth number, evenly spread over [0, 1).
func (s stream) uniform(n int64) float64 {
	return float64(mix(uint64(s)^mix(uint64(n)))>>11) / (1 << 53)
}

// normal returns the nth number of a standard normal distribution (Box–Muller).
func (s stream) normal(n int64) float64 {
	u := mix(uint64(s) ^ mix(uint64(n)))
	r := math.Sqrt(-2 * math.Log((float64(u>>11)+0.5)/(1<<53)))
	return r * math.Cos(2*math.Pi*float64(mix(u)>>11)/(1<<53))
}

// regressive returns the nth value of a stationary AR(1) process of unit
// variance with coefficient phi, as the sum of the last terms innovations.
func (s stream) regressive(n int64, phi float64, terms int) float64 {
	sum, weight := 0.0, math.Sqrt(1-phi*phi)
	for k := range terms {
		sum += weight * s.normal(n-int64(k))
		weight *= phi
	}
	return sum
}
