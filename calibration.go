package greenhouse

import (
	"fmt"
	"math"
)

// CalPoint is one point of a calibration: what the sensor says of a reference.
type CalPoint struct {
	Raw float64 `json:"raw"` // before any correction
	Ref float64 `json:"ref"` // the true value, in the unit of the channel
}

// CalMethod is how a calibration was made.
type CalMethod string

// The methods. A gain needs two points; a third shows whether the sensor is
// straight.
const (
	CalOffset     CalMethod = "offset"      // one point, gain 1
	CalTwoPoint   CalMethod = "two_point"   //
	CalThreePoint CalMethod = "three_point" // least squares through three or more
	CalDirect     CalMethod = "direct"      // gain and offset as given
)

// Compensation refers a value to one temperature: value at RefC = value /
// (1 + PerK × (t − RefC)), as for the conductivity of a solution, which rises by
// some 2 % a kelvin. The daemon applies it, with the temperature that the same
// node last sent on Channel.
type Compensation struct {
	PerK    float64     `json:"per_k"`   // relative change a kelvin, e.g. 0.02
	RefC    float64     `json:"ref_c"`   // °C, usually 25
	Channel ChannelName `json:"channel"` // that measures the temperature
}

// Apply refers v, measured at t °C, to the reference temperature.
func (c Compensation) Apply(v, t float64) float64 {
	f := 1 + c.PerK*(t-c.RefC)
	if f <= 0 || math.IsNaN(f) {
		return v
	}
	return v / f
}

// Apply returns the calibrated value of a raw one.
func (l Linear) Apply(raw float64) float64 { return l.Gain*raw + l.Offset }

// Raw returns the raw value behind a calibrated one.
func (l Linear) Raw(v float64) float64 { return (v - l.Offset) / l.Gain }

// CalPolicy says what a quantity asks for: whether new hardware has to be
// calibrated before its values count as good, and how often after that.
type CalPolicy struct {
	Required  bool `json:"required"`             // after a swap
	EveryDays int  `json:"every_days,omitempty"` // 0: once is enough
}

// DefaultCalPolicy returns what a channel of that name asks for: electrodes drift
// within weeks, gas and moisture sensors within a year, and a digital thermometer
// comes calibrated.
func DefaultCalPolicy(name ChannelName) CalPolicy {
	switch name {
	case "solution_ph":
		return CalPolicy{Required: true, EveryDays: 30}
	case "solution_ec":
		return CalPolicy{Required: true, EveryDays: 90}
	case "co2", "soil_moisture":
		return CalPolicy{Required: true, EveryDays: 365}
	case "flow", "tank_level":
		return CalPolicy{Required: true}
	}
	return CalPolicy{}
}

// CalMark says which calibration a channel has.
type CalMark struct {
	Version uint64    `json:"version"` // the how manieth of the channel
	At      Millis    `json:"at"`
	By      string    `json:"by"`
	Method  CalMethod `json:"method"`
	DueAt   Millis    `json:"due_at"` // 0: never again
}

// The slope of an ideal glass electrode at 25 °C, and how far a usable one may be
// from it (docs/control.md): beyond that it is worn out, dirty, or in the wrong
// buffer.
const (
	nernstMV   = 59.16 // mV a pH unit
	phSlopeMin = 0.85
	phSlopeMax = 1.05
	phOffsetMV = 30.0
	phSpread   = 2.0 // pH units between two buffers at least
)

// Calibration is a fit with what it says of the sensor.
type Calibration struct {
	Method   CalMethod `json:"-"` // in the mark of its record
	Linear   Linear    `json:"linear"`
	Residual float64   `json:"residual"`         // farthest point from the line, in the unit of the channel
	Slope    float64   `json:"slope,omitempty"`  // pH: of the ideal one, 1 is new
	OffsetMV float64   `json:"offset_mv"`        // pH: mV at pH 7
	RawMV    bool      `json:"raw_mv,omitempty"` // pH: the raw value is the voltage of the electrode
}

// Calibrate fits a line through points of a channel and refuses one that no
// healthy sensor has, with the reason. One point moves, two or more also stretch.
func Calibrate(name ChannelName, points []CalPoint) (Calibration, error) {
	for _, p := range points {
		if math.IsNaN(p.Raw) || math.IsInf(p.Raw, 0) || math.IsNaN(p.Ref) || math.IsInf(p.Ref, 0) {
			return Calibration{}, Invalid("cal_point_invalid", "a calibration point is no number")
		}
	}
	c := Calibration{Linear: Linear{Gain: 1}}
	switch len(points) {
	case 0:
		return c, Invalid("cal_points_missing", "a calibration needs at least one point")
	case 1:
		c.Method = CalOffset
		c.Linear.Offset = points[0].Ref - points[0].Raw
	default:
		c.Method = CalTwoPoint
		if len(points) > 2 {
			c.Method = CalThreePoint
		}
		if err := c.fit(name, points); err != nil {
			return c, err
		}
	}
	return c, c.check(name, points)
}

