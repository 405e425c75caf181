package store_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/store"
)

// assign assigns a node and returns the node and the error.
func assign(s *store.Store, uid greenhouse.UID, zone greenhouse.ZoneID, version uint64) (n greenhouse.Node, err error) {
	err = s.Update(func(tx *store.Tx) (err error) { n, err = tx.Assign(uid, zone, version); return err })
	return n, err
}

// unassign takes a node out of its zone.
func unassign(s *store.Store, uid greenhouse.UID) error {
	return s.Update(func(tx *store.Tx) error { _, err := tx.Unassign(uid, 0); return err })
}

// bindings returns which node holds each point of a zone.
func bindings(s *store.Store, z greenhouse.ZoneID) map[greenhouse.PointID]greenhouse.UID {
	held := map[greenhouse.PointID]greenhouse.UID{}
	for _, p := range s.Registry().ZonePoints(z) {
		held[p.ID] = p.Node
	}
	return held
}

func TestAssignBindsChannelsToPoints(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north", "south")
	a := register(t, s, greenhouse.TypeClimate, "aaaa", "air_temp", "air_rh", "heater").Node.UID
	b := register(t, s, greenhouse.TypeClimate, "bbbb", "air_temp").Node.UID
	if p, ok := s.Registry().Route(a, "air_temp"); !ok || p != "@climate-aaaa/air_temp" {
		t.Errorf("route in no zone: got %v, %v", p, ok)
	}
	if p := s.Registry().Points["@climate-aaaa/air_temp"]; p == nil || p.Unit != "°C" || p.Min == nil || *p.Min != -30 {
		t.Errorf("point of a node in no zone: got %+v", p)
	}
	before := register(t, s, greenhouse.TypeClimate, "aaaa").Node
	n, err := assign(s, a, "north", before.Version)
	if err != nil || n.State != greenhouse.NodeAssigned || n.Zone != "north" || n.Version != before.Version+1 {
		t.Fatalf("assign: got %+v, %v", n, err)
	}
	if n.Config.DesiredRev != before.Config.DesiredRev {
		t.Errorf("revision after assigning: got %d, want %d, for the node is told nothing of zones", n.Config.DesiredRev, before.Config.DesiredRev)
	}
	if _, err := assign(s, b, "north", 0); err != nil {
		t.Fatal(err)
	}
	want := map[greenhouse.PointID]greenhouse.UID{"north/air_temp": a, "north/air_rh": a, "north/heater": a, "north/air_temp.2": b}
	if diff := cmp.Diff(want, bindings(s, "north")); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	if p, _ := s.Registry().Route(b, "air_temp"); p != "north/air_temp.2" {
		t.Errorf("route of the second: got %v", p)
	}
	if s.Registry().Points["@climate-aaaa/air_temp"] != nil {
		t.Error("the point @uid/channel is still there after assigning")
	}
	if err := unassign(s, a); err != nil {
		t.Fatal(err)
	}
	if err := unassign(s, a); err != nil {
		t.Errorf("unassign again: got %v", err)
	}
	c := register(t, s, greenhouse.TypeClimate, "cccc", "air_temp").Node.UID
	if _, err := assign(s, c, "north", 0); err != nil {
		t.Fatal(err)
	}
	want = map[greenhouse.PointID]greenhouse.UID{"north/air_temp": c, "north/air_rh": "", "north/heater": "", "north/air_temp.2": b}
	if diff := cmp.Diff(want, bindings(s, "north")); diff != "" {
		t.Errorf("bindings after replacing (-want +got):\n%s", diff)
	}
	if _, err := assign(s, c, "south", 0); err != nil {
		t.Errorf("move to another zone: got %v", err)
	}
	if p, _ := s.Registry().Route(c, "air_temp"); p != "south/air_temp" {
		t.Errorf("route after moving: got %v", p)
	}
}

