package automation

import (
	"math"
	"time"

	"greenhouse"
)

// How lamps are used.
const (
	slots       = 48 // half hours of a day
	lampTrust   = 0.6
	lampFull    = 0.92 // of what the lamps can still give
	lampDark    = 0.5  // the same, while it is dark anyway
	lampStays   = 0.8  // of these two, for lamps that burn
	darkOutside = 60.0 // W/m²
	darkInside  = darkOutside * 2.1 * 0.6
	carryMost   = 0.15 // of the target, from one day to the next
	longestDay  = 18 * time.Hour
	profileDays = 5
	wholeFrom   = 10 * time.Minute // after midnight, until which a date counts as seen from its beginning
)

// lighting is the state of the lamps and the light sum of the day.
type lighting struct {
	dayLight
	other   dayLight // the date before this one, should the clock go back to it
	aim     float64  // mol/m² aimed at today
	days    int      // seen in full
	profile [slots]float32
	lamp    Switch
	ever    bool // the lamps have been switched
}

// dayLight is what was counted of one local date.
type dayLight struct {
	date   int     // days since 1970; 0: none
	sum    float64 // mol/m², lamps included
	sunSum float64 // mol/m² of the sun alone
	carry  float64 // mol/m² owed from the day before
	whole  bool    // it was seen from its beginning
	today  [slots]float32
}

// lamps gives what the sun leaves of the day's light sum, as late as it can
// wait, within the crop's day. No forecast is needed: the profile of the last
// days, scaled by how this day has gone so far, tells what may still come
// (after Albright, Both and Chiu 2000).
func (st *State) lamps() {
	l := &st.light
	natural := st.natural()
	if math.IsNaN(natural) && l.days > 0 && st.cal.until != 0 && st.clockTrusted { // no sensor tells: as on the last days
		natural = float64(l.profile[st.slot()]) / (24 * 3600 / slots) * 1e6
	}
	st.sumLight(natural)
	lamps := st.roles[roleLamp]
	if len(lamps) == 0 || !st.auto || math.IsNaN(st.aim.dli) {
		l.lamp = Switch{Since: l.lamp.Since + st.dt}
		for _, i := range lamps {
			st.devices[i].level = st.devices[i].point.Safe
		}
		return
	}
	target := st.aim.dli + l.carry
	on, why := st.lampWanted(natural, target)
	st.switchLamp(on, why == whyLampDone || why == whyLampNight || why == whyLampClock, lampHold(&st.devices[lamps[0]].spec))
	if l.lamp.On != on {
		why = whyLampHeld
	}
	st.term(roleLamp, "dli", l.sum)
	st.term(roleLamp, "set_point", target)
	level := 0.0
	if l.lamp.On {
		level = 1
	}
	for _, i := range lamps {
		st.want(i, slotLoop, "light", level, why, l.sum, target, 0)
	}
}

// lampHold returns the shortest time on and off that is asked of lamps.
func lampHold(s *greenhouse.ClassSpec) time.Duration {
	if s.Class == greenhouse.ClassLampHPS {
		return 30 * time.Minute
	}
	return 20 * time.Minute
}

// switchLamp switches, unless the last switching was too recent; what must end
// ends at once.
func (st *State) switchLamp(on, must bool, hold time.Duration) {
	l := &st.light
	l.lamp.Since += st.dt
	if on == l.lamp.On || !must && l.ever && l.lamp.Since < hold {
		return
	}
	l.lamp, l.ever = Switch{On: on}, true
}

// sumLight counts light on the local date; while the clock is not trusted the
// date stands still, so that nothing is begun twice.
func (st *State) sumLight(natural float64) {
	l := &st.light
	if st.cal.until != 0 && l.date != st.cal.date {
		st.turnDay()
	}
	lamp := st.tuning.LampPPFD * st.mean(roleLamp)
	if s := &st.seen[ppfd]; s.ok() {
		lamp = max(0, s.Value-max(0, natural))
	}
	if math.IsNaN(natural) {
		natural = 0
	}
	step := st.dt.Seconds() * 1e-6
	l.sum += (natural + lamp) * step
	l.sunSum += natural * step
	l.today[st.slot()] += float32(natural * step)
	l.aim = st.aim.dli
}

