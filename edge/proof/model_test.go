package proof_test

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"greenhouse"
)

// The registry of one history is small, so that everybody gets in each other's way.
const (
	devices = 4 // three ph and one climate
	zones   = 2
)

// kindOf returns the type of a device.
func kindOf(device int) greenhouse.NodeType {
	if device == devices-1 {
		return greenhouse.TypeClimate
	}
	return greenhouse.TypePH
}

// verb is what people and devices do to the registry.
type verb string

const (
	hello        verb = "hello"        // a device asks to join
	login        verb = "login"        // a node logs in at the broker
	register     verb = "register"     // an installer makes it known, maybe in a zone
	assign       verb = "assign"       // into a zone
	unassign     verb = "unassign"     // out of it
	edit         verb = "edit"         // its name
	swap         verb = "swap"         // other takes its place
	undo         verb = "undo"         // and gives it back
	decommission verb = "decommission" // for ever
	rotate       verb = "rotate"       // a new secret
	get          verb = "get"          // read one
	list         verb = "list"         // read who is in a zone
)

// call is one thing done. Its fields are used as the verb needs them.
type call struct {
	verb    verb
	device  int
	other   int    // of a swap
	zone    int    // 1…, 0 for none
	version int    // If-Match, 0 for none
	name    string // of an edit
	secret  string // of a login
}

func (c call) String() string {
	s := fmt.Sprintf("%s %d", c.verb, c.device)
	switch c.verb {
	case swap, undo:
		s += fmt.Sprintf(" by %d", c.other)
	case edit:
		s += " to " + c.name
	case login:
		s += fmt.Sprintf(" with %.4s", c.secret)
	case list:
		s = fmt.Sprintf("list zone %d", c.zone)
	case register, assign:
		s += fmt.Sprintf(" in zone %d", c.zone)
	}
	if c.version != 0 {
		s += fmt.Sprintf(" if version %d", c.version)
	}
	return s
}

// answer is what came of it.
type answer struct {
	code    string // of the refusal; "" is success
	lost    bool   // nobody knows: the daemon was gone before it answered
	version int    // of the node, also of the one a stale edit met
	zone    int
	name    string
	retired bool
	secret  string // given out now
	members string // of a zone
}

func (a answer) String() string {
	switch {
	case a.lost:
		return "?"
	case a.code != "":
		return fmt.Sprintf("%s (version %d)", a.code, a.version)
	}
	return strings.TrimSpace(fmt.Sprintf("version %d zone %d %s %.4s %s", a.version, a.zone, a.name, a.secret, a.members))
}

// node is what the registry knows of a device.
type node struct {
	known, retired, loggedIn bool
	zone, version            int
	name                     string
	secret                   string // the newest
	earlier                  string // replaced by hellos and still good, each behind a space
}

// site is the whole registry: a value, so that states compare with ==.
type site struct {
	nodes [devices]node
	swaps [devices]swapped // by the new one
}

type swapped struct {
	done      bool
	old, zone int
}

// defaultName is the name of a node that nobody named.
const defaultName = "its uid"

// do is the law: what a call must answer and leave behind if nobody else is there.
// secret is the one that was given out, if the law says that one is.
func (s site) do(c call, secret string) (site, answer) {
	if c.verb == list {
		return s, answer{members: s.members(c.zone)}
	}
	switch c.verb {
	case hello:
		return s.hello(c, secret)
	case register:
		return s.register(c, secret)
	case login:
		return s.login(c)
	}
	n := &s.nodes[c.device]
	if c.verb == swap || c.verb == undo {
		switch {
		case n.known && c.version != 0 && c.version != n.version:
			return s, answer{code: "version_stale", version: n.version}
		case c.verb == swap:
			return s.swap(c)
		}
		return s.undo(c)
	}
	if !n.known {
		return s, answer{code: "node_not_found"}
	}
	if c.version != 0 && c.version != n.version {
		return s, answer{code: "version_stale", version: n.version}
	}
	if n.retired && c.verb != get && c.verb != decommission {
		return s, answer{code: "rule_node_decommissioned"}
	}
	before := *n
	switch c.verb {
	case assign:
		if s.holder(n, c.zone, kindOf(c.device)) {
			return s, answer{code: "rule_node_type_in_zone"}
		}
		n.zone = c.zone
	case unassign:
		n.zone = 0
	case edit:
		n.name = c.name
	case decommission:
		n.zone, n.retired, n.secret, n.earlier = 0, true, "", ""
	case rotate:
		n.secret, n.earlier = issue(secret), ""
		return s, answer{secret: n.secret}
	}
	if *n != before {
		n.version++
	}
	return s, n.shown()
}

// issue is the secret that was given out; none at all is not what the law says.
func issue(secret string) string {
	if secret == "" {
		return "some secret"
	}
	return secret
}

// shown is a node as the API shows it.
func (n *node) shown() answer {
	return answer{version: n.version, zone: n.zone, name: n.name, retired: n.retired}
}

