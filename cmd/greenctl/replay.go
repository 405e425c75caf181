package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
	"greenhouse/wire"
)

// replayFlags are the flags of "sim replay".
type replayFlags struct {
	hardwareID, typ, zone       string
	columns                     []string
	timeColumn, timeFormat, loc string
	speed, broker               string
}

// newSimReplay sends a recorded table as the telemetry of a node that joins by
// itself, and says what became of every sample.
func newSimReplay(a *app) *cobra.Command {
	var f replayFlags
	c := verb("replay FILE.csv", "Send a recorded table as the telemetry of a node, with its own times",
		`  greenctl sim replay climate.csv --hardware-id 02:51:0d:00:00:99 --map Tair=air_temp,Rhair=air_rh \
      --time-column Date --time-format '%m/%d/%Y %H:%M' --tz Europe/Amsterdam --speed max`, args("FILE.csv"), nil)
	c.RunE = a.with(func(ctx context.Context, cl *client.Client, args []string) error {
		o, file, err := f.options(a, args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		r := &replayer{app: a, client: cl, flags: f}
		o.Join, o.Outcome = r.join, r.outcome
		sum, err := sim.Replay(ctx, o)
		if sum.Rows > 0 || err == nil {
			err = firstError(err, a.show(sum, view{names: func() []string { return nil }, table: func() table {
				return table{columns: []string{"ROWS", "SENT", "ACKED", "STORED", "REFUSED"},
					rows: [][]string{{fmt.Sprint(sum.Rows), fmt.Sprint(sum.Sent), fmt.Sprint(sum.Acked), fmt.Sprint(sum.Stored), fmt.Sprint(sum.Refused)}}}
			}}))
		}
		return err
	})
	fl := c.Flags()
	fl.StringVar(&f.hardwareID, "hardware-id", "", "of the node that is to have measured it")
	fl.StringVar(&f.typ, "type", "multi", "type of that node")
	fl.StringVar(&f.zone, "zone", "", "put the node into this zone first")
	fl.StringSliceVar(&f.columns, "map", nil, "COLUMN=channel, as often as needed")
	fl.StringVar(&f.timeColumn, "time-column", "", "column with the time")
	fl.StringVar(&f.timeFormat, "time-format", "", "a Go layout, or strftime such as '%m/%d/%Y %H:%M'")
	fl.StringVar(&f.loc, "tz", "UTC", "time zone of times without one")
	fl.StringVar(&f.speed, "speed", "max", "max, or how many times faster than it was measured")
	fl.StringVar(&f.broker, "broker", "", "the broker as host:port, mqtt://host:port or mqtts://host:port (default: where the daemon says)")
	return c
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// options checks the flags and opens the file; "-" is standard input.
func (f *replayFlags) options(a *app, path string) (sim.ReplayOptions, io.ReadCloser, error) {
	var o sim.ReplayOptions
	for _, need := range []struct{ flag, value string }{{"hardware-id", f.hardwareID}, {"time-column", f.timeColumn}, {"time-format", f.timeFormat}, {"map", strings.Join(f.columns, "")}} {
		if need.value == "" {
			return o, nil, greenhouse.Invalid("usage", "sim replay needs --%s", need.flag).WithHint("greenctl sim replay --help has an example")
		}
	}
	hw, err := greenhouse.ParseHardwareID(f.hardwareID)
	if err != nil {
		return o, nil, err
	}
	if _, err := greenhouse.ParseNodeType(f.typ); err != nil {
		return o, nil, err
	}
	loc, err := sim.ParseZone(f.loc)
	if err != nil {
		return o, nil, err
	}
	speed, err := sim.ParseSpeed(f.speed)
	if err != nil {
		return o, nil, err
	}
	o = sim.ReplayOptions{HardwareID: hw, Map: map[string]greenhouse.ChannelName{}, TimeColumn: f.timeColumn, TimeFormat: f.timeFormat, Zone: loc, Speed: speed}
	for _, m := range f.columns {
		column, channel, ok := strings.Cut(m, "=")
		ch, err := greenhouse.ParseChannelName(channel)
		if !ok || err != nil {
			return o, nil, greenhouse.Invalid("usage", "--map %q is not COLUMN=channel", m).WithHint("example: --map Tair=air_temp,Rhair=air_rh")
		}
		o.Map[column] = ch
	}
	file := io.NopCloser(a.in)
	if path != "-" {
		if file, err = os.Open(path); err != nil {
			return o, nil, greenhouse.Invalid("file_invalid", "the table %s cannot be read: %s", path, reason(err))
		}
	}
	o.CSV = file
	return o, file, nil
}

// replayer makes the node known and asks what became of its samples.
type replayer struct {
	app    *app
	client *client.Client
	flags  replayFlags
	uid    greenhouse.UID
}

// join registers the node, or gives a known one a new secret, and assigns it.
func (r *replayer) join(ctx context.Context, hello wire.Hello) (sim.Account, error) {
	req := api.RegisterRequest{HardwareID: string(hello.HardwareID), Type: greenhouse.NodeType(r.flags.typ), Name: "replay", FW: "replay"}
	for _, ch := range hello.Channels {
		req.Channels = append(req.Channels, api.DeclaredChannel{Name: ch.Name, Kind: ch.Kind, Unit: ch.Unit})
	}
	dialer, err := r.dialer(ctx)
	if err != nil {
		return sim.Account{}, err
	}
	n, err := r.client.RegisterNode(ctx, req, client.Write{})
	if err != nil {
		return sim.Account{}, err
	}
	r.uid = n.UID
	secret := n.Secret
	if secret == "" {
		s, err := r.client.RotateKey(ctx, n.UID, client.Write{Reason: "replay"})
		if err != nil {
			return sim.Account{}, err
		}
		secret = s.Secret
	}
	if z := greenhouse.ZoneID(r.flags.zone); z != "" && n.Zone != z {
		if _, err := r.client.AssignNode(ctx, n.UID, z, client.Write{}); err != nil {
			return sim.Account{}, err
		}
	}
	return sim.Account{UID: n.UID, Secret: secret, Dialer: dialer}, nil
}

// outcome counts what the daemon has stored of what was sent.
func (r *replayer) outcome(ctx context.Context, sent sim.Sent) (stored, refused int64, err error) {
	points, err := all(client.All(func(cursor string) (api.List[api.Point], error) {
		return r.client.Points(ctx, client.PointFilter{Node: r.uid, Page: client.Page{Cursor: cursor}})
	}))
	if err != nil {
		return 0, 0, err
	}
	span := client.Span{From: fmt.Sprint(int64(sent.From)), To: fmt.Sprint(int64(sent.To) + 1)}
	for _, p := range points {
		if !slices.Contains(sent.Channels, p.Channel) {
			continue
		}
		n, err := r.count(ctx, p.ID, span)
		if err != nil {
			return 0, 0, err
		}
		stored += n
	}
	return stored, max(sent.Samples-stored, 0), nil
}

func (r *replayer) count(ctx context.Context, id greenhouse.PointID, span client.Span) (int64, error) {
	var n int64
	q := client.HistoryQuery{Span: span, Step: "raw"}
	for {
		h, err := r.client.History(ctx, id, q)
		if err != nil {
			return 0, err
		}
		n += int64(len(h.Samples))
		if h.Next == "" {
			return n, nil
		}
		q.Cursor = h.Next
	}
}
