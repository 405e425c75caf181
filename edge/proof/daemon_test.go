package proof_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/edge"
	"greenhouse/sim"
	"greenhouse/wire"
)

// house is a daemon on loopback and a unix socket, in this process or another.
type house struct {
	t      testing.TB
	mqtt   sim.MQTT
	client *client.Client
	stop   func() // once; the end of the test does it too
}

// open runs a daemon in this process until stop or the end of the test.
func open(t testing.TB, change ...func(*edge.Options)) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := edge.Options{DataDir: filepath.Join(dir, "data"), MQTTListeners: []net.Listener{l}, APISocket: filepath.Join(dir, "s"), ClockTrust: edge.TrustAlways, NoSync: true}
	for _, c := range change {
		c(&o)
	}
	d, err := edge.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	t.Cleanup(stop)
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := reach(t, l.Addr().String(), o.APISocket)
	h.stop = stop
	return h
}

// reach talks to the daemon at these addresses.
func reach(t testing.TB, mqtt, socket string) *house {
	t.Helper()
	c, err := client.New(client.Options{Socket: socket})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &house{t: t, mqtt: sim.MQTT{Address: mqtt, Timeout: soon}, client: c}
}

func (h *house) ctx() context.Context { return h.t.Context() }

// must fails the test on an error of what it is not about.
func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// pair opens pairing for the day.
func (h *house) pair() (token string) {
	h.t.Helper()
	return must[api.Pairing](h.t)(h.client.OpenPairing(h.ctx(), api.PairRequest{ForS: 86400}, client.Write{})).Token
}

// bridge is an account that says hello for devices, as an adapter does, and hears
// their answers; it has one hello under way at a time.
type bridge struct {
	h            *house
	name, secret string
	link         sim.Link
	heard        chan []byte
}

func (h *house) bridge(name string) *bridge {
	h.t.Helper()
	a := must[api.Account](h.t)(h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: name, Publish: []string{"gh/hello/+"}, Subscribe: []string{"gh/welcome/+"}}, client.Write{}))
	return &bridge{h: h, name: name, secret: a.Secret}
}

// connected returns the bridge's link, a new one if the last is gone.
func (b *bridge) connected() (sim.Link, error) {
	if b.link != nil {
		select {
		case <-b.link.Done():
		default:
			return b.link, nil
		}
	}
	heard := make(chan []byte, 1)
	link, err := b.h.mqtt.Dial(b.h.ctx(), sim.Session{Login: b.name, Secret: b.secret, Acked: func(uint64) {}, Receive: func(_ string, p []byte) { heard <- p }})
	if err != nil {
		return nil, err
	}
	if err := link.Subscribe(b.h.ctx(), "gh/welcome/+"); err != nil {
		link.Close(false)
		return nil, err
	}
	b.link, b.heard = link, heard
	return link, nil
}

// hello sends one and waits for the answer.
func (b *bridge) hello(hw greenhouse.HardwareID, typ greenhouse.NodeType) (wire.Welcome, error) {
	link, err := b.connected()
	if err != nil {
		return wire.Welcome{}, err
	}
	payload := fmt.Appendf(nil, `{"v":1,"hardware_id":%q,"type":%q,"channels":[{"name":"solution_ph","kind":"sensor"}]}`, hw, typ)
	if err := link.Publish(sim.Message{ID: 1, Topic: "gh/hello/" + string(hw), Payload: payload, QoS: 1}); err != nil {
		return wire.Welcome{}, err
	}
	select {
	case p := <-b.heard:
		return wire.DecodeWelcome(p)
	case <-link.Done():
		return wire.Welcome{}, errors.New("the link was lost")
	}
}

// close ends the bridge's link.
func (b *bridge) close() {
	if b.link != nil {
		b.link.Close(false)
	}
}

// authority is a daemon as a town: a key space of its own for each history.
type authority struct {
	h       *house
	space   int
	bridges []*bridge // one for each person
}

// found makes the zones of a history and returns its town.
func (h *house) found(space int, bridges []*bridge) *authority {
	h.t.Helper()
	a := &authority{h: h, space: space, bridges: bridges}
	for z := 1; z <= zones; z++ {
		must[api.Zone](h.t)(h.client.CreateZone(h.ctx(), api.CreateZoneRequest{ID: a.zone(z)}, client.Write{}))
	}
	return a
}

func (a *authority) hardware(device int) greenhouse.HardwareID {
	return greenhouse.HardwareID(fmt.Sprintf("%07x%d", a.space, device))
}