func TestRuleOneDosingNodeOfATypeInAZone(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	for _, typ := range []greenhouse.NodeType{greenhouse.TypePH, greenhouse.TypeEC, greenhouse.TypeClimate} {
		first := register(t, s, typ, "aaaa"+greenhouse.HardwareID(typ)).Node.UID
		second := register(t, s, typ, "bbbb"+greenhouse.HardwareID(typ)).Node.UID
		if _, err := assign(s, first, "north", 0); err != nil {
			t.Fatal(err)
		}
		_, err := assign(s, second, "north", 0)
		if typ == greenhouse.TypeClimate {
			if err != nil {
				t.Errorf("second climate node: got %v", err)
			}
			continue
		}
		if code(err) != "rule_node_type_in_zone" || !errors.Is(err, greenhouse.ErrConflict) {
			t.Errorf("second %s node: got %v, want rule_node_type_in_zone", typ, err)
		}
		if want := fmt.Sprintf("zone north already has a node of type %s: %s", typ, first); err == nil || err.Error() != want {
			t.Errorf("the other party: got %q, want %q", err, want)
		}
		if _, err := assign(s, first, "north", 0); err != nil {
			t.Errorf("assigning where it is: got %v", err)
		}
	}
}

func TestTwoPHNodesAtOnce(t *testing.T) {
	s := open(t, options(t))
	for i := range 50 {
		zone := greenhouse.ZoneID(fmt.Sprintf("z%d", i))
		zones(t, s, zone)
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for k := range errs {
			uid := register(t, s, greenhouse.TypePH, greenhouse.HardwareID(fmt.Sprintf("ab%04d%d", i, k)), "solution_ph").Node.UID
			wg.Go(func() { _, errs[k] = assign(s, uid, zone, 0) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("zone %s: got %v and %v, want exactly one to succeed", zone, errs[0], errs[1])
		}
		if err := errors.Join(errs...); code(err) != "rule_node_type_in_zone" {
			t.Fatalf("zone %s: got %v, want rule_node_type_in_zone", zone, err)
		}
	}
}

func TestManyJoinsOfOneDevice(t *testing.T) {
	s := open(t, options(t))
	pair(t, s)
	const hellos = 200
	results, errs := make([]store.JoinResult, hellos), make([]error, hellos)
	var wg sync.WaitGroup
	for i := range hellos {
		wg.Go(func() {
			errs[i] = s.Update(func(tx *store.Tx) (err error) {
				results[i], err = tx.Join(store.JoinRequest{HardwareID: "a4cf12b3de01", Type: greenhouse.TypePH, Channels: named("solution_ph")}, tx.Now())
				return err
			})
		})
	}
	wg.Wait()
	created := 0
	for i := range results {
		if errs[i] != nil {
			t.Fatal(errs[i])
		}
		if diff := cmp.Diff(results[0].Node, results[i].Node); diff != "" {
			t.Fatalf("answer %d differs:\n%s", i, diff)
		}
		if results[i].Created {
			created++
		}
		if _, err := s.Authenticate(string(results[i].Node.UID), results[i].Secret); err != nil {
			t.Errorf("the secret of answer %d does not work: %v", i, err)
		}
	}
	if created != 1 || len(s.Registry().Nodes) != 1 {
		t.Errorf("got %d nodes created, %d there, want 1", created, len(s.Registry().Nodes))
	}
}

func TestOneOfManyStaleEditsWins(t *testing.T) {
	s := open(t, options(t))
	n := register(t, s, greenhouse.TypePH, "a4cf12b3de01").Node
	const people = 50
	errs := make([]error, people)
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			errs[i] = s.Update(func(tx *store.Tx) error {
				_, err := tx.EditNode(n.UID, n.Version, func(n *greenhouse.Node) error { n.Name = fmt.Sprint("name ", i); return nil })
				return err
			})
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		var stale *greenhouse.StaleError
		switch {
		case err == nil && won >= 0:
			t.Fatalf("edits %d and %d both won", won, i)
		case err == nil:
			won = i
		case !errors.As(err, &stale) || stale.Had != n.Version || stale.Have != n.Version+1:
			t.Fatalf("edit %d: got %v, want a stale error", i, err)
		}
	}
	if got, want := s.Registry().Nodes[n.UID].Name, fmt.Sprint("name ", won); got != want {
		t.Errorf("name: got %q, want %q, the winner's", got, want)
	}
}

func TestEditNode(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	uid := register(t, s, greenhouse.TypeClimate, "aaaa", "air_temp", "heater").Node.UID
	edit := func(fn func(*greenhouse.Node)) (n greenhouse.Node, err error) {
		err = s.Update(func(tx *store.Tx) (err error) {
			n, err = tx.EditNode(uid, 0, func(n *greenhouse.Node) error { fn(n); return nil })
			return err
		})
		return n, err
	}
	if _, err := assign(s, uid, "north", 0); err != nil {
		t.Fatal(err)
	}
	n, err := edit(func(n *greenhouse.Node) {})
	if err != nil || n.Version != 2 {
		t.Errorf("edit of nothing: got version %d, %v, want 2", n.Version, err)
	}
	n, err = edit(func(n *greenhouse.Node) { n.Name = "by the door" })
	if err != nil || n.Version != 3 || n.Config.DesiredRev != 1 {
		t.Errorf("edit of the name: got version %d, revision %d, %v, want 3 and 1", n.Version, n.Config.DesiredRev, err)
	}
	n, err = edit(func(n *greenhouse.Node) {
		n.IntervalS = 30
		c, _ := n.Channel("heater")
		c.Safe, c.MaxOnS = 1, 600
		n.Channels = append(n.Channels, greenhouse.Channel{Name: "co2"})
	})
	if err != nil || n.Config.DesiredRev != 2 || n.Config.Status != greenhouse.ConfigPending {
		t.Errorf("edit of the configuration: got %+v, %v, want revision 2, pending", n.Config, err)
	}
	if p := s.Registry().Points["north/heater"]; p.Safe != 1 {
		t.Errorf("safe level of the point: got %v, want 1", p.Safe)
	}
	if got, _ := s.Registry().Route(uid, "co2"); got != "north/co2" {
		t.Errorf("route of a new channel: got %q", got)
	}
	n, err = edit(func(n *greenhouse.Node) { n.Channels = n.Channels[1:] })
	if err != nil || s.Registry().Points["north/air_temp"].Node != "" {
		t.Errorf("point of a channel that is gone: got %+v, %v, want no node", s.Registry().Points["north/air_temp"], err)
	}
	for name, fn := range map[string]func(*greenhouse.Node){
		"node_identity_fixed": func(n *greenhouse.Node) { n.Type = greenhouse.TypePH },
		"node_zone_fixed":     func(n *greenhouse.Node) { n.Zone = "" },
		"node_state_fixed":    func(n *greenhouse.Node) { n.State = greenhouse.NodeDecommissioned },
		"name_invalid":        func(n *greenhouse.Node) { n.Name = "bell\a" },
		"labels_invalid":      func(n *greenhouse.Node) { n.Labels = map[string]string{"Ä": "x"} },
		"channel_twice":       func(n *greenhouse.Node) { n.Channels = append(n.Channels, n.Channels[0]) },
		"channel_invalid":     func(n *greenhouse.Node) { n.Channels = append(n.Channels, greenhouse.Channel{Name: "Bad"}) },
		"cal_invalid": func(n *greenhouse.Node) {
			n.Channels = append(n.Channels, greenhouse.Channel{Name: "soil_temp", Cal: &greenhouse.Linear{}})
		},
		"class_invalid": func(n *greenhouse.Node) { n.Channels[0].Class = "rocket" },
		"safe_invalid":  func(n *greenhouse.Node) { n.Channels[0].Safe = 2 },
	} {
		if _, err := edit(fn); code(err) != name || !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("edit: got %v (%s), want %s", err, code(err), name)
		}
	}
	if got, want := s.Registry().Nodes[uid].Version, n.Version; got != want {
		t.Errorf("version after refused edits: got %d, want %d", got, want)
	}
}

