package tui

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// action is something the person asked for: said in a sentence with its limit
// and expiry, and run only after they confirmed it.
type action struct {
	say string
	run func(ctx context.Context, src Source) (done string, err error)
}

// dialog reads one line from the person and turns it into an action, then asks.
type dialog struct {
	title string
	hint  string
	text  []rune
	parse func(text string) (*action, error)
	wrong string  // why the text was refused
	ask   *action // what waits for a yes
}

// key takes a key press; it returns the action to run, and whether the dialog ends.
func (d *dialog) key(name, text string) (run *action, done bool) {
	switch {
	case name == "esc" || name == "ctrl+c":
		return nil, true
	case d.ask != nil:
		if name == "enter" || name == "y" {
			return d.ask, true
		}
		return nil, name == "n" || name == "q"
	case name == "enter":
		a, err := d.parse(strings.TrimSpace(string(d.text)))
		if err != nil {
			d.wrong = err.Error()
			return nil, false
		}
		d.ask, d.wrong = a, ""
	case name == "backspace":
		if len(d.text) > 0 {
			d.text = d.text[:len(d.text)-1]
		}
	case name == "ctrl+u":
		d.text = nil
	case text != "" && len(d.text) < 200:
		d.text = append(d.text, []rune(text)...)
	}
	return nil, false
}

// draw returns the two lines of the dialog.
func (d *dialog) draw(k ink, w int) []string {
	if d.ask != nil {
		return []string{fit(k.warn.Render(d.ask.say), w), fit(k.bold.Render("enter")+" do it   "+k.bold.Render("esc")+" leave it", w)}
	}
	second := k.dim.Render(d.hint)
	if d.wrong != "" {
		second = k.bad.Render(safe(d.wrong))
	}
	return []string{fit(k.bold.Render(d.title)+" "+safe(string(d.text))+"▏", w), fit(second, w)}
}

// overrideDialog sets an actuator by hand.
func overrideDialog(a api.Actuator) *dialog {
	return &dialog{title: "override " + string(a.Point) + ":", hint: "level [time] reason: 30% 1h drying after spraying; release gives it back to automation",
		parse: func(text string) (*action, error) { return parseOverride(a.Point, text) }}
}

func parseOverride(p greenhouse.PointID, text string) (*action, error) {
	if text == "release" {
		return &action{say: "give " + string(p) + " back to automation?", run: func(ctx context.Context, src Source) (string, error) {
			return string(p) + " is back with automation", src.ReleaseOverride(ctx, p, client.Write{})
		}}, nil
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, greenhouse.Invalid("usage", "write a level from 0 to 1, on, off or 30%%")
	}
	v, err := parseLevel(words[0])
	if err != nil {
		return nil, err
	}
	r := api.OverrideRequest{Value: v, ForS: int((2 * time.Hour).Seconds())}
	rest := words[1:]
	if len(rest) > 0 {
		if d, err := api.ParseDuration(rest[0]); err == nil {
			if d > 24*time.Hour || d < time.Second {
				return nil, greenhouse.Invalid("usage", "an override lasts from 1s to 24h")
			}
			r.ForS, rest = int(d.Seconds()), rest[1:]
		}
	}
	if r.Reason = strings.Join(rest, " "); r.Reason == "" {
		return nil, greenhouse.Invalid("usage", "say why: whoever finds it at night wants to know")
	}
	expiry := time.Duration(r.ForS) * time.Second
	return &action{say: fmt.Sprintf("set %s to %s by hand for %s (at most 24h; safety limits still hold)?", p, level(&v), short(expiry)),
		run: func(ctx context.Context, src Source) (string, error) {
			o, err := src.SetOverride(ctx, p, r, client.Write{})
			return fmt.Sprintf("%s is %s by hand until %s", p, level(&o.Value), o.ExpiresAt.Time().Local().Format("15:04")), err
		}}, nil
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

// targetDialog sets a target of a zone.
func targetDialog(z api.Zone) *dialog {
	return &dialog{title: "target of " + string(z.ID) + ":", hint: "quantity value, or day/night: heating 19, heating 20/16, humidity_max 85",
		parse: func(text string) (*action, error) { return parseTarget(z.ID, z.Version, text) }}
}

func parseTarget(id greenhouse.ZoneID, version uint64, text string) (*action, error) {
	name, value, _ := strings.Cut(text, " ")
	q, err := greenhouse.ParseQuantity(name)
	if err != nil {
		return nil, err
	}
	dayText, nightText, two := strings.Cut(strings.TrimSpace(value), "/")
	day, err := strconv.ParseFloat(dayText, 64)
	if err != nil {
		return nil, greenhouse.Invalid("usage", "%q is not a number", dayText)
	}
	night := day
	if two {
		if night, err = strconv.ParseFloat(nightText, 64); err != nil {
			return nil, greenhouse.Invalid("usage", "%q is not a number", nightText)
		}
	}
	return &action{say: fmt.Sprintf("set %s of %s to %g by day and %g by night (%g to %g %s; no expiry)?", q.Quantity, id, day, night, q.Min, q.Max, q.Unit),
		run: func(ctx context.Context, src Source) (string, error) {
			_, err := src.SetTarget(ctx, id, q.Quantity, api.TargetRequest{Day: &day, Night: &night}, client.Write{IfVersion: version})
			return fmt.Sprintf("%s of %s is %g by day and %g by night", q.Quantity, id, day, night), err
		}}, nil
}

// modeDialog sets who drives a zone.
func modeDialog(z api.Zone) *dialog {
	return &dialog{title: "mode of " + string(z.ID) + ":", hint: "auto, manual, maintenance or off; manual and off stop the actuators, safety runs in all",
		parse: func(text string) (*action, error) {
			m, err := greenhouse.ParseMode(text)
			if err != nil {
				return nil, err
			}
			return &action{say: fmt.Sprintf("set %s to %s (no expiry)?", z.ID, m), run: func(ctx context.Context, src Source) (string, error) {
				_, err := src.SetMode(ctx, z.ID, m, client.Write{IfVersion: z.Version})
				return fmt.Sprintf("%s is %s", z.ID, m), err
			}}, nil
		}}
}

// shelveDialog hides an alarm for a time.
func shelveDialog(a api.Alarm) *dialog {
	return &dialog{title: "shelve " + a.Code + " of " + string(a.Source) + " for:", hint: "30m, 4h, 7d; at most a week", parse: func(text string) (*action, error) {
		d, err := api.ParseDuration(text)
		if err != nil {
			return nil, err
		}
		return &action{say: fmt.Sprintf("hide %s for %s (at most 168h)?", a.Code, short(d)), run: func(ctx context.Context, src Source) (string, error) {
			_, err := src.ShelveAlarm(ctx, a.ID, api.ShelveRequest{ForS: int(d.Seconds())}, client.Write{})
			return a.Code + " is shelved", err
		}}, nil
	}}
}

// ackAction acknowledges an alarm; it asks by its key alone, for it changes
// nothing in the greenhouse.
func ackAction(a api.Alarm) *action {
	return &action{run: func(ctx context.Context, src Source) (string, error) {
		_, err := src.AckAlarm(ctx, a.ID, client.Write{})
		return a.Code + " is acknowledged", err
	}}
}
