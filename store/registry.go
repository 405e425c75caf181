package store

import (
	"cmp"
	"maps"
	"slices"

	"greenhouse"
)

// Registry is everything the registry file knows of the greenhouse, as of one
// commit. It is immutable: read it for as long as you like, change nothing.
type Registry struct {
	Version    uint64 // rises with every change of what is in here; starts anew with the process
	Site       greenhouse.Site
	Nodes      map[greenhouse.UID]*greenhouse.Node
	ByHardware map[greenhouse.HardwareID]greenhouse.UID
	Zones      map[greenhouse.ZoneID]*greenhouse.Zone
	// Points holds the points of all zones and, made up from the nodes, the
	// points @uid/channel of every node that is in no zone.
	Points    map[greenhouse.PointID]*greenhouse.Point
	Overrides map[greenhouse.PointID]*greenhouse.Override
	Recipes   map[greenhouse.RecipeID]*greenhouse.Recipe
	Stopped   map[greenhouse.ZoneID]bool // zones under a latched emergency stop
	StopAll   bool                       // the whole site is
	// Uncalibrated says since when points wait for a calibration after a swap.
	Uncalibrated map[greenhouse.PointID]greenhouse.Millis

	epoch       uint64
	pairing     pairing
	recovery    *Recovery
	credentials map[string]*credential
	accounts    map[string]*Account
	tokens      map[string]*Token
	users       map[string]*User
	zoneNodes   map[greenhouse.ZoneID][]*greenhouse.Node  // by uid
	zonePoints  map[greenhouse.ZoneID][]*greenhouse.Point // by id
	txid        int                                       // of the bbolt transaction it stands for
}

// newRegistry returns an empty registry.
func newRegistry() *Registry {
	return &Registry{
		Nodes:        map[greenhouse.UID]*greenhouse.Node{},
		ByHardware:   map[greenhouse.HardwareID]greenhouse.UID{},
		Zones:        map[greenhouse.ZoneID]*greenhouse.Zone{},
		Points:       map[greenhouse.PointID]*greenhouse.Point{},
		Overrides:    map[greenhouse.PointID]*greenhouse.Override{},
		Recipes:      map[greenhouse.RecipeID]*greenhouse.Recipe{},
		Stopped:      map[greenhouse.ZoneID]bool{},
		Uncalibrated: map[greenhouse.PointID]greenhouse.Millis{},
		credentials:  map[string]*credential{},
		accounts:     map[string]*Account{},
		tokens:       map[string]*Token{},
		users:        map[string]*User{},
		zoneNodes:    map[greenhouse.ZoneID][]*greenhouse.Node{},
		zonePoints:   map[greenhouse.ZoneID][]*greenhouse.Point{},
	}
}

// Route returns the point that a node's channel feeds or obeys now:
// zone/name while the node is in a zone, else @uid/channel.
func (r *Registry) Route(uid greenhouse.UID, channel greenhouse.ChannelName) (greenhouse.PointID, bool) {
	n, ok := r.Nodes[uid]
	if !ok {
		return "", false
	}
	c, ok := n.Channel(channel)
	if !ok {
		return "", false
	}
	return c.Point, true
}

// Channel returns a channel of a node, to be read only.
func (r *Registry) Channel(uid greenhouse.UID, channel greenhouse.ChannelName) (*greenhouse.Channel, bool) {
	n, ok := r.Nodes[uid]
	if !ok {
		return nil, false
	}
	return n.Channel(channel)
}

// Point returns a point by its id: one in Points, or one of a node's own
// diagnostics (@uid/online, rssi, uptime_s, battery), which no list holds.
func (r *Registry) Point(id greenhouse.PointID) (*greenhouse.Point, bool) {
	if p, ok := r.Points[id]; ok {
		return p, true
	}
	n, ok := r.Nodes[id.Node()]
	if !ok {
		return nil, false
	}
	spec, ok := greenhouse.NodeDiagnostic(id.Name())
	if !ok || greenhouse.NodePoint(n.UID, spec.Name) != id {
		return nil, false
	}
	return &greenhouse.Point{ID: id, Name: spec.Name, Kind: spec.Kind, Unit: spec.Unit, Node: n.UID, Channel: spec.Name, Min: &spec.Min, Max: &spec.Max, Meta: n.Meta}, true
}