func TestHelloWithAnotherType(t *testing.T) {
	s := open(t, options(t))
	pair(t, s)
	register(t, s, greenhouse.TypePH, "a4cf12b3de01")
	err := s.Update(func(tx *store.Tx) error {
		_, err := tx.Join(store.JoinRequest{HardwareID: "a4cf12b3de01", Type: greenhouse.TypeEC}, tx.Now())
		return err
	})
	if code(err) != "rule_node_type_fixed" || !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("hello with another type: got %v, want rule_node_type_fixed", err)
	}
}

func TestRegisterIntoAZoneIsAllOrNothing(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	reg := func(hw greenhouse.HardwareID, z greenhouse.ZoneID) (res store.JoinResult, err error) {
		err = s.Update(func(tx *store.Tx) (err error) {
			res, err = tx.Register(store.JoinRequest{HardwareID: hw, Type: greenhouse.TypePH, Name: "pH", Zone: z})
			return err
		})
		return res, err
	}
	res, err := reg("aaaa", "north")
	if err != nil || res.Secret == "" || res.Node.Zone != "north" || !res.Created {
		t.Fatalf("register: got %+v, %v", res, err)
	}
	again, err := reg("aaaa", "north")
	if err != nil || again.Secret != "" || again.Created {
		t.Errorf("register again: got %+v, %v", again, err)
	}
	if diff := cmp.Diff(res.Node, again.Node); diff != "" {
		t.Errorf("register again changed the node:\n%s", diff)
	}
	if _, err := reg("bbbb", "nowhere"); code(err) != "zone_not_found" {
		t.Errorf("register into no zone: got %v", err)
	}
	if _, err := reg("bbbb", "north"); code(err) != "rule_node_type_in_zone" {
		t.Errorf("register a second ph: got %v", err)
	}
	if got := len(s.Registry().Nodes); got != 1 {
		t.Errorf("nodes: got %d, want 1", got)
	}
}

