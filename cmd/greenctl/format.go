package main

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// number writes a value with its unit, or a dash.
func number(v *float64, unit greenhouse.Unit) string {
	if v == nil {
		return "-"
	}
	digits := 2
	switch abs := math.Abs(*v); {
	case abs >= 1000:
		digits = 0
	case abs >= 100:
		digits = 1
	}
	s := strconv.FormatFloat(*v, 'f', digits, 64)
	if unit != "" {
		s += " " + string(unit)
	}
	return s
}

// level writes the level of an actuator: off, on, or per cent.
func level(v *float64) string {
	switch {
	case v == nil:
		return "-"
	case *v == 0:
		return "off"
	case *v == 1:
		return "on"
	}
	return fmt.Sprintf("%.0f %%", *v*100)
}

// reported writes the level an actuator has, and what is not sure about it.
func reported(x api.Actuator) string {
	switch x.Position {
	case greenhouse.MotorUnknown:
		return "unknown"
	case greenhouse.MotorSuspect:
		return level(x.Reported) + " suspect"
	}
	return level(x.Reported)
}

// ago writes how long ago m was, "never" for 0.
func ago(m greenhouse.Millis, now time.Time) string {
	if m == 0 {
		return "never"
	}
	return short(now.Sub(m.Time())) + " ago"
}

// in writes how long until m, "-" for 0.
func in(m greenhouse.Millis, now time.Time) string {
	if m == 0 {
		return "-"
	}
	return "in " + short(m.Time().Sub(now).Round(time.Second))
}

// short writes a duration in its largest two units.
func short(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// clock writes an instant in local time, for tables.
func clock(m greenhouse.Millis) string {
	if m == 0 {
		return "-"
	}
	return m.Time().Local().Format("2006-01-02 15:04:05")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