// ZonePoints returns the points of a zone in the order of their ids.
func (r *Registry) ZonePoints(z greenhouse.ZoneID) []*greenhouse.Point { return r.zonePoints[z] }

// ZoneNodes returns the nodes in a zone in the order of their uids.
func (r *Registry) ZoneNodes(z greenhouse.ZoneID) []*greenhouse.Node { return r.zoneNodes[z] }

// StoppedZone reports whether a zone is under an emergency stop, its own or the site's.
func (r *Registry) StoppedZone(z greenhouse.ZoneID) bool { return r.StopAll || r.Stopped[z] }

// HasAccount reports whether there is an account of that name.
func (r *Registry) HasAccount(name string) bool {
	_, ok := r.accounts[name]
	return ok
}

// HasLoggedIn reports whether a node has ever logged in with its own secret.
func (r *Registry) HasLoggedIn(uid greenhouse.UID) bool {
	c, ok := r.credentials[string(uid)]
	return ok && c.LoggedIn
}

// own makes a noun's map the draft's own before its first change.
func own[K comparable, V any](tx *Tx, noun string, m *map[K]V) map[K]V {
	if !tx.copied[noun] {
		*m = maps.Clone(*m)
		tx.copied[noun] = true
	}
	return *m
}

// setNode puts a node into the registry and keeps the indexes.
func (tx *Tx) setNode(n *greenhouse.Node) {
	old := tx.reg.Nodes[n.UID]
	own(tx, "nodes", &tx.reg.Nodes)[n.UID] = n
	if old == nil {
		own(tx, "hardware", &tx.reg.ByHardware)[n.HardwareID] = n.UID
	}
	if old != nil && old.Zone != "" && old.Zone != n.Zone {
		tx.dropZoneNode(old.Zone, n.UID)
	}
	if n.Zone != "" {
		index := own(tx, "zoneNodes", &tx.reg.zoneNodes)
		index[n.Zone] = insert(index[n.Zone], n, func(a *greenhouse.Node) greenhouse.UID { return a.UID })
	}
	tx.setImplicit(old, n)
}

// dropZoneNode takes a node out of the index of a zone.
func (tx *Tx) dropZoneNode(z greenhouse.ZoneID, uid greenhouse.UID) {
	index := own(tx, "zoneNodes", &tx.reg.zoneNodes)
	index[z] = remove(index[z], uid, func(a *greenhouse.Node) greenhouse.UID { return a.UID })
	if len(index[z]) == 0 {
		delete(index, z)
	}
}

// setImplicit keeps the points @uid/channel, which exist while a node is in no zone.
func (tx *Tx) setImplicit(old, n *greenhouse.Node) {
	want := implicitPoints(n)
	if old == nil && len(want) == 0 {
		return
	}
	had := map[greenhouse.PointID]bool{}
	if old != nil {
		for _, p := range implicitPoints(old) {
			had[p.ID] = true
		}
	}
	if len(had) == 0 && len(want) == 0 {
		return
	}
	points := own(tx, "points", &tx.reg.Points)
	for _, p := range want {
		points[p.ID] = p
		delete(had, p.ID)
	}
	for id := range had {
		delete(points, id)
	}
}

// implicitPoints returns the points of a node's channels that are bound to no place.
func implicitPoints(n *greenhouse.Node) []*greenhouse.Point {
	if n.State == greenhouse.NodeDecommissioned {
		return nil
	}
	var points []*greenhouse.Point
	for i := range n.Channels {
		c := &n.Channels[i]
		if c.Point.Node() == "" {
			continue
		}
		p := pointOf(n, c, "", c.Point)
		p.Meta = n.Meta
		points = append(points, p)
	}
	return points
}

