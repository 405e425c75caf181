package automation

import (
	"fmt"
	"math"
	"time"

	"greenhouse"
)

// maxStages is how many heaters of one zone are switched in turn; more follow
// the last.
const maxStages = 4

// State is what a zone's control remembers from one decision to the next. The
// zero value is a zone that has just been switched on. One goroutine has it at a
// time.
type State struct {
	limits  limits
	version uint64 // of the zone the limits are of
	day     daytime
	gale    gale
	light   light

	air, rh, co2, ppfd                memory
	outTemp, outRH, wind, rain, solar memory
	heat                              [maxStages]hysteresis
	staged                            time.Time // last heating stage switched on
	heated, vented                    time.Time // last time heating, or venting for temperature, was wanted
	fan, lamp, dose                   hysteresis
	frost, over                       bool // protection is at work, until a kelvin beyond its limit
	phrases                           [phraseCount]phrase
	decision                          Decision
	ventMost, zero                    float64   // behind the bounds of claims
	humidity                          float64   // demand for drying, 0 to 1
	began                             time.Time // of the first decision
}

// The reasons that carry numbers; each is worded anew only when its numbers
// have changed by what a grower would notice.
const (
	phraseHeat = iota
	phraseVent
	phraseFan
	phraseLamp
	phraseCO2
	phraseFrost
	phraseOver
	phraseBlind
	phraseHumid
	phraseCount
)

// phrase is a reason with two numbers in it.
type phrase struct {
	format string
	a, b   float64
	text   string
}

// say returns the reason with a and b to one decimal.
func (p *phrase) say(format string, a, b float64) string {
	a, b = math.Round(a*10)/10, math.Round(b*10)/10
	if p.format != format || p.a != a || p.b != b {
		*p = phrase{format, a, b, fmt.Sprintf(format, a, b)}
	}
	return p.text
}

// prepare sizes the buffers and fills in the limits, where the zone changed.
func (st *State) prepare(in *Input) {
	if st.version != in.Zone.Version || st.limits.hold == 0 {
		st.limits, st.version = limitsOf(in.Zone.Control), in.Zone.Version
	}
	if st.began.IsZero() {
		st.began = in.Now
	}
	d := &st.decision
	d.Zone, d.At = in.Zone.ID, in.Now
	d.Conditions = d.Conditions[:0]
	for len(d.Wants) < len(in.Devices) {
		d.Wants = append(d.Wants, Want{Claims: make([]greenhouse.Claim, 0, 6), Inputs: make([]greenhouse.Input, 0, 4), Terms: make(map[string]float64, 4), Timers: make(map[string]float64, 2)})
	}
	d.Wants = d.Wants[:len(in.Devices)]
	for i := range d.Wants {
		w := &d.Wants[i]
		w.Point = in.Devices[i].Point.ID
		w.Claims, w.Inputs = w.Claims[:0], w.Inputs[:0]
		clear(w.Terms)
		clear(w.Timers)
	}
}
