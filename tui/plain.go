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

// Plain prints the greenhouse as it changes, one line for each zone that did,
// until ctx ends: for pipes, logs and terminals that cannot do more. It returns
// nil when ctx ends.
func Plain(ctx context.Context, src Source, o Options, w io.Writer) error {
	m := New(ctx, src, o)
	shown := map[greenhouse.ZoneID]string{}
	m.state.replace(read(ctx, src))
	for l, err := range src.WatchLive(ctx, client.LiveQuery{Zone: o.Zone}) {
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, greenhouse.ErrNotFound), errors.Is(err, greenhouse.ErrInvalid), errors.Is(err, greenhouse.ErrForbidden):
			return err
		case err != nil:
			if _, werr := fmt.Fprintf(w, "%s connection lost, trying again: %v\n", m.opts.Now().Format(time.TimeOnly), err); werr != nil {
				return werr
			}
			continue
		}
		if m.state.apply(api.Live(l), m.opts.Now()) {
			if r := read(ctx, src); r.err == nil {
				m.state.replace(r)
			}
		}
		for _, z := range m.state.zones {
			if o.Zone != "" && z.ID != o.Zone {
				continue
			}
			line := m.plainLine(z)
			if shown[z.ID] == line {
				continue
			}
			shown[z.ID] = line
			if _, err := fmt.Fprintf(w, "%s %s\n", m.state.daemon.Time().Local().Format(time.TimeOnly), line); err != nil {
				return err
			}
		}
	}
	return nil
}

// plainLine says how a zone stands in one line.
func (m *Model) plainLine(z api.Zone) string {
	s := m.state
	word := string(z.Mode)
	switch {
	case z.Stopped:
		word = "STOPPED"
	case z.Failing != "":
		word = "FAILING"
	}
	line := fmt.Sprintf("%-12s %-8s", z.ID, word)
	for _, name := range []greenhouse.ChannelName{"air_temp", "air_rh", "co2"} {
		p, ok := s.measured(z.ID, name)
		if !ok {
			continue
		}
		line += fmt.Sprintf("  %s %s %s", name, number(p.Value), p.unit)
		if p.Quality != greenhouse.Good {
			line += " (" + p.Quality.String() + ")"
		}
	}
	if t := target(z, greenhouse.Heating); t != "" {
		line += "  target " + t
	}
	for _, a := range s.actuators(z.ID) {
		line += fmt.Sprintf("  %s %s", a.Name, level(a.Level))
	}
	if z.Alarms > 0 {
		line += fmt.Sprintf("  %d alarms", z.Alarms)
	}
	return line
}
