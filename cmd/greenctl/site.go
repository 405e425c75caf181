package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func newStatus(a *app) *cobra.Command {
	return verb("status", "Show the site at a glance", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return a.show(s, view{names: func() []string { return []string{s.Site} }, table: func() table { return statusTable(s) }})
	}))
}

func statusTable(s api.Status) table {
	var t table
	row := func(k, format string, args ...any) {
		t.rows = append(t.rows, []string{k, fmt.Sprintf(format, args...)})
	}
	ready := "ready"
	if !s.Ready {
		ready = "NOT READY: " + strings.Join(s.NotReady, ", ")
	}
	row("site", "%s, edged %s, up %s, %s", s.Site, s.Version, short(time.Duration(s.UptimeS*float64(time.Second))), ready)
	row("clock", "%s, %s", clock(s.Now), clockText(s.Clock))
	if s.Stopped.All || len(s.Stopped.Zones) > 0 {
		row("STOPPED", "%s", stoppedText(s.Stopped))
	}
	row("zones", "%d, %d failing, %d stopped", s.Zones.Total, s.Zones.Failing, s.Zones.Stopped)
	row("nodes", "%d, %d online, %d offline, %d with configuration drift, %d pending", s.Nodes.Total, s.Nodes.Online, s.Nodes.Offline, s.Nodes.Drift, s.Nodes.Pending)
	row("points", "%d, %d set by hand", s.Points, s.Overrides)
	row("alarms", "%d critical, %d warning, %d info; %d not acknowledged", s.Alarms.Critical, s.Alarms.Warning, s.Alarms.Info, s.Alarms.Unacked)
	row("control", "%d of %d zones decided in %.1f ms, every %g s, epoch %d", s.Control.OK, s.Control.Total, s.Control.TookMS, s.Control.PeriodS, s.Control.Epoch)
	row("telemetry", "%d samples in %d messages on disk, %d syncs, queue %.0f %%, %d refused, %d dropped", s.Telemetry.Samples, s.Telemetry.Messages, s.Telemetry.Syncs, s.Telemetry.QueueFill*100, s.Telemetry.Refused, s.Telemetry.Dropped)
	if s.Telemetry.Failed != "" {
		row("TELEMETRY", "nothing is being stored: %s", s.Telemetry.Failed)
	}
	row("broker", "%s, %d connections, %d messages in, %d out, %d refused", strings.Join(s.Broker.Addresses, " "), s.Broker.Connections, s.Broker.Received, s.Broker.Sent, s.Broker.Refused)
	if s.PairingOpen {
		row("pairing", "open")
	}
	return t
}

// clockText says what the daemon's clock is worth.
func clockText(c greenhouse.Clock) string {
	if !c.Trusted {
		return string(c.State) + ", NOT TRUSTED, schedules wait: " + c.Text
	}
	return string(c.State) + ": " + c.Text
}

func stoppedText(s api.Stopped) string {
	if s.All {
		return "the whole site stands under emergency stop; greenctl resume releases it"
	}
	return "under emergency stop until greenctl resume --zone: " + strings.Join(names(s.Zones, func(z greenhouse.ZoneID) string { return string(z) }), ", ")
}

// newStop is the emergency stop: it asks nothing and needs no configuration.
func newStop(a *app) *cobra.Command {
	c := a.stopVerb("stop", "Emergency stop: everything off now, and kept off until resume", func(ctx context.Context, c *client.Client, r api.StopRequest, w client.Write) (api.Stopped, error) {
		return c.Stop(ctx, r, w)
	})
	c.Annotations = map[string]string{needsNoConfig: "true"}
	return c
}

func newResume(a *app) *cobra.Command {
	return a.stopVerb("resume", "Release an emergency stop", func(ctx context.Context, c *client.Client, r api.StopRequest, w client.Write) (api.Stopped, error) {
		return c.Resume(ctx, r, w)
	})
}

func (a *app) stopVerb(use, short string, do func(context.Context, *client.Client, api.StopRequest, client.Write) (api.Stopped, error)) *cobra.Command {
	var zone, reason string
	c := verb(use, short, "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		s, err := do(ctx, c, api.StopRequest{Zone: greenhouse.ZoneID(zone), Reason: reason}, client.Write{})
		if err != nil {
			return err
		}
		return a.show(s, view{
			names: func() []string { return names(s.Zones, func(z greenhouse.ZoneID) string { return string(z) }) },
			table: func() table {
				if !s.All && len(s.Zones) == 0 {
					return table{empty: "nothing is stopped"}
				}
				return table{rows: [][]string{{stoppedText(s)}}}
			},
		})
	}))
	c.Flags().StringVar(&zone, "zone", "", "only this zone")
	c.Flags().StringVar(&reason, "reason", "", "why, kept in the audit")
	return c
}