// pointOf returns a fresh point for a channel, with the plausible range of its name.
func pointOf(n *greenhouse.Node, c *greenhouse.Channel, z greenhouse.ZoneID, id greenhouse.PointID) *greenhouse.Point {
	p := &greenhouse.Point{ID: id, Zone: z, Name: c.Name, Kind: c.Kind, Unit: c.Unit, Node: n.UID, Channel: c.Name, Class: c.Class, Safe: c.Safe}
	if spec, ok := greenhouse.StandardChannel(c.Name); ok && spec.Kind == greenhouse.Sensor && c.Kind == greenhouse.Sensor {
		p.Min, p.Max = &spec.Min, &spec.Max
		p.Unit = cmp.Or(p.Unit, spec.Unit)
	}
	return p
}

// setPoint puts a point of a zone into the registry.
func (tx *Tx) setPoint(p *greenhouse.Point) {
	own(tx, "points", &tx.reg.Points)[p.ID] = p
	index := own(tx, "zonePoints", &tx.reg.zonePoints)
	index[p.Zone] = insert(index[p.Zone], p, func(a *greenhouse.Point) greenhouse.PointID { return a.ID })
}

// dropPoint takes a point of a zone out of the registry.
func (tx *Tx) dropPoint(p *greenhouse.Point) {
	delete(own(tx, "points", &tx.reg.Points), p.ID)
	index := own(tx, "zonePoints", &tx.reg.zonePoints)
	index[p.Zone] = remove(index[p.Zone], p.ID, func(a *greenhouse.Point) greenhouse.PointID { return a.ID })
	if len(index[p.Zone]) == 0 {
		delete(index, p.Zone)
	}
}

// insert returns a copy of the sorted list with v in its place.
func insert[T any, K cmp.Ordered](list []T, v T, key func(T) K) []T {
	at, found := slices.BinarySearchFunc(list, key(v), func(a T, k K) int { return cmp.Compare(key(a), k) })
	out := make([]T, 0, len(list)+1)
	out = append(append(out, list[:at]...), v)
	if found {
		at++
	}
	return append(out, list[at:]...)
}

// remove returns a copy of the sorted list without the element of that key.
func remove[T any, K cmp.Ordered](list []T, k K, key func(T) K) []T {
	return slices.DeleteFunc(slices.Clone(list), func(a T) bool { return key(a) == k })
}

// cloneNode returns a deep copy.
func cloneNode(n *greenhouse.Node) *greenhouse.Node {
	c := *n
	c.Labels = maps.Clone(n.Labels)
	c.Channels = slices.Clone(n.Channels)
	for i := range c.Channels {
		if cal := c.Channels[i].Cal; cal != nil {
			v := *cal
			c.Channels[i].Cal = &v
		}
		c.Channels[i].Comp = clonePtr(c.Channels[i].Comp)
	}
	return &c
}

// cloneZone returns a deep copy.
func cloneZone(z *greenhouse.Zone) *greenhouse.Zone {
	c := *z
	c.Targets, c.Offsets, c.Holds = maps.Clone(z.Targets), maps.Clone(z.Offsets), maps.Clone(z.Holds)
	c.Run = z.Run.Clone()
	c.Schedule, c.NodeLimits = maps.Clone(z.Schedule), maps.Clone(z.NodeLimits)
	for q, knots := range c.Schedule {
		c.Schedule[q] = slices.Clone(knots)
	}
	return &c
}

// clonePoint returns a deep copy.
func clonePoint(p *greenhouse.Point) *greenhouse.Point {
	c := *p
	c.Min, c.Max, c.Calibration = clonePtr(p.Min), clonePtr(p.Max), clonePtr(p.Calibration)
	return &c
}

// clonePtr returns a pointer to a copy.
func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