func TestDecommissionIsFinal(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	res := register(t, s, greenhouse.TypePH, "aaaa", "solution_ph")
	if _, err := assign(s, res.Node.UID, "north", 0); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error { _, err := tx.Decommission(res.Node.UID); return err })
	if _, err := s.Authenticate(string(res.Node.UID), res.Secret); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("login of a decommissioned node: got %v, want ErrForbidden", err)
	}
	if _, err := assign(s, res.Node.UID, "north", 0); code(err) != "rule_node_decommissioned" {
		t.Errorf("assign: got %v", err)
	}
	if err := s.Update(func(tx *store.Tx) error { _, err := tx.RotateKey(res.Node.UID); return err }); code(err) != "rule_node_decommissioned" {
		t.Errorf("rotate key: got %v", err)
	}
	if err := s.Update(func(tx *store.Tx) error {
		_, err := tx.Register(store.JoinRequest{HardwareID: "aaaa", Type: greenhouse.TypePH})
		return err
	}); code(err) != "rule_node_decommissioned" {
		t.Errorf("register: got %v", err)
	}
	if p := s.Registry().Points["north/solution_ph"]; p == nil || p.Node != "" {
		t.Errorf("its point: got %+v, want it without a node", p)
	}
	next := register(t, s, greenhouse.TypePH, "bbbb", "solution_ph").Node.UID
	if _, err := assign(s, next, "north", 0); err != nil {
		t.Errorf("another in its place: got %v", err)
	}
	if p, _ := s.Registry().Route(next, "solution_ph"); p != "north/solution_ph" {
		t.Errorf("its history goes on at %q", p)
	}
}

