package store

import (
	"fmt"
	"strings"

	"greenhouse"
)

// The rules of the registry, all of them. Each looks at the draft of the write
// transaction it runs in, so what it sees is what will be committed, and each
// names the other party. A broken rule is an error of kind ErrConflict (409)
// with a code that begins with rule_.

// The bounds of what one record may hold.
const (
	maxChannels = 128 // of a node
	maxOrdinal  = 999 // of points of one name in a zone
	minDeadZone = 1   // K between heating and venting
)

// ruleKnown: a node that is named must exist.
func (r *Registry) ruleKnown(uid greenhouse.UID) (*greenhouse.Node, error) {
	n, ok := r.Nodes[uid]
	if !ok {
		return nil, greenhouse.NotFound("node", string(uid)).WithHint("`greenctl node list` shows the nodes there are")
	}
	return n, nil
}

// ruleZoneKnown: a zone that is named must exist.
func (r *Registry) ruleZoneKnown(id greenhouse.ZoneID) (*greenhouse.Zone, error) {
	z, ok := r.Zones[id]
	if !ok {
		return nil, greenhouse.NotFound("zone", string(id)).WithHint("`greenctl zone list` shows the zones there are, `greenctl zone create %s` makes it", id)
	}
	return z, nil
}

// ruleRecipeKnown: a recipe that is named must exist.
func (r *Registry) ruleRecipeKnown(id greenhouse.RecipeID) (*greenhouse.Recipe, error) {
	rec, ok := r.Recipes[id]
	if !ok {
		return nil, greenhouse.NotFound("recipe", string(id)).WithHint("`greenctl recipe list` shows the recipes there are")
	}
	return rec, nil
}

// ruleRecipeFree: a recipe is deleted only when nothing grows by it. The zones would
// not miss it, but nobody could read what they grow by, nor start it anew.
func (r *Registry) ruleRecipeFree(id greenhouse.RecipeID) error {
	zones := r.RecipeZones(id)
	if len(zones) == 0 {
		return nil
	}
	return greenhouse.Conflict("rule_recipe_in_use", "recipe %s is in use: %s by it", id, growing(zones)).
		WithHint("end it there first: `greenctl recipe stop --zone %s`", zones[0])
}

// growing writes which zones grow.
func growing(zones []greenhouse.ZoneID) string {
	if len(zones) == 1 {
		return fmt.Sprintf("zone %s grows", zones[0])
	}
	return fmt.Sprintf("zone %s and %d more grow", zones[0], len(zones)-1)
}

// ruleInService: a decommissioned node never comes back.
func ruleInService(n *greenhouse.Node) error {
	if n.State != greenhouse.NodeDecommissioned {
		return nil
	}
	return greenhouse.Conflict("rule_node_decommissioned", "node %s is decommissioned, which is final", n.UID).
		WithHint("a device with another hardware id can take its place")
}

// ruleSameType: the type given at the first registration is part of the uid.
func ruleSameType(n *greenhouse.Node, t greenhouse.NodeType) error {
	if n.Type == t {
		return nil
	}
	return greenhouse.Conflict("rule_node_type_fixed", "hardware id %s is registered as %s of type %s, and now says it is of type %s", n.HardwareID, n.UID, n.Type, t).
		WithHint("give the device its former type, or decommission %s and use another hardware id", n.UID)
}

// zoneRules are the rules that a node keeps to be in a zone, in one place: another
// one is one more line.
func (r *Registry) zoneRules(n *greenhouse.Node, z *greenhouse.Zone) error {
	return firstError(
		r.ruleNodeTypeInZone(n, z),
	)
}

// nodeLimit returns how many nodes of a type a zone takes, 0 for any number.
func nodeLimit(z *greenhouse.Zone, t greenhouse.NodeType) int {
	if most, said := z.NodeLimits[t]; said {
		return most
	}
	return greenhouse.DefaultNodeLimit(t)
}

// ruleNodeTypeInZone: at most so many nodes of a type in a zone, one ph and one ec
// node where the zone says nothing.
func (r *Registry) ruleNodeTypeInZone(n *greenhouse.Node, z *greenhouse.Zone) error {
	most := nodeLimit(z, n.Type)
	others := r.ofType(z.ID, n.Type, n.UID)
	switch {
	case most == 0 || len(others) < most:
		return nil
	case len(others) == 1:
		return greenhouse.Conflict("rule_node_type_in_zone", "zone %s already has a node of type %s: %s", z.ID, n.Type, others[0]).
			WithHint("unassign %s first, or put %s in its place with `greenctl node swap %s %s`", others[0], n.UID, others[0], n.UID)
	}
	return greenhouse.Conflict("rule_node_type_in_zone", "zone %s already has %d nodes of type %s: %s", z.ID, len(others), n.Type, joined(others)).
		WithHint("unassign one of them first, or let the zone take more: `greenctl zone edit %s --limit %s=%d`", z.ID, n.Type, most+1)
}

// ruleNodeLimits: a zone does not take fewer nodes of a type than it has.
func (r *Registry) ruleNodeLimits(z *greenhouse.Zone) error {
	for _, t := range greenhouse.NodeTypes() {
		if most, has := nodeLimit(z, t), r.ofType(z.ID, t, ""); most != 0 && len(has) > most {
			return greenhouse.Conflict("rule_node_type_in_zone", "zone %s has %d nodes of type %s and would take %d: %s", z.ID, len(has), t, most, joined(has)).
				WithHint("unassign some of them first")
		}
	}
	return nil
}

