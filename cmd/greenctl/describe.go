package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// How much of the past a page shows.
const (
	pageEvents    = 8
	pageCommands  = 5
	pageRevisions = 3
	pageLookBack  = 2000 // events looked through
)

// sheet is a human page: headings, and tables or lines under them.
type sheet struct {
	a   *app
	err error
}

// head begins a section.
func (p *sheet) head(format string, args ...any) {
	p.a.print("\n" + clean(fmt.Sprintf(format, args...)) + "\n")
}

// rows writes a table, indented, without a header where it has no columns.
func (p *sheet) rows(t table) {
	if p.err != nil || len(t.rows) == 0 {
		return
	}
	t.wide = 0
	p.err = p.a.showTable(t)
}

// nodePage is everything about one node.
type nodePage struct {
	Node      api.Node             `json:"node"`
	Alarms    []api.Alarm          `json:"alarms"`
	Revisions []api.ConfigRevision `json:"revisions"`
	Pending   []api.Pending        `json:"pending"`
	Commands  []api.Command        `json:"commands"`
	Events    []api.Event          `json:"events"`
}

func newNodeDescribe(a *app) *cobra.Command {
	return verb("describe UID", "Tell everything about a node: state and why, channels, configuration, alarms, commands, events", "", args("UID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		uid, err := uidArg(args[0])
		if err != nil {
			return err
		}
		d, err := a.nodePage(ctx, c, uid)
		if err != nil {
			return err
		}
		if !a.human() {
			return a.show(d, view{names: func() []string { return []string{string(uid)} }})
		}
		return a.writeNode(d)
	}))
}

// nodePage gathers what there is to know of a node.
func (a *app) nodePage(ctx context.Context, c *client.Client, uid greenhouse.UID) (d nodePage, err error) {
	if d.Node, err = c.Node(ctx, uid); err != nil {
		return d, err
	}
	sources := []greenhouse.Source{greenhouse.NodeSource(uid)}
	for _, ch := range d.Node.Channels {
		sources = append(sources, greenhouse.PointSource(ch.Point))
	}
	if d.Alarms, err = alarmsOf(ctx, c, sources...); err != nil {
		return d, err
	}
	if d.Revisions, err = revisions(ctx, c, uid); err != nil {
		return d, err
	}
	d.Revisions = d.Revisions[:min(len(d.Revisions), pageRevisions)]
	waiting, err := c.Pending(ctx, client.Page{})
	if err != nil {
		return d, err
	}
	d.Pending = slices.DeleteFunc(waiting.Items, func(p api.Pending) bool { return p.Node != uid })
	commands, err := c.Commands(ctx, client.CommandFilter{Node: uid, Page: client.Page{Limit: pageCommands}})
	if err != nil {
		return d, err
	}
	d.Commands = commands.Items
	d.Events, err = eventsOf(ctx, c, sources[0])
	return d, err
}

// alarmsOf returns the open alarms of some sources.
func alarmsOf(ctx context.Context, c *client.Client, sources ...greenhouse.Source) ([]api.Alarm, error) {
	list, err := all(client.All(func(cursor string) (api.List[api.Alarm], error) {
		return c.Alarms(ctx, false, client.Page{Cursor: cursor})
	}))
	return slices.DeleteFunc(list, func(x api.Alarm) bool { return !slices.Contains(sources, x.Source) }), err
}

// eventsOf returns the newest events of some sources, oldest first.
func eventsOf(ctx context.Context, c *client.Client, sources ...greenhouse.Source) ([]api.Event, error) {
	st, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	since := st.LastEvent - min(st.LastEvent, pageLookBack)
	list, err := c.Events(ctx, since, pageLookBack)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(list.Items, func(e api.Event) bool { return !slices.Contains(sources, e.Source) })
	return found[max(0, len(found)-pageEvents):], nil
}