func newDoctor(a *app) *cobra.Command {
	return verb("doctor", "Check the installation", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		d, err := c.Doctor(ctx)
		if err != nil {
			return err
		}
		err = a.show(d, view{
			names: func() []string { return names(d.Checks, func(c api.Check) string { return c.ID }) },
			table: func() table {
				t := table{columns: []string{"CHECK", "STATE", "FOUND"}}
				for _, c := range d.Checks {
					t.rows = append(t.rows, []string{c.ID, string(c.Status), c.Text})
					if c.Hint != "" && c.Status != api.CheckOK {
						t.rows = append(t.rows, []string{" ", " ", "→ " + c.Hint})
					}
				}
				return t
			},
		})
		if err == nil && !d.OK {
			return exitCode(api.ExitFailed)
		}
		return err
	}))
}

func newBackup(a *app) *cobra.Command {
	return verb("backup [FILE]", "Save a snapshot of the registry; - writes it to standard output", "  greenctl backup registry-2026-03-01.db", args("[FILE]"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		path := "registry-" + a.now().Format("2006-01-02-150405") + ".db"
		if len(args) > 0 {
			path = args[0]
		}
		if path != "-" {
			if err := checkTarget(path); err != nil {
				return err
			}
		}
		body, err := c.Backup(ctx)
		if err != nil {
			return err
		}
		defer body.Close()
		if path == "-" {
			if isTerminal(a.out) {
				return greenhouse.Invalid("usage", "a backup is no text").WithHint("send it to a file")
			}
			_, err = io.Copy(a.out, body)
			return err
		}
		return a.download(path, body, 0o600)
	}))
}

func newSite(a *app) *cobra.Command {
	return noun("site", "Where the greenhouse stands: name, position, time zone", newSiteGet(a), newSiteSet(a))
}

func newSiteGet(a *app) *cobra.Command {
	return verb("get", "Show the site", "", args(), a.with(func(ctx context.Context, c *client.Client, _ []string) error {
		s, err := c.Site(ctx)
		if err != nil {
			return err
		}
		return a.showSite(s)
	}))
}

func (a *app) showSite(s api.Site) error {
	return a.show(s, view{names: func() []string { return []string{s.Name} }, table: func() table {
		return table{columns: []string{"NAME", "LATITUDE", "LONGITUDE", "TIME ZONE", "VERSION"}, wide: 1,
			rows: [][]string{{s.Name, strconv.FormatFloat(s.Latitude, 'f', 4, 64), strconv.FormatFloat(s.Longitude, 'f', 4, 64), s.TimeZone, itoa(s.Version)}}}
	}})
}

func newSiteSet(a *app) *cobra.Command {
	var w writeFlags
	var name, zone string
	var lat, lon float64
	c := verb("set", "Change the site", "  greenctl site set --name \"Home farm\" --latitude 52.03 --longitude 4.53 --time-zone Europe/Amsterdam", args(), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, _ []string) error {
		var p api.SitePatch
		f := c.Flags()
		if f.Changed("name") {
			p.Name = &name
		}
		if f.Changed("latitude") {
			p.Latitude = &lat
		}
		if f.Changed("longitude") {
			p.Longitude = &lon
		}
		if f.Changed("time-zone") {
			p.TimeZone = &zone
		}
		if p == (api.SitePatch{}) {
			return greenhouse.Invalid("usage", "site set needs something to change").WithHint("%s --help", c.CommandPath())
		}
		before, err := cl.Site(ctx)
		if err != nil {
			return err
		}
		s, err := cl.EditSite(ctx, p, w.edit(before.Version))
		if err != nil {
			return explainStale(err, before, p)
		}
		return a.showSite(s)
	})
	c.Flags().StringVar(&name, "name", "", "what people call it")
	c.Flags().Float64Var(&lat, "latitude", 0, "degrees, north positive")
	c.Flags().Float64Var(&lon, "longitude", 0, "degrees, east positive")
	c.Flags().StringVar(&zone, "time-zone", "", "IANA name, e.g. Europe/Amsterdam")
	w.add(c.Flags())
	return c
}
