package store

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"greenhouse"
)

var labelKey = regexp.MustCompile(`^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$`)

// checkText refuses what cannot be shown: text of people and devices is at most
// limit bytes of printable UTF-8.
func checkText(field, s string, limit int) error {
	if len(s) > limit {
		return greenhouse.Invalid(field+"_invalid", "the %s is %d bytes long: at most %d are allowed", field, len(s), limit)
	}
	if !utf8.ValidString(s) || strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) >= 0 {
		return greenhouse.Invalid(field+"_invalid", "the %s %q holds characters that cannot be printed", field, s)
	}
	return nil
}

// checkNumber refuses what is no number in [lo, hi].
func checkNumber(field string, v, lo, hi float64) error {
	if math.IsNaN(v) || v < lo || v > hi {
		return greenhouse.Invalid(field+"_invalid", "%s is %g: it must be from %g to %g", field, v, lo, hi)
	}
	return nil
}

// firstError returns the first error there is.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkNode checks what people may edit of a node.
func checkNode(n *greenhouse.Node) error {
	err := firstError(
		checkText("name", n.Name, 128), checkText("fw", n.FW, 128), checkText("hw", n.HW, 128), checkText("boot", n.Boot, 64),
		checkNumber("interval_s", float64(n.IntervalS), 0, 86400),
		checkNumber("link_loss_s", float64(n.LinkLossS), 0, 3600),
		checkLabels(n.Labels))
	if err != nil {
		return err
	}
	if len(n.Channels) > maxChannels {
		return greenhouse.Invalid("channels_too_many", "node %s would have %d channels: at most %d are allowed", n.UID, len(n.Channels), maxChannels)
	}
	seen := map[greenhouse.ChannelName]bool{}
	for i := range n.Channels {
		c := &n.Channels[i]
		if seen[c.Name] {
			return greenhouse.Invalid("channel_twice", "node %s names channel %s twice", n.UID, c.Name)
		}
		seen[c.Name] = true
		if err := checkChannel(c); err != nil {
			return err
		}
	}
	return nil
}

// checkLabels checks the labels of a node.
func checkLabels(labels map[string]string) error {
	if len(labels) > 32 {
		return greenhouse.Invalid("labels_invalid", "%d labels are too many: at most 32 are allowed", len(labels))
	}
	for k, v := range labels {
		if !labelKey.MatchString(k) {
			return greenhouse.Invalid("labels_invalid", "label %q is no name: it needs 1 to 63 of a-z 0-9 . _ / -, with a letter or digit at both ends", k)
		}
		if err := checkText("label", v, 128); err != nil {
			return err
		}
	}
	return nil
}

// checkChannel completes a channel from what its name stands for and checks it.
func checkChannel(c *greenhouse.Channel) error {
	if _, err := greenhouse.ParseChannelName(string(c.Name)); err != nil {
		return err
	}
	if err := completeChannel(c); err != nil {
		return err
	}
	if c.Kind == greenhouse.Sensor {
		if c.Class != "" || c.Safe != 0 || c.MaxOnS != 0 || c.MaxOnHourS != 0 || c.MaxOnDayS != 0 || c.MinOffS != 0 {
			return greenhouse.Invalid("channel_invalid", "channel %s is a sensor and cannot have class, safe, limits of time on or min_off_s", c.Name)
		}
		return checkCal(c)
	}
	if _, err := greenhouse.ParseClass(string(c.Class)); err != nil {
		return err
	}
	if c.Cal != nil {
		return greenhouse.Invalid("channel_invalid", "channel %s is an actuator and cannot have a calibration", c.Name)
	}
	return firstError(checkNumber("safe", c.Safe, 0, 1),
		checkNumber("max_on_hour_s", float64(c.MaxOnHourS), 0, 3600), checkNumber("max_on_day_s", float64(c.MaxOnDayS), 0, 86400),
		checkNumber("max_on_s", float64(c.MaxOnS), 0, 86400), checkNumber("min_off_s", float64(c.MinOffS), 0, 86400))
}

// completeChannel fills in kind, unit, class and safe level.
func completeChannel(c *greenhouse.Channel) error {
	spec, standard := greenhouse.StandardChannel(c.Name)
	if standard && c.Kind != "" && c.Kind != spec.Kind {
		return greenhouse.Invalid("channel_invalid", "channel %s is declared as %s: that name stands for a %s", c.Name, c.Kind, spec.Kind).
			WithHint("give the channel another name")
	}
	if c.Kind == "" {
		c.Kind = greenhouse.Sensor
		if standard {
			c.Kind = spec.Kind
		}
	}
	if c.Kind != greenhouse.Sensor && c.Kind != greenhouse.Actuator {
		return greenhouse.Invalid("channel_invalid", "channel %s is declared as %q: it is sensor or actuator", c.Name, c.Kind)
	}
	if c.Unit == "" {
		c.Unit = spec.Unit
	}
	if c.Kind == greenhouse.Actuator && c.Class == "" {
		c.Class = spec.Class
		if c.Class == "" {
			c.Class = greenhouse.ClassHeaterContactor // the most careful of the plain switches
		}
		c.Safe = c.Class.Spec().Safe
	}
	return checkText("unit", string(c.Unit), 16)
}