func TestSwapAndUndo(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	old := register(t, s, greenhouse.TypePH, "aaaa", "solution_ph", "pump_acid", "flow").Node.UID
	other := register(t, s, greenhouse.TypeMulti, "cccc", "solution_ph").Node.UID
	for _, uid := range []greenhouse.UID{other, old} {
		if _, err := assign(s, uid, "north", 0); err != nil {
			t.Fatal(err)
		}
	}
	before := bindings(s, "north")
	next := register(t, s, greenhouse.TypePH, "bbbb", "pump_acid", "solution_ph").Node.UID
	var swap store.Swap
	update(t, s, func(tx *store.Tx) (err error) { swap, err = tx.Swap(old, next); return err })
	want := map[greenhouse.PointID]greenhouse.UID{"north/solution_ph": other, "north/solution_ph.2": next, "north/pump_acid": next, "north/flow": ""}
	if diff := cmp.Diff(want, bindings(s, "north")); diff != "" {
		t.Errorf("bindings after the swap (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]greenhouse.PointID{"north/flow"}, swap.Missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if _, ok := s.Registry().Uncalibrated["north/solution_ph.2"]; !ok || len(s.Registry().Uncalibrated) != 1 {
		t.Errorf("calibration required: got %v", s.Registry().Uncalibrated)
	}
	update(t, s, func(tx *store.Tx) error {
		spec, _ := greenhouse.StandardChannel("flow")
		p, made, err := tx.EnsureChannel(next, "flow", spec)
		if p != "north/flow" || !made {
			t.Errorf("first sample of a missing channel: got %q, %v", p, made)
		}
		return err
	})
	update(t, s, func(tx *store.Tx) error { _, err := tx.UndoSwap(old, next); return err })
	if diff := cmp.Diff(before, bindings(s, "north")); diff != "" {
		t.Errorf("bindings after the undo (-want +got):\n%s", diff)
	}
	if got := s.Registry().Uncalibrated; len(got) != 0 {
		t.Errorf("calibration required after the undo: got %v", got)
	}
	if err := s.Update(func(tx *store.Tx) error { _, err := tx.UndoSwap(old, next); return err }); code(err) != "swap_not_found" {
		t.Errorf("undo again: got %v", err)
	}
	if err := s.Update(func(tx *store.Tx) error { _, err := tx.Swap(next, old); return err }); code(err) != "rule_swap_zone" {
		t.Errorf("swap of a node in no zone: got %v", err)
	}
}

func TestZoneRules(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north", "south")
	edit := func(fn func(*greenhouse.Zone)) error {
		return s.Update(func(tx *store.Tx) error {
			_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) error { fn(z); return nil })
			return err
		})
	}
	target := func(q greenhouse.Quantity, day, night float64) func(*greenhouse.Zone) {
		return func(z *greenhouse.Zone) { z.Targets[q] = greenhouse.Target{Day: day, Night: night} }
	}
	if err := edit(target(greenhouse.Heating, 20, 16)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want string
		fn   func(*greenhouse.Zone)
	}{
		{"", target(greenhouse.Venting, 21, 17)},
		{"targets_inverted", target(greenhouse.Venting, 20.9, 25)},
		{"targets_inverted", target(greenhouse.Venting, 25, 16)},
		{"targets_inverted", target(greenhouse.Heating, 24.5, 16)},
		{"quantity_invalid", target("warmth", 1, 1)},
		{"ph_invalid", target(greenhouse.TargetPH, 9, 5)},
		{"zone_id_fixed", func(z *greenhouse.Zone) { z.ID = "west" }},
		{"mode_invalid", func(z *greenhouse.Zone) { z.Mode = "turbo" }},
		{"day_edge_invalid", func(z *greenhouse.Zone) { z.DayFrom = "24:00" }},
		{"day_edge_invalid", func(z *greenhouse.Zone) { z.DayUntil = "sunset+25:00" }},
		{"", func(z *greenhouse.Zone) { z.DayFrom, z.DayUntil = "sunrise-0:30", "19:30" }},
		{"area_m2_invalid", func(z *greenhouse.Zone) { z.AreaM2 = -1 }},
		{"dead_zone_k_invalid", func(z *greenhouse.Zone) { z.Control.DeadZone = 0.5 }},
		{"dead_band_narrow", func(z *greenhouse.Zone) { z.Control.HeatOn, z.Control.HeatOff = 0.05, 0.1 }},
		{"heat_ti_s_invalid", func(z *greenhouse.Zone) { z.Control.HeatTiS = 4 * 3600 }},
		{"heat_kp_per_k_invalid", func(z *greenhouse.Zone) { z.Control.HeatKp = -0.1 }},
		{"limits_inverted", func(z *greenhouse.Zone) { z.Control.FrostLimit, z.Control.HeatLimit = 15, 20 }},
		{"limits_inverted", func(z *greenhouse.Zone) { z.Control.HeatLimit = 13 }}, // against the usual frost limit
		{"zone_not_found", func(z *greenhouse.Zone) { z.Control.WeatherZone = "moon" }},
		{"", func(z *greenhouse.Zone) { z.Control.WeatherZone = "south" }},
		{"zone_not_found", func(z *greenhouse.Zone) { z.Control.BackupZone = "moon" }},
	} {
		if err := edit(c.fn); code(err) != c.want || c.want == "" && err != nil {
			t.Errorf("edit: got %v (%s), want %q", err, code(err), c.want)
		}
	}
	remove := func(z greenhouse.ZoneID) error {
		return s.Update(func(tx *store.Tx) error { return tx.DeleteZone(z, 0) })
	}
	if err := remove("south"); code(err) != "rule_weather_zone" {
		t.Errorf("delete a zone others look to: got %v", err)
	}
	uid := register(t, s, greenhouse.TypeClimate, "aaaa", "heater").Node.UID
	if _, err := assign(s, uid, "north", 0); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.SetOverride(greenhouse.Override{Point: "north/heater", Value: 1, By: "anna"})
		return errors.Join(err, second(tx.Stop("north")))
	})
	if err := remove("north"); code(err) != "zone_has_points" {
		t.Errorf("delete a zone with a node: got %v", err)
	}
	if err := unassign(s, uid); err != nil {
		t.Fatal(err)
	}
	if err := remove("north"); err != nil {
		t.Fatal(err)
	}
	reg := s.Registry()
	if len(reg.ZonePoints("north")) != 0 || len(reg.Overrides) != 0 || len(reg.Stopped) != 0 || reg.Zones["north"] != nil {
		t.Errorf("something is left of a deleted zone")
	}
	if err := s.Update(func(tx *store.Tx) error { _, err := tx.CreateZone(greenhouse.Zone{ID: "south"}); return err }); code(err) != "zone_exists" {
		t.Errorf("create a zone twice: got %v", err)
	}
}