func (a *authority) uid(device int) greenhouse.UID {
	return greenhouse.MakeUID(kindOf(device), a.hardware(device))
}

func (a *authority) zone(z int) greenhouse.ZoneID {
	if z == 0 {
		return ""
	}
	return greenhouse.ZoneID(fmt.Sprintf("z%07x-%d", a.space, z))
}

// do implements town over the API and the broker.
func (a *authority) do(person int, c call) answer {
	ctx, w, uid := a.h.ctx(), client.Write{IfVersion: uint64(c.version)}, a.uid(c.device)
	api1 := a.h.client
	switch c.verb {
	case hello:
		return welcomed(a.bridges[person].hello(a.hardware(c.device), kindOf(c.device)))
	case login:
		return a.login(uid, c.secret)
	case register:
		r, err := api1.RegisterNode(ctx, api.RegisterRequest{HardwareID: string(a.hardware(c.device)), Type: kindOf(c.device), Zone: a.zone(c.zone), Channels: []api.DeclaredChannel{{Name: "solution_ph", Kind: greenhouse.Sensor}}}, w)
		return a.told(r.Node, r.Secret, err)
	case assign:
		n, err := api1.AssignNode(ctx, uid, a.zone(c.zone), w)
		return a.told(n, "", err)
	case unassign:
		n, err := api1.UnassignNode(ctx, uid, w)
		return a.told(n, "", err)
	case edit:
		n, err := api1.EditNode(ctx, uid, api.NodePatch{Name: &c.name}, w)
		return a.told(n, "", err)
	case swap, undo:
		s, err := api1.SwapNode(ctx, uid, api.SwapRequest{With: a.uid(c.other), Undo: c.verb == undo}, w)
		return a.told(s.New, "", err)
	case decommission:
		n, err := api1.DecommissionNode(ctx, uid, w)
		return a.told(n, "", err)
	case rotate:
		s, err := api1.RotateKey(ctx, uid, w)
		if err != nil {
			return refused(err)
		}
		return answer{secret: s.Secret}
	case get:
		n, err := api1.Node(ctx, uid)
		return a.told(n, "", err)
	case list:
		return a.members(c.zone)
	}
	panic("no such verb: " + c.verb)
}

// told is what the API says of a node.
func (a *authority) told(n api.Node, secret string, err error) answer {
	if err != nil {
		return refused(err)
	}
	if n.Name == string(n.UID) {
		n.Name = defaultName
	}
	out := answer{version: int(n.Version), name: n.Name, retired: n.State == greenhouse.NodeDecommissioned, secret: secret}
	for z := 1; z <= zones; z++ {
		if n.Zone == a.zone(z) {
			out.zone = z
		}
	}
	return out
}

func (a *authority) members(zone int) answer {
	l, err := a.h.client.Nodes(a.h.ctx(), client.NodeFilter{Zone: a.zone(zone)})
	if err != nil {
		return refused(err)
	}
	var in []string
	for d := range devices {
		for _, n := range l.Items {
			if n.UID == a.uid(d) {
				in = append(in, fmt.Sprint(d))
			}
		}
	}
	return answer{members: strings.Join(in, " ")}
}

// login is a login at the broker by the node itself.
func (a *authority) login(uid greenhouse.UID, secret string) answer {
	link, err := a.h.mqtt.Dial(a.h.ctx(), sim.Session{Login: string(uid), Secret: secret, Acked: func(uint64) {}, Receive: func(string, []byte) {}})
	if err != nil {
		return refused(err)
	}
	link.Close(true)
	return answer{}
}

// welcomed is what a hello was answered.
func welcomed(w wire.Welcome, err error) answer {
	if err != nil {
		return answer{lost: true}
	}
	return answer{code: w.Error, secret: w.Secret}
}

// refused is the answer that an error stands for. A daemon that is gone, and a login
// that another one overtook, say nothing of what was done.
func refused(err error) answer {
	if e := (*greenhouse.StaleError)(nil); errors.As(err, &e) {
		return answer{code: "version_stale", version: int(e.Have)}
	}
	e := (*greenhouse.Error)(nil)
	if !errors.As(err, &e) || errors.Is(err, greenhouse.ErrUnavailable) || errors.Is(err, api.ErrUnreachable) {
		return answer{lost: true}
	}
	return answer{code: cmp.Or(e.Code, "an error without a code")}
}

// soon is how long what must come may take.
const soon = 30 * time.Second
