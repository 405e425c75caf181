package store_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/store"
)

// step is one thing somebody does to the registry.
type step struct {
	verb string
	a, b int // which node, which zone or other node
}

// run does a step and returns its error.
func (st step) run(s *store.Store) error {
	types := []greenhouse.NodeType{greenhouse.TypePH, greenhouse.TypeEC, greenhouse.TypeClimate}
	hw := greenhouse.HardwareID(fmt.Sprintf("ab%04d", st.a))
	typ := types[st.a%len(types)]
	uid := greenhouse.MakeUID(typ, hw)
	other := greenhouse.MakeUID(types[st.b%len(types)], greenhouse.HardwareID(fmt.Sprintf("ab%04d", st.b)))
	zone := greenhouse.ZoneID(fmt.Sprintf("z%d", st.b%3))
	return s.Update(func(tx *store.Tx) error {
		switch st.verb {
		case "join":
			_, err := tx.Join(store.JoinRequest{HardwareID: hw, Type: typ, Channels: named("air_temp", "heater", "solution_ph")[:st.b%4]}, tx.Now())
			return err
		case "register":
			_, err := tx.Register(store.JoinRequest{HardwareID: hw, Type: typ, Zone: zone})
			return err
		case "assign":
			return second(tx.Assign(uid, zone, 0))
		case "unassign":
			return second(tx.Unassign(uid, 0))
		case "swap":
			return second(tx.Swap(uid, other))
		case "undo":
			return second(tx.UndoSwap(uid, other))
		case "sample":
			spec, _ := greenhouse.StandardChannel("heater")
			_, _, err := tx.EnsureChannel(uid, "heater", spec)
			return err
		case "safe":
			return second(tx.EditPoint(greenhouse.ZonePoint(zone, "heater", 1), 0, func(p *greenhouse.Point) error { p.Safe = 1 - p.Safe; return nil }))
		case "channels":
			return second(tx.EditNode(uid, 0, func(n *greenhouse.Node) error { n.Channels = n.Channels[min(1, len(n.Channels)):]; return nil }))
		case "decommission":
			return second(tx.Decommission(uid))
		case "create":
			return second(tx.CreateZone(greenhouse.Zone{ID: zone}))
		case "delete":
			return tx.DeleteZone(zone, 0)
		}
		return errors.New("unknown verb")
	})
}

// steps draws a history of one person.
func steps(rt *rapid.T, name string) []step {
	verbs := []string{"join", "join", "register", "assign", "assign", "assign", "unassign", "swap", "swap", "undo", "sample", "safe", "channels", "decommission", "create", "create", "delete"}
	return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
		return step{rapid.SampledFrom(verbs).Draw(rt, "verb"), rapid.IntRange(0, 8).Draw(rt, "a"), rapid.IntRange(0, 8).Draw(rt, "b")}
	}), 1, 40).Draw(rt, name)
}

func TestConcurrentHistoriesKeepAllRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		opt := store.Options{Path: dir + "/registry.db", NoSync: true, Now: epoch0}
		s, err := store.Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(func(tx *store.Tx) error { return second(tx.OpenPairing(time.Hour, tx.Now())) }); err != nil {
			t.Fatal(err)
		}
		histories := [][]step{steps(rt, "anna"), steps(rt, "ben"), steps(rt, "cleo")}
		var wg sync.WaitGroup
		for _, h := range histories {
			wg.Go(func() {
				for _, st := range h {
					if err := st.run(s); err != nil && !told(err) {
						t.Errorf("%+v: %v is no error for people", st, err)
					}
				}
			})
		}
		wg.Wait()
		checkRules(t, s.Registry())
		memory := dump(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := store.Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = again.Close() }()
		checkRules(t, again.Registry())
		if disk := dump(t, again); disk != memory {
			rt.Fatalf("memory and disk differ:\n%s\n%s", memory, disk)
		}
	})
}

// told reports whether an error tells a person what it is.
func told(err error) bool {
	var e *greenhouse.Error
	var stale *greenhouse.StaleError
	return errors.As(err, &e) && e.Code != "" || errors.As(err, &stale)
}
