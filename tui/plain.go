package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// printer prints zones as they change.
type printer struct {
	s     *state
	o     Options
	w     io.Writer
	shown map[greenhouse.ZoneID]string
	lost  bool
}

// Plain prints the greenhouse as it changes, one line for each zone that did,
// until ctx ends: for pipes, logs and terminals that cannot do more. It returns
// nil when ctx ends, and the error of a refusal that trying again cannot mend.
func Plain(ctx context.Context, src Source, o Options, w io.Writer) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	p := &printer{s: newState(o.Now()), o: o, w: w, shown: map[greenhouse.ZoneID]string{}}
	unread := false // records wait to be read, where that failed
	for l, err := range src.WatchLive(ctx, client.LiveQuery{Zone: o.Zone}) {
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, greenhouse.ErrNotFound), errors.Is(err, greenhouse.ErrInvalid), errors.Is(err, greenhouse.ErrForbidden):
			return err
		case err != nil:
			if err := p.loss(err); err != nil {
				return err
			}
			continue
		}
		all := unread
		if p.s.apply(l, o.Now()) || unread {
			r, err := read(ctx, src)
			if unread = err != nil; !unread {
				p.s.replace(r)
				all = true
			}
		}
		if err := p.changes(l, all || l.Full); err != nil {
			return err
		}
	}
	return nil
}

// say prints a line with the time.
func (p *printer) say(text string) error {
	_, err := fmt.Fprintf(p.w, "%s %s\n", p.s.now(p.o.Now()).Time().In(p.o.Location).Format(time.TimeOnly), text)
	return err
}

// loss says once that the connection is lost.
func (p *printer) loss(err error) error {
	if p.lost {
		return nil
	}
	p.lost = true
	return p.say("connection lost, trying again: " + safe(err.Error()))
}

// changes prints the zones that a message touches and that look different now.
func (p *printer) changes(l api.Live, all bool) error {
	if p.lost {
		p.lost = false
		if err := p.say("connected again"); err != nil {
			return err
		}
	}
	touched := map[greenhouse.ZoneID]bool{}
	for i := range l.Points {
		touched[l.Points[i].ID.Zone()] = true
	}
	for i := range l.Actuators {
		touched[l.Actuators[i].Point.Zone()] = true
	}
	for i := range l.Zones {
		touched[l.Zones[i].ID] = true
	}
	for i := range p.s.zones {
		z := &p.s.zones[i]
		if !all && !touched[z.ID] || p.o.Zone != "" && z.ID != p.o.Zone {
			continue
		}
		line := p.line(z)
		if p.shown[z.ID] == line {
			continue
		}
		p.shown[z.ID] = line
		if err := p.say(line); err != nil {
			return err
		}
	}
	return nil
}

// line says how a zone stands.
func (p *printer) line(z *api.Zone) string {
	word := string(z.Mode)
	switch {
	case z.Stopped:
		word = "STOPPED"
	case z.Failing != "":
		word = "FAILING"
	}
	line := fmt.Sprintf("%-12s %-8s", safe(string(z.ID)), safe(word))
	for _, name := range []greenhouse.ChannelName{"air_temp", "air_rh", "co2"} {
		m := p.s.measured(z.ID, name)
		if m == nil {
			continue
		}
		line += fmt.Sprintf("  %s %s %s", name, number(m.Value), m.unit)
		if m.Quality != greenhouse.Good {
			line += " (" + m.Quality.String() + ")"
		}
	}
	if t := p.s.target(z, greenhouse.Heating, p.s.daemon); t != "" {
		line += "  heating " + t
	}
	for _, a := range p.s.actuators(z.ID) {
		line += fmt.Sprintf("  %s %s", safe(string(a.Name)), level(a.Level))
	}
	if z.Alarms > 0 {
		line += "  " + plural(z.Alarms, "alarm")
	}
	return line
}