// checkCal checks a calibration.
func checkCal(c *greenhouse.Channel) error {
	if c.Cal == nil {
		return nil
	}
	if c.Cal.Gain == 0 {
		return greenhouse.Invalid("cal_invalid", "the calibration of channel %s has gain 0: every value would be the same", c.Name)
	}
	return firstError(checkNumber("cal.gain", c.Cal.Gain, -1e6, 1e6), checkNumber("cal.offset", c.Cal.Offset, -1e6, 1e6))
}

// checkNodeLimits checks how many nodes a zone takes.
func checkNodeLimits(z *greenhouse.Zone) error {
	for t, most := range z.NodeLimits {
		if _, err := greenhouse.ParseNodeType(string(t)); err != nil {
			return err
		}
		if most < 0 || most > 999 {
			return greenhouse.Invalid("node_limits_invalid", "zone %s cannot take %d nodes of type %s: it is 1 to 999, or 0 for any number", z.ID, most, t)
		}
	}
	return nil
}

// checkZone completes a zone and checks it.
func checkZone(z *greenhouse.Zone) error {
	if err := checkNodeLimits(z); err != nil {
		return err
	}
	if z.Name == "" {
		z.Name = string(z.ID)
	}
	if z.Mode == "" {
		z.Mode = greenhouse.ModeAuto
	}
	if z.DayFrom == "" {
		z.DayFrom = "sunrise"
	}
	if z.DayUntil == "" {
		z.DayUntil = "sunset"
	}
	if z.Targets == nil {
		z.Targets = map[greenhouse.Quantity]greenhouse.Target{}
	}
	if _, err := greenhouse.ParseMode(string(z.Mode)); err != nil {
		return err
	}
	return firstError(
		checkText("name", z.Name, 128), checkText("crop", z.Crop, 128), checkNumber("area_m2", z.AreaM2, 0, 1e7),
		checkEdge("day_from", z.DayFrom), checkEdge("day_until", z.DayUntil),
		checkTargets(z), checkSchedule(z), ruleSetPoints(z), checkRun(z.Run), checkControl(&z.Control))
}

// checkRun checks what a zone grows by.
func checkRun(r *greenhouse.RecipeRun) error {
	if r == nil {
		return nil
	}
	return r.Check()
}

// checkEdge checks when day or night begins.
func checkEdge(field string, e greenhouse.DayEdge) error {
	if _, err := e.Parse(); err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	return nil
}

// checkTargets checks every target against the range of its quantity.
func checkTargets(z *greenhouse.Zone) error {
	for q, t := range z.Targets {
		spec, err := greenhouse.ParseQuantity(string(q))
		if err != nil {
			return err
		}
		if err := firstError(checkNumber(string(q), t.Day, spec.Min, spec.Max), checkNumber(string(q), t.Night, spec.Min, spec.Max)); err != nil {
			return err
		}
	}
	return nil
}

// checkSchedule checks curves and adjustments.
func checkSchedule(z *greenhouse.Zone) error {
	for q, curve := range z.Schedule {
		if err := curve.Check(q); err != nil {
			return err
		}
	}
	for q, a := range z.Offsets {
		if err := checkAdjustment("offset", q, a, -q.MaxOffset(), q.MaxOffset(), greenhouse.LongestOff); err != nil {
			return err
		}
	}
	for q, a := range z.Holds {
		spec, err := greenhouse.ParseQuantity(string(q))
		if err != nil {
			return err
		}
		if err := checkAdjustment("held value", q, a, spec.Min, spec.Max, greenhouse.LongestHold); err != nil {
			return err
		}
	}
	return nil
}

func checkAdjustment(what string, q greenhouse.Quantity, a greenhouse.Adjustment, least, most float64, longest time.Duration) error {
	switch d := a.ExpiresAt.Sub(a.CreatedAt); {
	case !q.Curved():
		return greenhouse.Invalid("adjustment_invalid", "%s takes no %s: heating, venting, humidity_max, vpd and co2 do", q, what)
	case !(a.Value >= least && a.Value <= most):
		return greenhouse.Invalid("adjustment_invalid", "the %s of %s is %v: it takes %v to %v", what, q, a.Value, least, most)
	case d <= 0 || d > longest:
		return greenhouse.Invalid("adjustment_invalid", "the %s of %s stands for %s: it ends by itself after %s at most", what, q, d, longest)
	}
	return checkText("reason", a.Reason, 256)
}

// leastDeadBand is the least that heat_on_k and heat_off_k make together, K: two
// steps of a common thermometer.
const leastDeadBand = 0.2