// fit finds the line of least squares.
func (c *Calibration) fit(name ChannelName, points []CalPoint) error {
	var sx, sy, sxx, sxy float64
	low, high := points[0].Ref, points[0].Ref
	for _, p := range points {
		sx, sy, sxx, sxy = sx+p.Raw, sy+p.Ref, sxx+p.Raw*p.Raw, sxy+p.Raw*p.Ref
		low, high = min(low, p.Ref), max(high, p.Ref)
	}
	n := float64(len(points))
	if least := calSpread(name); high-low < least {
		return Invalid("cal_points_close", "the references %.4g and %.4g lie too close to each other: they must be %.3g apart", low, high, least).
			WithHint("take buffers or places that differ more")
	}
	d := n*sxx - sx*sx
	if d <= 0 || math.Abs(d) < 1e-12*n*sxx {
		return Invalid("cal_raw_same", "the sensor says the same of different references: it does not measure them").
			WithHint("look whether the probe is connected and in the liquid")
	}
	c.Linear.Gain = (n*sxy - sx*sy) / d
	c.Linear.Offset = (sy - c.Linear.Gain*sx) / n
	for _, p := range points {
		c.Residual = max(c.Residual, math.Abs(c.Linear.Apply(p.Raw)-p.Ref))
	}
	return nil
}

// calSpread returns how far references must lie apart.
func calSpread(name ChannelName) float64 {
	if name == "solution_ph" {
		return phSpread
	}
	if s, ok := StandardChannel(name); ok && s.Max > s.Min {
		return min((s.Max-s.Min)/50, 200)
	}
	return 1e-9
}

// check refuses what no healthy sensor needs.
func (c *Calibration) check(name ChannelName, points []CalPoint) error {
	if c.Linear.Gain == 0 || math.IsInf(c.Linear.Gain, 0) || math.Abs(c.Linear.Offset) > 1e6 {
		return Invalid("cal_insane", "the calibration makes no sense: gain %.4g, offset %.4g", c.Linear.Gain, c.Linear.Offset)
	}
	if name == "solution_ph" {
		return c.checkPH(points)
	}
	s, ok := StandardChannel(name)
	if !ok {
		return nil
	}
	span := s.Max - s.Min
	for _, p := range points {
		if p.Ref < s.Min || p.Ref > s.Max {
			return Invalid("cal_reference_invalid", "the reference %.4g is not from %.4g to %.4g %s", p.Ref, s.Min, s.Max, s.Unit)
		}
	}
	if raw := points[0].Raw; raw < s.Min-span || raw > s.Max+span {
		return nil // the raw value is in another unit, as the voltage of a probe
	}
	switch {
	case c.Linear.Gain < 0.5 || c.Linear.Gain > 2:
		return Invalid("cal_gain_insane", "the sensor would have to be corrected by a factor of %.3g: it is broken, or a reference is wrong", c.Linear.Gain).
			WithHint("check the references and the wiring; a healthy sensor needs 0.5 to 2")
	case len(points) == 1 && math.Abs(c.Linear.Offset) > span/4:
		return Invalid("cal_offset_insane", "the sensor would have to be moved by %.3g %s: it is broken, or the reference is wrong", c.Linear.Offset, s.Unit)
	case c.Residual > span/20:
		return Invalid("cal_not_straight", "the points lie up to %.3g %s off a straight line: one of them is wrong", c.Residual, s.Unit)
	}
	return nil
}

// checkPH judges an electrode by slope and offset. Its raw value is the voltage
// where the fit makes a pH unit of many; else it is a pH already.
func (c *Calibration) checkPH(points []CalPoint) error {
	for _, p := range points {
		if p.Ref < 1 || p.Ref > 13 {
			return Invalid("cal_reference_invalid", "pH %.4g is no buffer: it must be from 1 to 13", p.Ref)
		}
		c.RawMV = c.RawMV || math.Abs(p.Raw) > 14 || p.Raw < 0
	}
	at7 := (7 - c.Linear.Offset) / c.Linear.Gain // the raw value at pH 7
	if c.RawMV {
		c.Slope, c.OffsetMV = -1/c.Linear.Gain/nernstMV, at7
	} else {
		c.Slope, c.OffsetMV = 1/c.Linear.Gain, (7-at7)*nernstMV
	}
	switch {
	case c.RawMV && len(points) == 1:
		return Invalid("cal_points_missing", "one buffer does not tell the slope of an electrode that sends its voltage").WithHint("take two buffers, pH 7 and pH 4")
	case c.Slope < phSlopeMin || c.Slope > phSlopeMax:
		return Invalid("cal_slope", "the electrode has a slope of %.0f %% of the %.2f mV of an ideal one: it must be from %.0f to %.0f %%", c.Slope*100, nernstMV, phSlopeMin*100, phSlopeMax*100).
			WithHint("clean it, take fresh buffers, or replace the probe")
	case math.Abs(c.OffsetMV) > phOffsetMV:
		return Invalid("cal_offset", "the electrode is off by %.0f mV at pH 7: it must be within ±%.0f mV", c.OffsetMV, phOffsetMV).
			WithHint("clean it, take fresh buffers, or replace the probe")
	case c.Residual > 0.15:
		return Invalid("cal_not_straight", "the buffers lie up to %.2f pH off a straight line: one of them is wrong or spent", c.Residual)
	}
	return nil
}

// String says a calibration in a few words.
func (c Calibration) String() string {
	s := fmt.Sprintf("gain %.5g, offset %+.5g", c.Linear.Gain, c.Linear.Offset)
	if c.Slope != 0 {
		s += fmt.Sprintf(", slope %.0f %%, %+.0f mV at pH 7", c.Slope*100, c.OffsetMV)
	}
	return s
}