// holder reports whether a zone has a node other than n of a type of which there
// may be one.
func (s *site) holder(n *node, zone int, kind greenhouse.NodeType) bool {
	for i := range s.nodes {
		if o := &s.nodes[i]; o != n && o.zone == zone && kindOf(i) == kind && kind == greenhouse.TypePH {
			return true
		}
	}
	return false
}

func (s *site) members(zone int) string {
	var in []string
	for i := range s.nodes {
		if s.nodes[i].zone == zone {
			in = append(in, fmt.Sprint(i))
		}
	}
	return strings.Join(in, " ")
}

func (s site) hello(c call, secret string) (site, answer) {
	n := &s.nodes[c.device]
	switch {
	case n.retired:
		return s, answer{code: "rule_node_decommissioned"}
	case n.loggedIn:
		return s, answer{}
	case !n.known:
		*n = node{known: true, version: 1, name: defaultName}
	default:
		n.earlier += " " + n.secret
	}
	n.secret = issue(secret)
	return s, answer{secret: n.secret}
}

func (s site) register(c call, secret string) (site, answer) {
	n := &s.nodes[c.device]
	switch {
	case n.retired:
		return s, answer{code: "rule_node_decommissioned"}
	case n.known:
		return s, n.shown()
	case c.zone != 0 && s.holder(n, c.zone, kindOf(c.device)):
		return s, answer{code: "rule_node_type_in_zone"}
	}
	*n = node{known: true, version: 1, name: defaultName, zone: c.zone, secret: issue(secret)}
	if c.zone != 0 {
		n.version++
	}
	a := n.shown()
	a.secret = n.secret
	return s, a
}

func (s site) login(c call) (site, answer) {
	n := &s.nodes[c.device]
	if n.secret == "" || c.secret != n.secret && !slices.Contains(strings.Fields(n.earlier), c.secret) {
		return s, answer{code: "login_refused"}
	}
	if !n.loggedIn {
		n.loggedIn, n.secret, n.earlier = true, c.secret, ""
	}
	return s, answer{}
}

func (s site) swap(c call) (site, answer) {
	from, to := &s.nodes[c.device], &s.nodes[c.other]
	switch {
	case !from.known:
		return s, answer{code: "node_not_found"}
	case from.retired:
		return s, answer{code: "rule_node_decommissioned"}
	case !to.known:
		return s, answer{code: "node_not_found"}
	case to.retired:
		return s, answer{code: "rule_node_decommissioned"}
	case from.zone == 0 || to.zone != 0:
		return s, answer{code: "rule_swap_zone"}
	case kindOf(c.device) != kindOf(c.other) && s.holder(to, from.zone, kindOf(c.other)):
		return s, answer{code: "rule_node_type_in_zone"}
	}
	s.swaps[c.other] = swapped{true, c.device, from.zone}
	from.zone, to.zone = 0, from.zone
	from.version++
	to.version++
	return s, to.shown()
}

func (s site) undo(c call) (site, answer) {
	was := s.swaps[c.other]
	if !was.done || was.old != c.device {
		return s, answer{code: "swap_not_found"}
	}
	from, to := &s.nodes[c.device], &s.nodes[c.other]
	switch {
	case from.retired:
		return s, answer{code: "rule_node_decommissioned"}
	case from.zone != 0 || to.zone != was.zone:
		return s, answer{code: "rule_swap_moved"}
	}
	after := s
	after.nodes[c.other].zone = 0
	if after.holder(&after.nodes[c.device], was.zone, kindOf(c.device)) {
		return s, answer{code: "rule_node_type_in_zone"}
	}
	after.nodes[c.device].zone = was.zone
	after.nodes[c.device].version++
	after.nodes[c.other].version++
	after.swaps[c.other] = swapped{}
	return after, after.nodes[c.other].shown()
}

// clerk is the sequential specification: one call after the other.
func clerk() porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Init: func() any { return site{} },
		Step: func(state, input, output any) (bool, any) {
			got := output.(answer)
			next, want := state.(site).do(input.(call), got.secret)
			return got == want, next
		},
		Hash:              func(state any) uint64 { return maphash.Comparable(seed, state.(site)) },
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v → %v", input, output) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state.(site)) },
	}
}

// mortalClerk is clerk where a call whose answer was lost may or may not have been
// done before it ended.
func mortalClerk() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{site{}} },
		Step: func(state, input, output any) []any {
			got := output.(answer)
			next, want := state.(site).do(input.(call), got.secret)
			switch {
			case got.lost && next != state.(site):
				return []any{state, next}
			case got.lost || got == want:
				return []any{next}
			}
			return nil
		},
		Equal:             func(a, b any) bool { return a.(site) == b.(site) },
		DescribeOperation: clerk().DescribeOperation,
		DescribeState:     clerk().DescribeState,
	}
	return m.ToModel()
}
