package store_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/store"
)

// TestNodesLiveByTheTable brings a node into every state and does everything to it
// that can change one: what then happens is the table of steps, no more and no less.
func TestNodesLiveByTheTable(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north", "south", "swaps")
	hw := 0
	fresh := func() greenhouse.UID {
		hw++
		return register(t, s, greenhouse.TypeClimate, greenhouse.HardwareID(fmt.Sprintf("%08x", hw)), "air_temp").Node.UID
	}
	state := func(uid greenhouse.UID, to greenhouse.NodeState) error {
		return s.Update(func(tx *store.Tx) error { _, err := tx.SetNodeState(uid, to); return err })
	}
	change := func(uid greenhouse.UID, to greenhouse.NodeState) error {
		return s.Update(func(tx *store.Tx) error {
			_, err := tx.EditNode(uid, 0, func(n *greenhouse.Node) error { n.State = to; return nil })
			return err
		})
	}
	into := map[greenhouse.NodeState]func() greenhouse.UID{
		greenhouse.NodeRegistered: fresh,
		greenhouse.NodeAssigned: func() greenhouse.UID {
			uid := fresh()
			must(t, second(assign(s, uid, "north", 0)))
			return uid
		},
	}
	for _, to := range []greenhouse.NodeState{greenhouse.NodeActive, greenhouse.NodeDegraded} {
		into[to] = func() greenhouse.UID {
			uid := into[greenhouse.NodeAssigned]()
			must(t, state(uid, to))
			return uid
		}
	}
	into[greenhouse.NodeMaintenance] = func() greenhouse.UID {
		uid := into[greenhouse.NodeAssigned]()
		must(t, change(uid, greenhouse.NodeMaintenance))
		return uid
	}
	into[greenhouse.NodeDecommissioned] = func() greenhouse.UID {
		uid := fresh()
		must(t, s.Update(func(tx *store.Tx) error { return second(tx.Decommission(uid)) }))
		return uid
	}
	deeds := map[string]func(greenhouse.UID) error{
		"assign":      func(uid greenhouse.UID) error { return second(assign(s, uid, "south", 0)) },
		"unassign":    func(uid greenhouse.UID) error { return unassign(s, uid) },
		"heard":       func(uid greenhouse.UID) error { return state(uid, greenhouse.NodeActive) },
		"trouble":     func(uid greenhouse.UID) error { return state(uid, greenhouse.NodeDegraded) },
		"maintenance": func(uid greenhouse.UID) error { return change(uid, greenhouse.NodeMaintenance) },
		"taken back":  func(uid greenhouse.UID) error { return change(uid, greenhouse.NodeAssigned) },
		"edit":        func(uid greenhouse.UID) error { return change(uid, greenhouse.NodeActive) },
		"edit away":   func(uid greenhouse.UID) error { return change(uid, greenhouse.NodeRegistered) },
		"edit to end": func(uid greenhouse.UID) error { return change(uid, greenhouse.NodeDecommissioned) },
		"decommission": func(uid greenhouse.UID) error {
			return s.Update(func(tx *store.Tx) error { return second(tx.Decommission(uid)) })
		},
		"swap out": func(uid greenhouse.UID) error {
			return s.Update(func(tx *store.Tx) error { return second(tx.Swap(uid, fresh2(tx, uid))) })
		},
		"swap in": func(uid greenhouse.UID) error {
			other := fresh()
			must(t, second(assign(s, other, "swaps", 0)))
			return s.Update(func(tx *store.Tx) error { return second(tx.Swap(other, uid)) })
		},
	}
	got := map[string]bool{}
	for _, from := range greenhouse.NodeStates() {
		for name, do := range deeds {
			uid := into[from]()
			if was := s.Registry().Nodes[uid].State; was != from {
				t.Fatalf("a node brought into %s is %s", from, was)
			}
			err := do(uid)
			to := s.Registry().Nodes[uid].State
			if err != nil && to != from {
				t.Errorf("%s of a node that is %s was refused (%v) and made it %s", name, from, err, to)
			}
			if err != nil && !told(err) {
				t.Errorf("%s of a node that is %s: %v is no error for people", name, from, err)
			}
			if to != from {
				got[fmt.Sprintf("%s → %s", from, to)] = true
			}
		}
	}
	want := map[string]bool{}
	for _, step := range greenhouse.NodeSteps() {
		want[fmt.Sprintf("%s → %s", step.From, step.To)] = true
		if step.By == "" {
			t.Errorf("%s → %s does not say what makes it", step.From, step.To)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("steps (-table +lived):\n%s", diff)
	}
}

// fresh2 registers one more node inside a transaction.
func fresh2(tx *store.Tx, like greenhouse.UID) greenhouse.UID {
	_, typ, hw, _ := greenhouse.ParseUID(string(like))
	r, err := tx.Register(store.JoinRequest{HardwareID: hw + "ff", Type: typ})
	if err != nil {
		return ""
	}
	return r.Node.UID
}

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestZoneSaysHowManyNodesItTakes(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north", "south")
	limit := func(z greenhouse.ZoneID, limits map[greenhouse.NodeType]int) error {
		return s.Update(func(tx *store.Tx) error {
			_, err := tx.EditZone(z, 0, func(z *greenhouse.Zone) error { z.NodeLimits = limits; return nil })
			return err
		})
	}
	var uids []greenhouse.UID
	for i := range 3 {
		uids = append(uids, register(t, s, greenhouse.TypePH, greenhouse.HardwareID(fmt.Sprintf("aaaa%d", i))).Node.UID)
	}
	must(t, second(assign(s, uids[0], "north", 0)))
	if _, err := assign(s, uids[1], "north", 0); code(err) != "rule_node_type_in_zone" {
		t.Errorf("the second one: got %v", err)
	}
	must(t, limit("north", map[greenhouse.NodeType]int{greenhouse.TypePH: 2, greenhouse.TypeClimate: 1}))
	must(t, second(assign(s, uids[1], "north", 0)))
	_, err := assign(s, uids[2], "north", 0)
	if want := fmt.Sprintf("zone north already has 2 nodes of type ph: %s, %s", uids[0], uids[1]); err == nil || err.Error() != want {
		t.Errorf("the third one: got %v, want %q", err, want)
	}
	err = limit("north", nil)
	if want := fmt.Sprintf("zone north has 2 nodes of type ph and would take 1: %s, %s", uids[0], uids[1]); code(err) != "rule_node_type_in_zone" || err.Error() != want {
		t.Errorf("lowered below what there is: got %v, want %q", err, want)
	}
	must(t, limit("north", map[greenhouse.NodeType]int{greenhouse.TypePH: 0}))
	must(t, second(assign(s, uids[2], "north", 0)))
	for limits, want := range map[*map[greenhouse.NodeType]int]string{
		{"toaster": 1}:              "node_type_invalid",
		{greenhouse.TypePH: -1}:     "node_limits_invalid",
		{greenhouse.TypeClimate: 0}: "rule_node_type_in_zone", // ph takes its default again, and there are three
	} {
		if err := limit("north", *limits); code(err) != want {
			t.Errorf("limits %v: got %v, want %s", *limits, err, want)
		}
	}
}
