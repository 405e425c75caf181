package tui

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// The limits of what is set for a time.
const (
	overrideUsual = 2 * time.Hour
	overrideMost  = 24 * time.Hour
	shelveMost    = 7 * 24 * time.Hour
)

// overrideDialog sets an actuator by hand, or gives it back.
func overrideDialog(a api.Actuator, v view) *dialog {
	return &dialog{
		title: "override " + string(a.Point) + ":", hint: "30% 1h drying after spraying · on · off · release   (2h unless said, 24h at most)",
		parse: func(text string) (*action, error) {
			if text == "release" {
				return releaseAction(a), nil
			}
			r, err := parseOverride(text)
			if err != nil {
				return nil, err
			}
			return overrideAction(a, r, v), nil
		},
	}
}

func releaseAction(a api.Actuator) *action {
	return &action{
		say: fmt.Sprintf("give %s back to automation?", a.Point),
		run: func(ctx context.Context, src Source) (string, error) {
			return fmt.Sprintf("%s is back with automation", a.Point), src.ReleaseOverride(ctx, a.Point, client.Write{IfVersion: a.Version})
		},
	}
}

func overrideAction(a api.Actuator, r api.OverrideRequest, v view) *action {
	lasts := time.Duration(r.ForS) * time.Second
	say := fmt.Sprintf("set %s to %s by hand for %s, until %s, because: %s? Safety limits still hold.",
		a.Point, level(&r.Value), short(lasts), v.date(v.now.Add(lasts)), r.Reason)
	if s := a.Class.Spec(); !s.Modulating && r.Value > 0 && r.Value < 1 {
		say = fmt.Sprintf("set %s, which knows on and off only, to %s by hand for %s, until %s, because: %s?", a.Point, level(&r.Value), short(lasts), v.date(v.now.Add(lasts)), r.Reason)
	}
	return &action{say: say, run: func(ctx context.Context, src Source) (string, error) {
		o, err := src.SetOverride(ctx, a.Point, r, client.Write{IfVersion: a.Version, Reason: r.Reason})
		return fmt.Sprintf("%s is %s by hand until %s", a.Point, level(&o.Value), v.date(o.ExpiresAt)), err
	}}
}

// parseOverride reads a level, perhaps a time, and a reason.
func parseOverride(text string) (api.OverrideRequest, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return api.OverrideRequest{}, greenhouse.Invalid("usage", "write a level: 0 to 1, on, off or 30%%; or release")
	}
	v, err := parseLevel(words[0])
	if err != nil {
		return api.OverrideRequest{}, err
	}
	lasts, rest := overrideUsual, words[1:]
	if len(rest) > 0 {
		if d, err := api.ParseDuration(rest[0]); err == nil {
			lasts, rest = d, rest[1:]
		}
	}
	if lasts > overrideMost || lasts < time.Second {
		return api.OverrideRequest{}, greenhouse.Invalid("usage", "an override lasts from 1s to %s", short(overrideMost))
	}
	reason := strings.Join(rest, " ")
	if reason == "" {
		return api.OverrideRequest{}, greenhouse.Invalid("usage", "say why, after the level: whoever finds it at night wants to know")
	}
	return api.OverrideRequest{Value: v, ForS: int(lasts.Seconds()), Reason: reason}, nil
}

// parseLevel reads 0 to 1, on, off or a percentage.
func parseLevel(s string) (float64, error) {
	switch strings.ToLower(s) {
	case "on", "open":
		return 1, nil
	case "off", "closed":
		return 0, nil
	}
	num, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(num, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, greenhouse.Invalid("level_invalid", "level %q is not from 0 to 1, on, off or a percentage", s)
	}
	return v, nil
}

// targetDialog sets or clears a target of a zone.
func targetDialog(z api.Zone, v view) *dialog {
	hint := "heating 19 · heating 20/16 by day/night · heating none   now:"
	now := 0
	for _, q := range greenhouse.Quantities() {
		if t := v.s.target(&z, q.Quantity, v.now); t != "" {
			hint += " " + string(q.Quantity) + " " + t
			now++
		}
	}
	if now == 0 {
		hint += " none"
	}
	return &dialog{title: "target of " + string(z.ID) + ":", hint: hint, parse: func(text string) (*action, error) { return parseTarget(z, text) }}
}

func parseTarget(z api.Zone, text string) (*action, error) {
	name, value, _ := strings.Cut(text, " ")
	q, err := greenhouse.ParseQuantity(name)
	if err != nil {
		return nil, err
	}
	value = strings.TrimSpace(value)
	if value == "none" || value == "clear" {
		return &action{say: fmt.Sprintf("clear the %s target of %s, until somebody sets one?", q.Quantity, z.ID), run: func(ctx context.Context, src Source) (string, error) {
			_, err := src.ClearTarget(ctx, z.ID, q.Quantity, client.Write{IfVersion: z.Version})
			return fmt.Sprintf("%s has no %s target", z.ID, q.Quantity), err
		}}, nil
	}
	dayText, nightText, two := strings.Cut(value, "/")
	if !two {
		nightText = dayText
	}
	day, err := parseIn(dayText, q)
	if err != nil {
		return nil, err
	}
	night, err := parseIn(nightText, q)
	if err != nil {
		return nil, err
	}
	return setTarget(z, q, day, night), nil
}