// second returns the error of two results.
func second[T any](_ T, err error) error { return err }

func TestOverrides(t *testing.T) {
	opt := options(t)
	now := epoch0()
	opt.Now = func() time.Time { return now }
	s := open(t, opt)
	zones(t, s, "north")
	uid := register(t, s, greenhouse.TypeMulti, "aaaa", "heater", "pump_acid", "air_temp").Node.UID
	if _, err := assign(s, uid, "north", 0); err != nil {
		t.Fatal(err)
	}
	set := func(o greenhouse.Override) (got greenhouse.Override, err error) {
		err = s.Update(func(tx *store.Tx) (err error) { got, err = tx.SetOverride(o); return err })
		return got, err
	}
	o, err := set(greenhouse.Override{Point: "north/heater", Value: 1, By: "anna", Reason: " test "})
	want := greenhouse.Override{Point: "north/heater", Value: 1, By: "anna", Reason: "test", CreatedAt: greenhouse.MillisOf(now), ExpiresAt: greenhouse.MillisOf(now.Add(2 * time.Hour))}
	if diff := cmp.Diff(want, o); err != nil || diff != "" {
		t.Errorf("override (-want +got), %v:\n%s", err, diff)
	}
	if o, err := set(greenhouse.Override{Point: "north/heater", ExpiresAt: greenhouse.MillisOf(now.Add(100 * time.Hour))}); err != nil || o.ExpiresAt != greenhouse.MillisOf(now.Add(24*time.Hour)) {
		t.Errorf("longest override: got %+v, %v", o, err)
	}
	for want, o := range map[string]greenhouse.Override{
		"point_not_found":   {Point: "north/lamp"},
		"override_sensor":   {Point: "north/air_temp"},
		"override_one_shot": {Point: "north/pump_acid", Value: 1},
		"value_invalid":     {Point: "north/heater", Value: 1.5},
		"override_expired":  {Point: "north/heater", ExpiresAt: 1},
	} {
		if _, err := set(o); code(err) != want {
			t.Errorf("override: got %v, want %s", err, want)
		}
	}
	now = now.Add(24 * time.Hour)
	update(t, s, func(tx *store.Tx) error {
		over, err := tx.ExpireOverrides(greenhouse.MillisOf(now))
		if len(over) != 1 || over[0].Point != "north/heater" {
			t.Errorf("expired: got %v", over)
		}
		return err
	})
	if got := len(s.Registry().Overrides); got != 0 {
		t.Errorf("overrides left: got %d", got)
	}
}