// checkControl checks the parameters of the control blocks; 0 takes the default.
func checkControl(c *greenhouse.Control) error {
	err := firstError(
		checkNumber("heat_on_k", c.HeatOn, 0, 10), checkNumber("heat_off_k", c.HeatOff, 0, 10),
		checkNumber("heat_kp_per_k", c.HeatKp, 0, 10), checkNumber("heat_ti_s", float64(c.HeatTiS), 0, 4*3600-1),
		checkNumber("heat_cycle_s", float64(c.HeatCycleS), 0, 3600),
		checkNumber("vent_p_band_k", c.VentPBand, 0, 20), checkNumber("stage_delay_s", float64(c.StageDelayS), 0, 86400),
		checkNumber("co2_gives_g_m2_h", c.CO2Gives, 0, 200), checkNumber("co2_most_g_m2_h", c.CO2Most, 0, 200), checkNumber("shade_w_m2", c.ShadeWM2, 0, 1500),
		checkNumber("frost_limit_c", c.FrostLimit, -5, 20), checkNumber("heat_limit_c", c.HeatLimit, 0, 60),
		checkNumber("stale_after_s", float64(c.StaleAfterS), 0, 86400), checkNumber("hold_s", float64(c.HoldS), 0, 86400),
		checkNumber("vent_cap", c.VentCap, 0, 1), checkNumber("rh_p_band_pct", c.RHPBand, 0, 50), checkNumber("rh_vent_max", c.RHVentMax, 0, 1),
		checkNumber("changeover_s", float64(c.ChangeoverS), 0, 86400), checkNumber("co2_max_ppm", c.CO2Max, 0, 5000),
		checkNumber("lamp_ppfd", c.LampPPFD, 0, 3000), checkNumber("heater_w_m2", c.HeaterWM2, 0, 2000))
	if err != nil {
		return err
	}
	full := c.Defaults()
	if band := full.HeatOn + full.HeatOff; band < leastDeadBand-1e-9 {
		return greenhouse.Invalid("dead_band_narrow", "heat_on_k and heat_off_k are %.2g K together: a thermometer in steps of 0.1 K needs %g K at least, or heat would switch by its last digit",
			band, leastDeadBand)
	}
	if c.DeadZone != 0 {
		err = checkNumber("dead_zone_k", c.DeadZone, minDeadZone, 20)
	}
	if err == nil && full.HeatLimit <= full.FrostLimit+10 {
		err = greenhouse.Invalid("limits_inverted", "heat_limit_c is %g and frost_limit_c is %g: they must lie more than 10 K apart", full.HeatLimit, full.FrostLimit)
	}
	return err
}

// checkPoint checks what people may edit of a point.
func checkPoint(p *greenhouse.Point) error {
	if p.Kind == greenhouse.Actuator {
		if _, err := greenhouse.ParseClass(string(p.Class)); err != nil {
			return err
		}
		return checkNumber("safe", p.Safe, 0, 1)
	}
	for field, v := range map[string]*float64{"min": p.Min, "max": p.Max} {
		if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			return greenhouse.Invalid(field+"_invalid", "%s of point %s is %g: it must be a number", field, p.ID, *v)
		}
	}
	if p.Min != nil && p.Max != nil && *p.Min >= *p.Max {
		return greenhouse.Invalid("range_inverted", "the range of point %s is inverted: min %g, max %g", p.ID, *p.Min, *p.Max)
	}
	return checkText("unit", string(p.Unit), 16)
}

// checkSite checks the site.
func checkSite(s *greenhouse.Site) error {
	if err := firstError(checkText("name", s.Name, 128), checkNumber("latitude", s.Latitude, -90, 90), checkNumber("longitude", s.Longitude, -180, 180)); err != nil {
		return err
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "Local" {
		return greenhouse.Invalid("time_zone_invalid", "time zone %s is unknown", strconv.Quote(s.TimeZone)).
			WithHint("it is an IANA name such as Europe/Amsterdam")
	}
	return nil
}

// checkFilter checks an MQTT topic filter: # only last, + alone, at most 12
// levels and 256 bytes, nothing that begins with $.
func checkFilter(f string) error {
	bad := func(why string) error {
		return greenhouse.Invalid("filter_invalid", "topic filter %q %s", f, why).WithHint("e.g. homeassistant/# or gh/n/+/status")
	}
	levels := strings.Split(f, "/")
	switch {
	case f == "" || len(f) > 256 || len(levels) > 12:
		return bad("must have 1 to 256 bytes in at most 12 levels")
	case !utf8.ValidString(f) || strings.IndexFunc(f, unicode.IsControl) >= 0:
		return bad("holds characters that cannot be printed")
	case strings.HasPrefix(f, "$"):
		return bad("begins with $")
	}
	for i, l := range levels {
		if strings.Contains(l, "#") && (l != "#" || i != len(levels)-1) {
			return bad("has a # that is not a level of its own at the end")
		}
		if strings.Contains(l, "+") && l != "+" {
			return bad("has a + that is not a level of its own")
		}
	}
	return nil
}
