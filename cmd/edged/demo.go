package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/edge"
	"greenhouse/sim"
	"greenhouse/wire"
)

// demoInterval is how often a demo node sends, so that a viewer sees movement.
const demoInterval = 2

// demoOptions are the flags of "edged demo".
type demoOptions struct {
	speed     float64
	zones     int
	seed      uint64
	duration  time.Duration
	dataDir   string
	mqtt      string
	apiSocket string
	logLevel  string
	logFormat string
}

func newDemo() *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use: "demo", Short: "Run the daemon with a simulated greenhouse", Args: noArgs,
		Long: `edged demo runs the real daemon in a directory of its own and joins simulated nodes
to it over real MQTT on loopback. Watch it with  greenctl zone watch  and spoil it
with  greenctl sim fault  from another terminal.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !(o.speed > 0 && o.speed <= 3600) {
				return greenhouse.Invalid("usage", "--speed is %g: it must be above 0 and at most 3600", o.speed)
			}
			if o.duration < 0 {
				return greenhouse.Invalid("usage", "--duration cannot be negative")
			}
			if !slices.Contains(logLevels(), o.logLevel) || !slices.Contains(logFormats(), o.logFormat) {
				return greenhouse.Invalid("usage", "--log-level %s --log-format %s is not understood", o.logLevel, o.logFormat).WithHint("levels are %s; formats are %s", strings.Join(logLevels(), ", "), strings.Join(logFormats(), ", "))
			}
			if o.apiSocket == "" {
				o.apiSocket = api.DefaultPlaces(os.Getuid(), os.Getenv).Demo
			}
			log, _ := newLogger(cmd.ErrOrStderr(), o.logLevel, o.logFormat)
			return runDemo(cmd.Context(), o, log, cmd)
		},
	}
	f := c.Flags()
	f.Float64Var(&o.speed, "speed", 6, "simulated seconds a second; equipment but for vents and screens keeps its real times, so much more than 10 makes it look slow")
	f.IntVar(&o.zones, "zones", 3, "zones, 1 to 200")
	f.Uint64Var(&o.seed, "seed", 1, "everything random follows from it")
	f.DurationVar(&o.duration, "duration", 0, "end after this time (default: when interrupted)")
	f.StringVar(&o.dataDir, "data-dir", "", "keep the data here (default: a temporary directory, removed at the end)")
	f.StringVar(&o.mqtt, "mqtt-listen", "", "address for nodes (default 127.0.0.1:1883, or a free port)")
	f.StringVar(&o.apiSocket, "api-socket", "", "unix socket of the API (default $XDG_RUNTIME_DIR/edged-demo.sock, where greenctl looks)")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	return c
}

// runDemo builds the world, starts the daemon on it, and lets the nodes join the
// way an installer would have them join.
func runDemo(ctx context.Context, o demoOptions, log *slog.Logger, cmd *cobra.Command) (err error) {
	plan, err := sim.DemoPlan(o.zones, o.seed)
	if err != nil {
		return err
	}
	plan.Start, plan.Speed = time.Now(), o.speed
	world, err := sim.NewWorld(plan)
	if err != nil {
		return err
	}
	if o.dataDir == "" {
		dir, failed := os.MkdirTemp("", "edged-demo-")
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		o.dataDir = filepath.Join(dir, "data")
	}
	mqtt, err := demoListener(o.mqtt)
	if err != nil {
		return err
	}
	d := &demo{opts: o, world: world, plan: plan, log: log, address: mqtt.Addr().String()}
	daemon, err := edge.New(ctx, edge.Options{
		Version: version, DataDir: o.dataDir, Log: log, MQTTListeners: []net.Listener{mqtt}, APISocket: o.apiSocket, APIGroup: "edged",
		Period: time.Second, ClockTrust: edge.TrustAlways, Sim: d,
	})
	if err != nil {
		return errors.Join(err, mqtt.Close())
	}
	defer func() { err = errors.Join(err, daemon.Stop(context.WithoutCancel(ctx))) }()
	if err = daemon.Start(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	if err = d.provision(ctx); err != nil {
		return err
	}
	cmd.PrintErrf("a greenhouse of %d zones runs %g times as fast as a real one\n  nodes talk MQTT on %s\n  watch it:  greenctl --socket %s zone watch\n  spoil it:  greenctl --socket %s sim faults --known\n", o.zones, o.speed, d.address, o.apiSocket, o.apiSocket)
	d.run(ctx)
	return nil
}

// demoListener opens the address asked for; without one, the usual port on
// loopback, or any free one.
func demoListener(address string) (net.Listener, error) {
	if address != "" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return nil, greenhouse.Unavailable("listen_failed", "mqtt-listen %s cannot be opened: %v", address, err)
		}
		return l, nil
	}
	if l, err := net.Listen("tcp", "127.0.0.1:1883"); err == nil {
		return l, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// demo is the simulated greenhouse behind the daemon.
type demo struct {
	opts    demoOptions
	world   *sim.World
	plan    sim.Plan
	log     *slog.Logger
	address string // of the broker

	mu    sync.Mutex
	nodes []*sim.Client
}

// body is a device as its firmware sees it. The world tells the times of faults
// in simulated time and lists only those at work, so here they hold now.
type body struct{ *sim.Device }

// Faults returns what is wrong with the node itself now.
func (b body) Faults() []sim.NodeFault {
	all := b.Device.Faults()
	for i := range all {
		all[i].From, all[i].Until = time.Time{}, time.Time{}
	}
	return all
}

// provision creates the site and its zones, and lets every device join: with the
// join token over MQTT, or, in a directory that knows it already, with a new
// secret.
func (d *demo) provision(ctx context.Context) error {
	c, err := client.New(client.Options{Socket: d.opts.apiSocket, UserAgent: "edged demo"})
	if err != nil {
		return err
	}
	defer c.Close()
	site := d.plan.Site
	if _, err := c.EditSite(ctx, api.SitePatch{Name: &site.Name, Latitude: &site.Latitude, Longitude: &site.Longitude, TimeZone: &site.TimeZone}, client.Write{}); err != nil {
		return err
	}
	for _, z := range d.plan.Zones {
		if err := d.provisionZone(ctx, c, z.Zone); err != nil {
			return err
		}
	}
	pairing, err := c.OpenPairing(ctx, api.PairRequest{ForS: 600}, client.Write{})
	if err != nil {
		return err
	}
	for _, device := range d.world.Devices() {
		if err := d.provisionNode(ctx, c, device, pairing.Token); err != nil {
			return err
		}
	}
	_, err = c.ClosePairing(ctx, client.Write{})
	return err
}

func (d *demo) provisionZone(ctx context.Context, c *client.Client, z greenhouse.Zone) error {
	_, err := c.CreateZone(ctx, api.CreateZoneRequest{ID: z.ID, Name: z.Name, Crop: z.Crop, AreaM2: z.AreaM2, Mode: z.Mode}, client.Write{})
	if errors.Is(err, greenhouse.ErrConflict) {
		return nil // of an earlier run: what people changed stays
	}
	if err != nil {
		return err
	}
	z.Control.HeatKp, z.Control.HeatTiS = 0.5, max(int(900/d.opts.speed), 5) // the controller keeps pace with the plant
	z.Control.ChangeoverS = max(int(300/d.opts.speed), 5)
	patch := map[string]any{"targets": z.Targets, "day_from": z.DayFrom, "day_until": z.DayUntil, "control": z.Control}
	_, err = c.EditZone(ctx, z.ID, patch, client.Write{})
	return err
}

func (d *demo) provisionNode(ctx context.Context, c *client.Client, device *sim.Device, token string) error {
	p := device.Plan()
	dial := sim.MQTT{Address: d.address}
	o := sim.ClientOptions{HardwareID: p.HardwareID, Type: p.Type, Name: p.Name, HW: p.HW, Dialer: dial, Log: d.log,
		Firmware: sim.FirmwareOptions{Body: body{device}, FW: p.FW, Boot: "demo" + time.Now().Format("150405"), Seed: d.opts.seed}}
	for _, ch := range p.Channels {
		spec, _ := greenhouse.StandardChannel(ch)
		o.Firmware.Channels = append(o.Firmware.Channels, wire.HelloChannel{Name: ch, Kind: spec.Kind})
	}
	if _, err := c.Node(ctx, p.UID()); err == nil {
		secret, err := c.RotateKey(ctx, p.UID(), client.Write{Reason: "the demo starts again"})
		if err != nil {
			return err
		}
		o.Secret = secret.Secret
	} else {
		w, err := sim.Join(ctx, dial, token, wire.Hello{HardwareID: p.HardwareID, Type: p.Type, Name: p.Name, FW: p.FW, HW: p.HW, Channels: o.Firmware.Channels})
		if err != nil {
			return err
		}
		o.Secret = w.Secret
		interval := demoInterval
		if _, err := c.EditNode(ctx, p.UID(), api.NodePatch{IntervalS: &interval}, client.Write{}); err != nil {
			return err
		}
		if _, err := c.AssignNode(ctx, p.UID(), p.Zone, client.Write{}); err != nil {
			return err
		}
		if err := d.protectLess(ctx, c, p); err != nil {
			return err
		}
	}
	d.mu.Lock()
	d.nodes = append(d.nodes, sim.NewClient(o))
	d.mu.Unlock()
	return nil
}

// protectLess gives the heaters of the demo the class of an electronic relay:
// with time running faster, the minutes of a contactor would be half an hour.
func (d *demo) protectLess(ctx context.Context, c *client.Client, p sim.NodePlan) error {
	for _, ch := range p.Channels {
		if ch != "heater" {
			continue
		}
		class := greenhouse.ClassHeaterSSR
		if _, err := c.EditPoint(ctx, greenhouse.ZonePoint(p.Zone, ch, 1), api.PointPatch{Class: &class}, client.Write{}); err != nil {
			return err
		}
	}
	return nil
}

// run lets time pass and the nodes live until ctx ends.
func (d *demo) run(ctx context.Context) {
	var live sync.WaitGroup
	for _, n := range d.nodes {
		live.Go(func() {
			if err := n.Run(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("a simulated node gave up", "node", n.UID(), "error", err)
			}
		})
	}
	const beat = 100 * time.Millisecond
	tick := time.NewTicker(beat)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			live.Wait()
			return
		case now := <-tick.C:
			d.world.Advance(time.Duration(float64(now.Sub(last)) * d.opts.speed))
			last = now
		}
	}
}

// Sim implements server.Sim.
func (d *demo) Sim() api.Sim {
	s := api.Sim{Seed: d.opts.seed, Speed: d.opts.speed, Now: greenhouse.MillisOf(d.world.Now())}
	for _, n := range d.plan.Nodes {
		s.Nodes = append(s.Nodes, api.SimNode{UID: n.UID(), HardwareID: n.HardwareID, Type: n.Type, Zone: n.Zone, Online: true})
	}
	for _, f := range d.world.Faults() {
		s.Faults = append(s.Faults, simFault(f))
		for i := range s.Nodes {
			if f.Verb == sim.Silent && f.Target == string(s.Nodes[i].UID) {
				s.Nodes[i].Online = false
			}
		}
	}
	for _, v := range sim.Verbs() {
		s.Known = append(s.Known, api.SimFaultKind{Name: string(v.Verb), What: v.What, Target: v.Target})
	}
	return s
}

func simFault(f sim.Fault) api.SimFault {
	return api.SimFault{ID: f.ID, Name: string(f.Verb), Target: f.Target, Value: f.Value, Since: greenhouse.MillisOf(f.Since), Until: greenhouse.MillisOf(f.Until)}
}

// Inject implements server.Sim.
func (d *demo) Inject(r api.SimFaultRequest) (api.SimFault, error) {
	verb, err := sim.ParseVerb(r.Name)
	if err != nil {
		return api.SimFault{}, greenhouse.Invalid("fault_unknown", "there is no fault %q", r.Name).WithHint("greenctl sim faults --known lists them")
	}
	f, err := d.world.Inject(sim.Fault{Verb: verb.Verb, Target: r.Target, Value: r.Value, For: time.Duration(r.ForS) * time.Second})
	if err != nil {
		return api.SimFault{}, err
	}
	return simFault(f), nil
}

// Clear implements server.Sim.
func (d *demo) Clear(id string) error {
	if id != "" {
		if !d.world.Heal(id) {
			return greenhouse.NotFound("fault", id).WithHint("greenctl sim faults lists them")
		}
		return nil
	}
	for _, f := range d.world.Faults() {
		d.world.Heal(f.ID)
	}
	return nil
}