func (a *app) writeNode(d nodePage) error {
	n, p := d.Node, &sheet{a: a}
	title := string(n.UID)
	if n.Name != "" && n.Name != title {
		title += ", " + n.Name
	}
	a.print(clean(title) + "\n")
	p.rows(a.nodeFacts(n))
	p.head("channels")
	p.rows(a.nodeChannels(n))
	for _, w := range d.Pending {
		p.head("waits: %s", pendingWhy(w))
	}
	p.head("configuration: %s, revision %d of %d reported", n.Config.Status, n.Config.ReportedRev, n.Config.DesiredRev)
	t := table{}
	if n.Config.Error != "" {
		t.rows = append(t.rows, []string{"  the node says: " + n.Config.Error})
	}
	p.rows(t)
	t = table{}
	for _, r := range d.Revisions {
		t.rows = append(t.rows, []string{"  " + itoa(r.Rev), clock(r.At), r.By, string(r.Status), r.Error})
	}
	p.rows(t)
	p.alarms(d.Alarms)
	if len(d.Commands) > 0 {
		p.head("commands")
		t = table{}
		for _, c := range d.Commands {
			t.rows = append(t.rows, []string{"  " + ago(c.CreatedAt, a.now()), string(c.Op), string(c.Channel), string(c.State), c.Error})
		}
		p.rows(t)
	}
	p.events(d.Events)
	return p.err
}

// nodeFacts are the lines at the top of the page of a node.
func (a *app) nodeFacts(n api.Node) (t table) {
	row := func(k, format string, args ...any) {
		t.rows = append(t.rows, []string{"  " + k, fmt.Sprintf(format, args...)})
	}
	row("hardware", "%s, type %s, firmware %s, revision %s", n.HardwareID, n.Type, clean(n.FW), clean(n.HW))
	zone := "in no zone"
	if n.Zone != "" {
		zone = "in zone " + string(n.Zone)
	}
	row("state", "%s, %s", n.State, zone)
	for _, r := range n.Reasons {
		row("", "%s: %s, since %s", r.Code, r.Text, ago(r.Since, a.now()))
	}
	if n.ReplacedBy != "" {
		row("replaced", "by %s: nothing it sends is kept; greenctl node swap %s %s --undo takes it back", n.ReplacedBy, n.UID, n.ReplacedBy)
	}
	link := "offline, last heard " + ago(n.LastSeen, a.now())
	if n.Online {
		link = "online from " + n.Address + ", heard " + ago(n.LastSeen, a.now())
	}
	row("link", "%s", link)
	var vitals []string
	if n.RSSI != nil {
		vitals = append(vitals, "signal "+number(n.RSSI, "dBm"))
	}
	if n.Battery != nil {
		vitals = append(vitals, "battery "+number(n.Battery, "V"))
	}
	if n.UptimeS != nil {
		vitals = append(vitals, "up "+spanText(*n.UptimeS))
	}
	if len(vitals) > 0 {
		row("vitals", "%s, boot %s", strings.Join(vitals, ", "), clean(n.Boot))
	}
	row("sends", "every %d s; goes safe after %d s without a link", n.IntervalS, n.LinkLossS)
	for _, k := range slices.Sorted(maps.Keys(n.Labels)) {
		row("label", "%s=%s", k, n.Labels[k])
	}
	row("record", "version %d, made %s, changed %s", n.Version, clock(n.CreatedAt), clock(n.UpdatedAt))
	return t
}

