package edge

import (
	"net/netip"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/fleet"
	"greenhouse/store"
	"greenhouse/wire"
)

// knocked puts a device that was refused into the quarantine; the first time it
// is an event.
func (d *Daemon) knocked(k fleet.Knock) {
	now := d.opts.Now()
	if !d.pending.Knock(k, now) {
		return
	}
	d.clerk.strange(greenhouse.Event{TS: greenhouse.MillisOf(now), Code: "device_knocked", Source: greenhouse.Source("device/" + k.ID), Actor: "device/" + k.ID,
		Detail: detail("why", k.Code, "text", clip(k.Text), "address", k.Address, "via", k.Via)})
}

// refusedLogin looks at who could not log in: devices and nodes go into the
// quarantine, with what was wrong as far as the registry can tell the owner. The
// device itself hears no more than that it was refused.
func (d *Daemon) refusedLogin(login string, from netip.AddrPort) {
	reg := d.store.Registry()
	k := fleet.Knock{ID: login}
	if from.IsValid() {
		k.Address = from.String()
	}
	if uid, _, _, err := greenhouse.ParseUID(login); err == nil && string(uid) == login {
		switch n, ok := reg.Nodes[uid]; {
		case !ok:
			k.Code, k.Text = "node_unknown", "it logs in as a node that is not in this registry"
		case n.State == greenhouse.NodeDecommissioned:
			k.Code, k.Text = "node_decommissioned", "it logs in as a node that is decommissioned"
		default:
			k.Code, k.Text = "secret_wrong", "it logs in as "+string(uid)+" with another secret"
		}
		d.knocked(k)
		return
	}
	hw, err := greenhouse.ParseHardwareID(login)
	if err != nil || string(hw) != login || reg.HasAccount(login) {
		return // no device: a person or a program, which login_refused tells of
	}
	k.Code, k.Text = "token_wrong", "it wants to join with another token than that of the window that is open"
	if !reg.Pairing(d.opts.Now()).Open {
		k.Code, k.Text = "pairing_closed", "it wants to join, and pairing is closed"
	}
	d.knocked(k)
}

// refusedHello keeps a hello that was not granted.
func (in *inbound) refusedHello(hw greenhouse.HardwareID, h *wire.Hello, why wire.Welcome, login string) {
	k := fleet.Knock{ID: string(hw), Code: why.Error, Text: why.Message, Address: in.d.addressOf(login)}
	if h != nil {
		k.Hello = &fleet.Hello{Type: h.Type, Name: h.Name, FW: h.FW, HW: h.HW}
		for _, c := range h.Channels {
			k.Hello.Channels = append(k.Hello.Channels, greenhouse.Channel{Name: c.Name, Kind: c.Kind, Unit: c.Unit})
		}
	}
	in.d.knocked(k)
}

// addressOf returns where the session of a login comes from, "" if it has none.
func (d *Daemon) addressOf(login string) string {
	for _, s := range d.broker.Sessions() {
		if s.Login == login && s.Remote.IsValid() {
			return s.Remote.String()
		}
	}
	return ""
}

// quarantine is what the API may see of it.
type quarantine struct{ d *Daemon }

// Pending implements server.Pending.
func (q quarantine) Pending() []api.Pending {
	reg := q.d.store.Registry()
	list := []api.Pending{}
	for _, w := range q.d.pending.List(q.d.opts.Now()) {
		list = append(list, pendingView(reg, w))
	}
	return list
}

// Count implements server.Pending.
func (q quarantine) Count() int { return q.d.pending.Count(fleet.PendingFor, q.d.opts.Now()) }

// Forget implements server.Pending.
func (q quarantine) Forget(id string) bool { return q.d.pending.Forget(id) }

// pendingView shows a device that waits as the API does.
func pendingView(reg *store.Registry, w fleet.Waiting) api.Pending {
	p := api.Pending{ID: w.ID, Count: w.Count, FirstSeen: greenhouse.MillisOf(w.First), LastSeen: greenhouse.MillisOf(w.Last), Address: w.Address, Via: w.Via,
		Declared: []api.DeclaredChannel{}, Channels: []api.PendingChannel{}, Errors: []api.PendingError{}}
	if uid, typ, _, err := greenhouse.ParseUID(w.ID); err == nil {
		p.Type = typ
		if _, known := reg.Nodes[uid]; known {
			p.Node = uid
		}
	} else {
		p.Node = reg.ByHardware[greenhouse.HardwareID(w.ID)]
	}
	if h := w.Hello; h != nil {
		p.Type, p.Name, p.FW, p.HW = h.Type, h.Name, h.FW, h.HW
		for _, c := range h.Channels {
			p.Declared = append(p.Declared, api.DeclaredChannel{Name: c.Name, Kind: c.Kind, Unit: c.Unit})
		}
	}
	for _, e := range w.Errors {
		p.Errors = append(p.Errors, api.PendingError{Code: e.Code, Text: e.Text, Count: e.Count, LastSeen: greenhouse.MillisOf(e.Last)})
	}
	for _, c := range w.Channels {
		p.Channels = append(p.Channels, api.PendingChannel{Name: c.Name, Value: api.Num(c.Value), Count: c.Count, LastSeen: greenhouse.MillisOf(c.Last)})
	}
	return p
}
