package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"greenhouse"
	"greenhouse/store"
)

// childPath, in the environment, makes this test program a child that works on
// a registry until it is killed.
const childPath = "STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		fmt.Fprintln(os.Stderr, child(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child registers and assigns nodes for ever and prints each uid once it is committed.
func child(path string) error {
	s, err := store.Open(store.Options{Path: path})
	if err != nil {
		return err
	}
	for i := len(s.Registry().Nodes); ; i++ {
		hw := greenhouse.HardwareID(fmt.Sprintf("ab%06d", i))
		typ := []greenhouse.NodeType{greenhouse.TypePH, greenhouse.TypeClimate}[i%2]
		zone := greenhouse.ZoneID(fmt.Sprintf("z%d", i%7))
		var uid greenhouse.UID
		err := s.Update(func(tx *store.Tx) error {
			if _, err := tx.Zone(zone); err != nil {
				if _, err := tx.CreateZone(greenhouse.Zone{ID: zone}); err != nil {
					return err
				}
			}
			res, err := tx.Register(store.JoinRequest{HardwareID: hw, Type: typ, Channels: named("air_temp", "heater")})
			uid = res.Node.UID
			return err
		})
		if err != nil {
			return err
		}
		fmt.Println("registered", uid)
		switch _, err := assign(s, uid, zone, 0); {
		case err == nil:
			fmt.Println("assigned", uid)
		case !errors.Is(err, greenhouse.ErrConflict):
			return err
		}
	}
}

// checkRules fails the test if the registry breaks a rule.
func checkRules(t testing.TB, reg *store.Registry) {
	t.Helper()
	type place struct {
		zone greenhouse.ZoneID
		typ  greenhouse.NodeType
	}
	only := map[place]greenhouse.UID{}
	held := map[greenhouse.PointID]greenhouse.UID{}
	for uid, n := range reg.Nodes {
		if uid != greenhouse.MakeUID(n.Type, n.HardwareID) || reg.ByHardware[n.HardwareID] != uid {
			t.Errorf("node %s is not the one of its hardware id", uid)
		}
		if (n.Zone == "") != (n.State == greenhouse.NodeRegistered || n.State == greenhouse.NodeDecommissioned) {
			t.Errorf("node %s is %s in zone %q", uid, n.State, n.Zone)
		}
		if n.Zone != "" && reg.Zones[n.Zone] == nil {
			t.Errorf("node %s is in zone %q, which is not", uid, n.Zone)
		}
		if at := (place{n.Zone, n.Type}); n.Zone != "" && (n.Type == greenhouse.TypePH || n.Type == greenhouse.TypeEC) {
			if other, ok := only[at]; ok {
				t.Errorf("nodes %s and %s of type %s in zone %s", uid, other, n.Type, n.Zone)
			}
			only[at] = uid
		}
		for _, c := range n.Channels {
			if other, ok := held[c.Point]; ok {
				t.Errorf("point %s is held by %s and %s", c.Point, uid, other)
			}
			held[c.Point] = uid
			checkBinding(t, reg, n, c)
		}
	}
	for id, p := range reg.Points {
		if p.Node != "" && held[id] != p.Node {
			t.Errorf("point %s names node %s, which does not hold it", id, p.Node)
		}
		if p.Zone != "" && reg.Zones[p.Zone] == nil {
			t.Errorf("point %s is in zone %q, which is not", id, p.Zone)
		}
	}
}

// checkBinding fails the test if channel and point do not name each other.
func checkBinding(t testing.TB, reg *store.Registry, n *greenhouse.Node, c greenhouse.Channel) {
	t.Helper()
	if c.Point.Zone() != n.Zone {
		t.Errorf("channel %s of %s in zone %q is bound to %s", c.Name, n.UID, n.Zone, c.Point)
	}
	p := reg.Points[c.Point]
	switch {
	case n.State == greenhouse.NodeDecommissioned:
	case p == nil || p.Node != n.UID || p.Channel != c.Name || p.Kind != c.Kind:
		t.Errorf("channel %s of %s is bound to %s: %+v", c.Name, n.UID, c.Point, p)
	case p.Class != c.Class || p.Safe != c.Safe:
		t.Errorf("channel %s of %s and point %s differ in class or safe level", c.Name, n.UID, c.Point)
	}
}

func TestKilledWhileWriting(t *testing.T) {
	opt := options(t)
	kills := 25
	if testing.Short() {
		kills = 3
	}
	rng := rand.New(rand.NewPCG(5, 6))
	registered, assigned := map[greenhouse.UID]bool{}, map[greenhouse.UID]bool{}
	for range kills {
		cmd := exec.Command(os.Args[0], "-test.run=^$")
		cmd.Env = append(os.Environ(), childPath+"="+opt.Path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var complaint strings.Builder
		cmd.Stderr = &complaint
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 5 + rng.IntN(40); n > 0 && lines.Scan(); n-- {
			note(lines.Text(), registered, assigned)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it said before it died counts
			note(lines.Text(), registered, assigned)
		}
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err == nil || complaint.Len() > 0 {
			t.Fatalf("child: %v: %s", err, complaint.String())
		}
		s, err := store.Open(opt)
		if err != nil {
			t.Fatal(err)
		}
		reg := s.Registry()
		for uid := range registered {
			if reg.Nodes[uid] == nil {
				t.Errorf("node %s was committed and is gone", uid)
			}
		}
		for uid := range assigned {
			if n := reg.Nodes[uid]; n == nil || n.Zone == "" {
				t.Errorf("the assignment of %s was committed and is gone", uid)
			}
		}
		checkRules(t, reg)
		if err := errors.Join(s.Check(), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills: %d nodes, %d assignments, none lost", kills, len(registered), len(assigned))
}

// note remembers what a child said it committed; a torn last line says nothing.
func note(line string, registered, assigned map[greenhouse.UID]bool) {
	verb, uid, _ := strings.Cut(line, " ")
	if _, _, _, err := greenhouse.ParseUID(uid); err != nil || len(uid) < len("ph-ab000000") {
		return
	}
	switch verb {
	case "registered":
		registered[greenhouse.UID(uid)] = true
	case "assigned":
		assigned[greenhouse.UID(uid)] = true
	}
}