// nodeChannels is the table of the channels of a node, with what limits them.
func (a *app) nodeChannels(n api.Node) table {
	t := table{columns: []string{"  CHANNEL", "VALUE", "QUALITY", "AGE", "POINT", "CALIBRATION", "LIMITS"}, empty: "none yet"}
	for _, ch := range n.Channels {
		value, limits := number(ch.Value, ch.Unit), ""
		if ch.Kind == greenhouse.Actuator {
			value = level(ch.Value)
			limits = fmt.Sprintf("%s, safe %s", ch.Class, level(&ch.Safe))
			if ch.MaxOnS > 0 {
				limits += fmt.Sprintf(", at most %d s on", ch.MaxOnS)
			}
			if ch.MaxOnHourS > 0 {
				limits += fmt.Sprintf(", at most %d s on an hour", ch.MaxOnHourS)
			}
			if ch.MaxOnDayS > 0 {
				limits += fmt.Sprintf(", at most %d s on a day", ch.MaxOnDayS)
			}
			if ch.MinOffS > 0 {
				limits += fmt.Sprintf(", at least %d s off", ch.MinOffS)
			}
		}
		t.rows = append(t.rows, []string{"  " + string(ch.Name), value, ch.Quality, ago(ch.TS, a.now()), string(ch.Point), calWord(ch.Calibration), limits})
	}
	return t
}

// alarms is the section of open alarms.
func (p *sheet) alarms(list []api.Alarm) {
	if len(list) == 0 {
		return
	}
	p.head("alarms")
	t := table{}
	for _, x := range list {
		t.rows = append(t.rows, []string{"  " + string(x.Severity), string(x.State), ago(x.LastSeen, p.a.now()), x.Text, x.ID})
	}
	p.rows(t)
}

// events is the section of what happened lately.
func (p *sheet) events(list []api.Event) {
	if len(list) == 0 {
		return
	}
	p.head("lately")
	t := table{}
	for _, e := range list {
		t.rows = append(t.rows, []string{"  " + clock(e.TS), e.Code, e.Actor, string(e.Source)})
	}
	p.rows(t)
}

// spanText writes a length of time in seconds.
func spanText(s float64) string { return short(time.Duration(s * float64(time.Second))) }

// zonePage is everything about one zone.
type zonePage struct {
	Zone   api.Zone    `json:"zone"`
	Nodes  []api.Node  `json:"nodes"`
	Points []api.Point `json:"points"`
	Alarms []api.Alarm `json:"alarms"`
	Events []api.Event `json:"events"`
}

func newZoneDescribe(a *app) *cobra.Command {
	c := verb("describe ID", "Tell everything about a zone: climate against targets, actuators and why, nodes, points, alarms, events", "", args("ID"), a.with(func(ctx context.Context, c *client.Client, args []string) error {
		id, err := zoneArg(args[0])
		if err != nil {
			return err
		}
		d, err := a.zonePage(ctx, c, id)
		if err != nil {
			return err
		}
		if !a.human() {
			return a.show(d, view{names: func() []string { return []string{string(id)} }})
		}
		return a.writeZone(d)
	}))
	c.ValidArgsFunction = a.complete(zoneNames)
	return c
}

// zonePage gathers what there is to know of a zone.
func (a *app) zonePage(ctx context.Context, c *client.Client, id greenhouse.ZoneID) (d zonePage, err error) {
	if d.Zone, err = c.Zone(ctx, id); err != nil {
		return d, err
	}
	if d.Nodes, err = all(client.All(func(cursor string) (api.List[api.Node], error) {
		return c.Nodes(ctx, client.NodeFilter{Zone: id, Page: client.Page{Cursor: cursor}})
	})); err != nil {
		return d, err
	}
	if d.Points, err = all(client.All(func(cursor string) (api.List[api.Point], error) {
		return c.Points(ctx, client.PointFilter{Zone: id, Page: client.Page{Cursor: cursor}})
	})); err != nil {
		return d, err
	}
	sources := []greenhouse.Source{greenhouse.ZoneSource(id)}
	for _, p := range d.Points {
		sources = append(sources, greenhouse.PointSource(p.ID))
	}
	if d.Events, err = eventsOf(ctx, c, sources[0]); err != nil {
		return d, err
	}
	for _, n := range d.Nodes {
		sources = append(sources, greenhouse.NodeSource(n.UID))
	}
	d.Alarms, err = alarmsOf(ctx, c, sources...)
	return d, err
}