// turnDay goes over to another date. One that was counted before goes on from
// where it was left, so that no date is begun twice, however often the clock is
// set forth and back.
func (st *State) turnDay() {
	l := &st.light
	switch was := l.dayLight; {
	case l.other.date == st.cal.date:
		l.dayLight, l.other = l.other, was
	case begins(l.date, st.cal.date):
		st.newDay()
		l.other = was
	}
}

// begins reports whether a new date begins. One day back is a clock that was set
// right around midnight: what was counted goes on being counted.
func begins(was, is int) bool { return is != was && is != was-1 }

// newDay begins the sums of a date. Only a day seen in full counts for the
// profile, and for what is carried over.
func (st *State) newDay() {
	l := &st.light
	l.carry = 0
	if l.whole {
		n := float32(min(l.days+1, profileDays))
		for i := range l.profile {
			l.profile[i] += (l.today[i] - l.profile[i]) / n
		}
		l.days++
		if l.aim > 0 {
			l.carry = clamp(l.aim-l.sum, 0, carryMost*l.aim)
		}
	}
	l.whole = l.date != 0 && st.cal.date == l.date+1 && st.ms-st.cal.from < wholeFrom.Milliseconds()
	l.date, l.sum, l.sunSum, l.today = st.cal.date, 0, 0, [slots]float32{}
}

// slot returns the half hour of the local day.
func (st *State) slot() int { return st.slotAt(st.ms) }

func (st *State) slotAt(ms int64) int {
	return int(clamp(float64(ms-st.cal.from)/(24*3.6e6/slots), 0, slots-1))
}

// cropDay returns the hours of the crop's day around now: day by the schedule,
// at most eighteen hours, so that six remain dark; 4 to 22 where it is always day.
func (st *State) cropDay() (from, until int64) {
	const h = 3600 * 1000
	c := &st.cal
	from, until = c.dayFrom, c.dayUntil
	switch {
	case c.always:
		from, until = c.from+4*h, c.from+22*h
	case until < from && st.ms < until:
		from -= 24 * h
	case until < from:
		until += 24 * h
	}
	return from, min(until, from+longestDay.Milliseconds())
}

// lampWanted decides whether lamps should burn, and says why.
func (st *State) lampWanted(natural, target float64) (bool, reason) {
	if st.cal.until == 0 || st.ms < st.cal.from-1 || st.ms > st.cal.until || !st.clockTrusted {
		return false, whyLampClock
	}
	from, until := st.cropDay()
	if st.ms < from || st.ms >= until {
		return false, whyLampNight
	}
	l := &st.light
	if l.sum >= target {
		return false, whyLampDone
	}
	if math.IsNaN(natural) {
		return true, whyLampTimer
	}
	bright, stays := 1.0, 1.0
	if l.lamp.On {
		bright, stays = 1.5, lampStays
	}
	dark := natural < darkInside*bright
	if s := &st.seen[solar]; s.ok() {
		dark = s.Value < darkOutside*bright
	}
	if st.tuning.LampPPFD == 0 || l.days == 0 && st.ms < (from+until)/2 {
		// Nobody knows what the lamps can give, or whether the sun will: light while it is dark.
		return dark, lampReason(dark)
	}
	need := target - l.sum - lampTrust*st.sunToCome(until)
	can := st.tuning.LampPPFD * float64(until-st.ms) / 1000 * 1e-6
	st.term(roleLamp, "need", need)
	st.term(roleLamp, "lamps_can_give", can)
	on := need > lampFull*stays*can || need > 0 && dark && need > lampDark*stays*can
	return on, lampReason(on)
}

func lampReason(on bool) reason {
	if on {
		return whyLampOn
	}
	return whyLampWait
}

// sunToCome returns what the sun brings until the end of the crop's day, going by
// the last days and by how this one compares with them.
func (st *State) sunToCome(until int64) float64 {
	l := &st.light
	now, end := st.slot(), st.slotAt(until)
	var before, after float64
	for i, v := range l.profile {
		switch {
		case i < now:
			before += float64(v)
		case i <= end:
			after += float64(v)
		}
	}
	k := 1.0
	if before > 0.2 {
		k = clamp(l.sunSum/before, 0.3, 1.6)
	}
	return k * after
}