// parseIn reads a number within the limits of a quantity.
func parseIn(s string, q greenhouse.QuantitySpec) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(v) {
		return 0, greenhouse.Invalid("usage", "%q is not a number: write %s 19, or day/night", s, q.Quantity)
	}
	if v < q.Min || v > q.Max {
		return 0, greenhouse.Invalid("target_invalid", "%s is from %g to %g %s", q.Quantity, q.Min, q.Max, q.Unit)
	}
	return v, nil
}

func setTarget(z api.Zone, q greenhouse.QuantitySpec, day, night float64) *action {
	what := fmt.Sprintf("%g %s by day and night", day, q.Unit)
	if day != night {
		what = fmt.Sprintf("%g by day and %g %s by night", day, night, q.Unit)
	}
	return &action{
		say: fmt.Sprintf("set %s of %s to %s? It may be %g to %g and stays until somebody changes it.", q.Quantity, z.ID, what, q.Min, q.Max),
		run: func(ctx context.Context, src Source) (string, error) {
			_, err := src.SetTarget(ctx, z.ID, q.Quantity, api.TargetRequest{Day: &day, Night: &night}, client.Write{IfVersion: z.Version})
			return fmt.Sprintf("%s of %s is %s", q.Quantity, z.ID, what), err
		},
	}
}

// modeDialog sets who drives a zone.
func modeDialog(z api.Zone) *dialog {
	return &dialog{
		title: "mode of " + string(z.ID) + ", now " + string(z.Mode) + ":", hint: "auto · manual · maintenance · off   (safety runs in all of them)",
		parse: func(text string) (*action, error) {
			mode, err := greenhouse.ParseMode(text)
			if err != nil {
				return nil, err
			}
			return &action{
				say: fmt.Sprintf("set %s to %s, until somebody changes it? %s.", z.ID, mode, modeMeans(mode)),
				run: func(ctx context.Context, src Source) (string, error) {
					_, err := src.SetMode(ctx, z.ID, mode, client.Write{IfVersion: z.Version})
					return fmt.Sprintf("%s is %s", z.ID, mode), err
				},
			}, nil
		},
	}
}

func modeMeans(m greenhouse.Mode) string {
	switch m {
	case greenhouse.ModeManual:
		return "Its actuators stop and people drive"
	case greenhouse.ModeMaintenance:
		return "People drive and alarms are held back"
	case greenhouse.ModeOff:
		return "Its actuators stop and go safe"
	}
	return "Automation drives"
}

// shelveDialog hides an alarm for a time.
func shelveDialog(a api.Alarm) *dialog {
	return &dialog{
		title: "shelve " + a.Code + " of " + string(a.Source) + " for:", hint: "30m · 4h · 7d, at most a week · 0s shows it again",
		parse: func(text string) (*action, error) {
			d, err := api.ParseDuration(text)
			switch {
			case err != nil:
				return nil, err
			case d > shelveMost:
				return nil, greenhouse.Invalid("usage", "an alarm is shelved for a week at most")
			}
			return shelveAction(a, d), nil
		},
	}
}

func shelveAction(a api.Alarm, d time.Duration) *action {
	say, done := fmt.Sprintf("hide %s of %s for %s?", a.Code, a.Source, short(d)), a.Code+" is shelved for "+short(d)
	if d == 0 {
		say, done = fmt.Sprintf("show %s of %s again?", a.Code, a.Source), a.Code+" is shown again"
	}
	return &action{say: say, run: func(ctx context.Context, src Source) (string, error) {
		_, err := src.ShelveAlarm(ctx, a.ID, api.ShelveRequest{ForS: int(d.Seconds())}, client.Write{IfVersion: a.Version})
		return done, err
	}}
}

// ackDialog acknowledges an alarm. It names the alarm, for the list may have
// moved when the key was pressed.
func ackDialog(a api.Alarm, v view) *dialog {
	say := fmt.Sprintf("acknowledge %s of %s, %s since %s?", a.Code, a.Source, a.Severity, v.date(a.FirstSeen))
	if a.State == greenhouse.AlarmRaised {
		say += " It stays open until its condition clears."
	}
	return &dialog{sure: &action{say: say, run: func(ctx context.Context, src Source) (string, error) {
		_, err := src.AckAlarm(ctx, a.ID, client.Write{IfVersion: a.Version})
		return fmt.Sprintf("%s of %s is acknowledged", a.Code, a.Source), err
	}}}
}