// ofType returns the nodes of a type in a zone, but for one.
func (r *Registry) ofType(z greenhouse.ZoneID, t greenhouse.NodeType, but greenhouse.UID) (uids []greenhouse.UID) {
	for _, n := range r.zoneNodes[z] {
		if n.Type == t && n.UID != but {
			uids = append(uids, n.UID)
		}
	}
	return uids
}

// joined writes a list of nodes.
func joined(uids []greenhouse.UID) string {
	text := make([]string, len(uids))
	for i, u := range uids {
		text[i] = string(u)
	}
	return strings.Join(text, ", ")
}

// ruleOneHolder: a point is held by one node.
func ruleOneHolder(p *greenhouse.Point, uid greenhouse.UID) error {
	if p.Node == "" || p.Node == uid {
		return nil
	}
	return greenhouse.Conflict("rule_point_held", "point %s is held by node %s", p.ID, p.Node).
		WithHint("unassign %s first, or swap the two nodes", p.Node)
}

// ruleFits: a point is fed or driven by a channel of its kind, and in its unit, or
// its history would mix what cannot be compared.
func ruleFits(p *greenhouse.Point, c *greenhouse.Channel) error {
	switch {
	case p.Kind != c.Kind:
		return greenhouse.Conflict("rule_point_kind", "point %s is for a %s, and channel %s is a %s", p.ID, p.Kind, c.Name, c.Kind)
	case !sameUnit(p.Name, p.Unit, c.Name, c.Unit):
		return greenhouse.Conflict("rule_point_unit", "point %s is in %q, and channel %s in %q: its history would jump", p.ID, p.Unit, c.Name, c.Unit).
			WithHint("greenctl point edit %s --unit %q, if that is what it was in all the time", p.ID, c.Unit)
	}
	return nil
}

// sameUnit reports whether the units of two channels are the same, as far as both
// are known: none at all says nothing but of a standard name, which may have none.
func sameUnit(a greenhouse.ChannelName, ua greenhouse.Unit, b greenhouse.ChannelName, ub greenhouse.Unit) bool {
	known := func(n greenhouse.ChannelName, u greenhouse.Unit) bool {
		_, standard := greenhouse.StandardChannel(n)
		return standard || u != ""
	}
	return ua == ub || !known(a, ua) || !known(b, ub)
}

// ruleState: the life of a node goes its way.
func ruleState(n *greenhouse.Node, to greenhouse.NodeState) error {
	if n.State.CanBecome(to) {
		return nil
	}
	return greenhouse.Conflict("rule_node_state", "node %s is %s and cannot become %s", n.UID, n.State, to).
		WithHint("a node is registered, assigned to a zone, active or degraded there, set to maintenance or decommissioned")
}

// ruleZoneFree: a zone is deleted only when nothing is in it and nobody looks to it.
func (r *Registry) ruleZoneFree(id greenhouse.ZoneID) error {
	if nodes := r.zoneNodes[id]; len(nodes) > 0 {
		return greenhouse.Conflict("zone_has_points", "zone %s still has node %s and %d more in it", id, nodes[0].UID, len(nodes)-1).
			WithHint("unassign its nodes first: `greenctl node list --zone %s`", id)
	}
	for _, p := range r.zonePoints[id] {
		if p.Node != "" {
			return greenhouse.Conflict("zone_has_points", "point %s is still bound to node %s", p.ID, p.Node).
				WithHint("unassign %s first", p.Node)
		}
	}
	for _, z := range r.Zones {
		if z.Control.WeatherZone == id && z.ID != id {
			return greenhouse.Conflict("rule_weather_zone", "zone %s takes its weather from zone %s", z.ID, id).
				WithHint("give %s another weather zone first", z.ID)
		}
		if z.Control.BackupZone == id && z.ID != id {
			return greenhouse.Conflict("rule_backup_zone", "zone %s falls back on the air temperature of zone %s", z.ID, id).
				WithHint("give %s another backup zone first", z.ID)
		}
	}
	return nil
}

// ruleOtherZones: the zones from which a zone takes weather, or its air
// temperature in need, exist.
func (r *Registry) ruleOtherZones(z *greenhouse.Zone) error {
	for _, from := range [...]greenhouse.ZoneID{z.Control.WeatherZone, z.Control.BackupZone} {
		if from == "" || from == z.ID {
			continue
		}
		if _, err := r.ruleZoneKnown(from); err != nil {
			return err
		}
	}
	return nil
}

// ruleSetPoints: venting begins at least 1 K above heating, by day and by
// night, or both would run against each other.
func ruleSetPoints(z *greenhouse.Zone) error {
	heat, hasHeat := z.Targets[greenhouse.Heating]
	vent, hasVent := z.Targets[greenhouse.Venting]
	if !hasHeat || !hasVent {
		return nil
	}
	if vent.Day < heat.Day+minDeadZone {
		return inverted(z.ID, "day", vent.Day, heat.Day)
	}
	if vent.Night < heat.Night+minDeadZone {
		return inverted(z.ID, "night", vent.Night, heat.Night)
	}
	return nil
}

// inverted is the error for venting too near to heating.
func inverted(z greenhouse.ZoneID, when string, vent, heat float64) error {
	return greenhouse.Invalid("targets_inverted", "zone %s would vent by %s from %g °C and heat below %g °C: venting must lie at least %g K above heating", z, when, vent, heat, float64(minDeadZone)).
		WithHint("set venting to %g or more, or heating to %g or less", heat+minDeadZone, vent-minDeadZone)
}

// ruleCommandState: terminal states of a command never change.
func ruleCommandState(old *greenhouse.Command, to greenhouse.CommandState) error {
	if old.State == to && !to.Terminal() || old.State.CanBecome(to) {
		return nil
	}
	return greenhouse.Conflict("rule_command_state", "command %s is %s and cannot become %s", old.ID, old.State, to)
}