func (a *app) writeZone(d zonePage) error {
	z, p := d.Zone, &sheet{a: a}
	title := string(z.ID)
	if z.Name != "" && z.Name != title {
		title += ", " + z.Name
	}
	a.print(clean(title) + "\n")
	p.rows(a.zoneFacts(z))
	p.head("climate")
	t := table{columns: []string{"  QUANTITY", "VALUE", "QUALITY", "AGE", "POINTS", "CALIBRATE"}}
	for _, name := range slices.Sorted(maps.Keys(z.Climate)) {
		m := z.Climate[name]
		t.rows = append(t.rows, []string{"  " + string(name), number(m.Value, m.Unit), m.Quality.String(), spanText(m.AgeS), fmt.Sprint(m.Points), yesNo(m.Calibrate)})
	}
	p.rows(t)
	if len(z.Targets) > 0 {
		p.head("targets, by day and by night")
		t = table{}
		for _, q := range slices.Sorted(maps.Keys(z.Targets)) {
			spec, _ := greenhouse.ParseQuantity(string(q))
			t.rows = append(t.rows, []string{"  " + string(q), fmt.Sprint(z.Targets[q].Day), fmt.Sprint(z.Targets[q].Night), string(spec.Unit)})
		}
		p.rows(t)
	}
	p.head("actuators")
	t = table{columns: []string{"  ACTUATOR", "LEVEL", "REPORTED", "OWNER", "LEASE", "REASON"}}
	for _, x := range z.Actuators {
		t.rows = append(t.rows, []string{"  " + string(x.Name), level(x.Level), reported(x), x.Owner, in(x.LeaseUntil, a.now()), x.Reason})
	}
	p.rows(t)
	p.head("nodes")
	t = table{columns: []string{"  UID", "NAME", "STATE", "ONLINE", "CONFIG", "WRONG"}}
	for _, n := range d.Nodes {
		t.rows = append(t.rows, []string{"  " + string(n.UID), n.Name, string(n.State), yesNo(n.Online), string(n.Config.Status), strings.Join(names(n.Reasons, func(r api.Reason) string { return r.Code }), " ")})
	}
	p.rows(t)
	var empty []string
	for _, x := range d.Points {
		if x.Node == "" {
			empty = append(empty, string(x.ID))
		}
	}
	if len(empty) > 0 {
		p.head("points without a node: %s", strings.Join(empty, ", "))
	}
	p.alarms(d.Alarms)
	p.events(d.Events)
	return p.err
}

// zoneFacts are the lines at the top of the page of a zone.
func (a *app) zoneFacts(z api.Zone) (t table) {
	row := func(k, format string, args ...any) {
		t.rows = append(t.rows, []string{"  " + k, fmt.Sprintf(format, args...)})
	}
	mode := string(z.Mode)
	if z.Stopped {
		mode += ", UNDER EMERGENCY STOP"
	}
	row("mode", "%s, day from %s until %s", mode, z.DayFrom, z.DayUntil)
	if z.Crop != "" || z.AreaM2 > 0 {
		row("crop", "%s on %s", clean(z.Crop), number(&z.AreaM2, "m²"))
	}
	if z.Recipe != nil {
		row("recipe", "%s, planted %s", clean(z.Recipe.Text), z.Recipe.Planted)
	}
	decided := "decided " + ago(z.DecidedAt, a.now())
	if z.Failing != "" {
		decided += ", FAILING: " + z.Failing
	}
	row("control", "%s", decided)
	for _, n := range greenhouse.NodeTypes() {
		if most, ok := z.NodeLimits[n]; ok {
			row("limit", "%d nodes of type %s", most, n)
		}
	}
	row("record", "version %d, made %s, changed %s", z.Version, clock(z.CreatedAt), clock(z.UpdatedAt))
	return t
}