func TestConfigFollowsWhatItDerivesFrom(t *testing.T) {
	s := open(t, options(t))
	uid := register(t, s, greenhouse.TypeClimate, "aaaa", "air_temp").Node.UID
	report := func(rev uint64, hash string, status greenhouse.ConfigStatus, text string) greenhouse.ConfigState {
		t.Helper()
		var n greenhouse.Node
		update(t, s, func(tx *store.Tx) (err error) { n, err = tx.ReportConfig(uid, rev, hash, status, text); return err })
		if diff := cmp.Diff(n.Config, s.Registry().Nodes[uid].Config); diff != "" {
			t.Errorf("answer and registry differ:\n%s", diff)
		}
		return n.Config
	}
	want := s.Registry().Nodes[uid].Config
	if want.DesiredRev != 1 || want.DesiredHash == "" {
		t.Fatalf("new node: got %+v", want)
	}
	if got := report(1, want.DesiredHash, greenhouse.ConfigApplied, ""); got.Status != greenhouse.ConfigApplied {
		t.Errorf("applied: got %+v", got)
	}
	if got := report(1, "other", greenhouse.ConfigApplied, ""); got.Status != greenhouse.ConfigDrift {
		t.Errorf("another hash: got %+v, want drift", got)
	}
	if got := report(1, want.DesiredHash, greenhouse.ConfigRejected, "no such pin\x07"); got.Status != greenhouse.ConfigRejected || got.Error != "no such pin" {
		t.Errorf("rejected: got %+v", got)
	}
	if got := report(0, "", greenhouse.ConfigApplied, ""); got.Status != greenhouse.ConfigPending {
		t.Errorf("an older one: got %+v, want pending", got)
	}
	if got := report(7, "x", greenhouse.ConfigApplied, ""); got.DesiredRev != 8 || got.Status != greenhouse.ConfigPending {
		t.Errorf("a later one: got %+v, want revision 8 desired", got)
	}
	if got := report(1<<60, "x", greenhouse.ConfigApplied, ""); got.DesiredRev != 8 || got.Status != greenhouse.ConfigDrift {
		t.Errorf("an impossible one: got %+v, want drift", got)
	}
	version := s.Registry().Nodes[uid].Version
	if version != 1 {
		t.Errorf("version after reports: got %d, want 1: they are no edits", version)
	}
}
