package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/store"
)

// calibrate calibrates a channel of a node.
func calibrate(s *store.Store, uid greenhouse.UID, ch greenhouse.ChannelName, req store.CalRequest, version uint64) (r store.CalRecord, err error) {
	err = s.Update(func(tx *store.Tx) (err error) {
		tx.As("anna")
		r, _, err = tx.Calibrate(uid, ch, req, version)
		return err
	})
	return r, err
}

func buffers() []greenhouse.CalPoint {
	return []greenhouse.CalPoint{{Raw: 7.1, Ref: 7}, {Raw: 4.2, Ref: 4.01}}
}

func TestCalibrationIsRecordedConfiguredAndDue(t *testing.T) {
	now := time.UnixMilli(1_764_000_000_000)
	opt := options(t)
	opt.Now = func() time.Time { return now }
	s := open(t, opt)
	zones(t, s, "north")
	n := register(t, s, greenhouse.TypePH, "aaaa", "solution_ph", "solution_ec", "solution_temp", "pump_acid").Node
	if _, err := assign(s, n.UID, "north", 0); err != nil {
		t.Fatal(err)
	}
	before := s.Registry().Nodes[n.UID]
	if _, err := calibrate(s, n.UID, "solution_ph", store.CalRequest{Points: buffers()}, before.Version-1); !errors.As(err, new(*greenhouse.StaleError)) {
		t.Errorf("of an older version: got %v, want a stale edit", err)
	}
	r, err := calibrate(s, n.UID, "solution_ph", store.CalRequest{Points: buffers(), Note: "batch 7"}, before.Version)
	if err != nil {
		t.Fatal(err)
	}
	at := greenhouse.MillisOf(now)
	want := greenhouse.CalMark{Version: 1, At: at, By: "anna", Method: greenhouse.CalTwoPoint, DueAt: at.Add(30 * 24 * time.Hour)}
	if diff := cmp.Diff(want, r.CalMark); diff != "" || r.Point != "north/solution_ph" || r.Note != "batch 7" {
		t.Errorf("record %+v (-want +got):\n%s", r, diff)
	}
	after := s.Registry().Nodes[n.UID]
	c, _ := after.Channel("solution_ph")
	if after.Config.DesiredRev != before.Config.DesiredRev+1 || c.Cal == nil || *c.Cal != r.Linear || c.Calibrated == nil {
		t.Errorf("after it: revision %d, channel %+v", after.Config.DesiredRev, c)
	}
	point := s.Registry().Points["north/solution_ph"]
	if st := s.Registry().CalState(point); st.Due(at) || !st.Due(at.Add(30*24*time.Hour)) || st.Required != 0 {
		t.Errorf("state %+v, want it due after 30 days", st)
	}
	// What the daemon applies is not in the configuration of the node.
	edge, half := true, 0
	if _, err := calibrate(s, n.UID, "solution_ec", store.CalRequest{Linear: &greenhouse.Linear{Gain: 1.1}, Edge: &edge, EveryDays: &half,
		Comp: &greenhouse.Compensation{PerK: 0.02, RefC: 25, Channel: "solution_temp"}}, 0); err != nil {
		t.Fatal(err)
	}
	ec, _ := s.Registry().Nodes[n.UID].Channel("solution_ec")
	if !ec.CalEdge || ec.Comp == nil || ec.Calibrated.DueAt != 0 {
		t.Errorf("channel %+v", ec)
	}
	for name, bad := range map[string]store.CalRequest{
		"cal_points_missing":   {},
		"cal_twice":            {Points: buffers(), Linear: &greenhouse.Linear{Gain: 1}},
		"cal_slope":            {Points: []greenhouse.CalPoint{{Raw: 7, Ref: 7}, {Raw: 6, Ref: 4}}},
		"comp_channel_invalid": {Comp: &greenhouse.Compensation{PerK: 0.02, RefC: 25, Channel: "air_temp"}},
		"comp.per_k_invalid":   {Comp: &greenhouse.Compensation{PerK: 2, RefC: 25, Channel: "solution_temp"}},
		"cal_invalid":          {Linear: &greenhouse.Linear{}},
	} {
		if _, err := calibrate(s, n.UID, "solution_ph", bad, 0); code(err) != name {
			t.Errorf("%+v: got %v (%s), want %s", bad, err, code(err), name)
		}
	}
	if _, err := calibrate(s, n.UID, "pump_acid", store.CalRequest{Points: buffers()}, 0); code(err) != "cal_actuator" {
		t.Errorf("a pump: got %v", err)
	}
	// Gain and offset written into the channel are a calibration too, and 20 are kept.
	for i := range 30 {
		edit(t, s, n.UID, func(n *greenhouse.Node) { n.Channels[0].Cal = &greenhouse.Linear{Gain: 1, Offset: float64(i) / 100} })
	}
	var kept []store.CalRecord
	if err := s.View(func(tx *store.Tx) (err error) { kept, err = tx.Calibrations(n.UID, "solution_ph"); return err }); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 20 || kept[0].Version != 31 || kept[0].Linear.Offset != 0.29 || kept[0].CalMark.Method != greenhouse.CalDirect || kept[19].Version != 12 {
		t.Errorf("kept %d, newest %+v", len(kept), kept[0])
	}
}

func TestSwapAsksForACalibration(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	old := register(t, s, greenhouse.TypePH, "aaaa", "solution_ph", "solution_temp", "solution_ec").Node.UID
	if _, err := assign(s, old, "north", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := calibrate(s, old, "solution_ph", store.CalRequest{Points: buffers()}, 0); err != nil {
		t.Fatal(err)
	}
	never := greenhouse.CalPolicy{}
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditPoint("north/solution_ec", 0, func(p *greenhouse.Point) error { p.Calibration = &never; return nil })
		return err
	})
	next := register(t, s, greenhouse.TypePH, "bbbb", "solution_ph", "solution_temp", "solution_ec").Node.UID
	var swap store.Swap
	update(t, s, func(tx *store.Tx) (err error) { swap, err = tx.Swap(old, next); return err })
	outcomes := map[greenhouse.ChannelName]string{}
	for _, m := range swap.Moves {
		outcomes[m.Channel] = m.Outcome
	}
	want := map[greenhouse.ChannelName]string{"solution_ph": store.SwapCalibrate, "solution_temp": store.SwapMoves, "solution_ec": store.SwapMoves}
	if diff := cmp.Diff(want, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if c, _ := s.Registry().Nodes[next].Channel("solution_ph"); c.Cal != nil || c.Calibrated != nil {
		t.Errorf("the new probe has the calibration of the old one: %+v", c)
	}
	if _, err := calibrate(s, next, "solution_ph", store.CalRequest{Points: buffers()}, 0); err != nil {
		t.Fatal(err)
	}
	if got := s.Registry().Uncalibrated; len(got) != 0 {
		t.Errorf("after the calibration wait: %v", got)
	}
	// A probe that was calibrated on the bench is good at once.
	third := register(t, s, greenhouse.TypePH, "cccc", "solution_ph").Node.UID
	if _, err := calibrate(s, third, "solution_ph", store.CalRequest{Points: buffers()}, 0); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) (err error) { swap, err = tx.Swap(next, third); return err })
	if got := s.Registry().Uncalibrated; len(got) != 0 || swap.Moves[0].Outcome != store.SwapMoves {
		t.Errorf("a probe from the bench: wait %v, %+v", got, swap.Moves)
	}
}

func TestSwapKeepsUnitsApartAndFencesTheOld(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	odd := func(u greenhouse.Unit) greenhouse.Channel {
		return greenhouse.Channel{Name: "par_top", Kind: greenhouse.Sensor, Unit: u}
	}
	join := func(hw greenhouse.HardwareID, channels ...greenhouse.Channel) (uid greenhouse.UID) {
		update(t, s, func(tx *store.Tx) error {
			r, err := tx.Register(store.JoinRequest{HardwareID: hw, Type: greenhouse.TypeMulti, Channels: channels})
			uid = r.Node.UID
			return err
		})
		return uid
	}
	old := join("aaaa", odd("lx"), greenhouse.Channel{Name: "lid", Kind: greenhouse.Sensor}, greenhouse.Channel{Name: "gone", Kind: greenhouse.Sensor})
	if _, err := assign(s, old, "north", 0); err != nil {
		t.Fatal(err)
	}
	next := join("bbbb", odd("µmol/m²/s"), greenhouse.Channel{Name: "lid", Kind: greenhouse.Actuator, Class: greenhouse.ClassFan}, greenhouse.Channel{Name: "more", Kind: greenhouse.Sensor})
	var swap store.Swap
	update(t, s, func(tx *store.Tx) (err error) { swap, err = tx.Swap(old, next); return err })
	want := map[greenhouse.PointID]greenhouse.UID{"north/par_top": "", "north/lid": "", "north/gone": "", "north/par_top.2": next, "north/lid.2": next, "north/more": next}
	if diff := cmp.Diff(want, bindings(s, "north")); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
	outcomes := map[greenhouse.ChannelName]string{}
	for _, m := range swap.Moves {
		outcomes[m.Channel] = m.Outcome
	}
	if diff := cmp.Diff(map[greenhouse.ChannelName]string{"par_top": store.SwapUnit, "lid": store.SwapKind, "gone": store.SwapMissing, "more": store.SwapNew}, outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if n := s.Registry().Nodes[old]; n.ReplacedBy != next || n.Version != 3 {
		t.Errorf("the old one: %+v, want it fenced in one version", n)
	}
	update(t, s, func(tx *store.Tx) error { _, err := tx.UndoSwap(old, next); return err })
	if n := s.Registry().Nodes[old]; n.ReplacedBy != "" || n.Zone != "north" {
		t.Errorf("after the undo: %+v", n)
	}
	update(t, s, func(tx *store.Tx) (err error) { swap, err = tx.Swap(old, next); return err })
	if n, err := assign(s, old, "north", 0); err != nil || n.ReplacedBy != "" {
		t.Errorf("assigned anew: %+v, %v, want it in service", n, err)
	}
	if err := s.Update(func(tx *store.Tx) error { _, err := tx.UndoSwap(old, next); return err }); code(err) != "rule_swap_moved" {
		t.Errorf("undo after the world has changed: got %v", err)
	}
}

func TestRebind(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north", "south")
	n := register(t, s, greenhouse.TypeClimate, "aaaa", "air_temp", "leaf_temp", "heater").Node.UID
	m := register(t, s, greenhouse.TypeClimate, "bbbb", "air_temp").Node.UID
	far := register(t, s, greenhouse.TypeClimate, "cccc", "air_temp").Node.UID
	for uid, z := range map[greenhouse.UID]greenhouse.ZoneID{n: "north", far: "south"} {
		if _, err := assign(s, uid, z, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := assign(s, m, "north", 0); err != nil {
		t.Fatal(err)
	}
	bind := func(p greenhouse.PointID, uid greenhouse.UID, ch greenhouse.ChannelName, exchange bool, version uint64) error {
		return s.Update(func(tx *store.Tx) error { _, err := tx.Rebind(p, uid, ch, exchange, version); return err })
	}
	v := s.Registry().Points["north/air_temp"].Version
	for _, tt := range []struct {
		p        greenhouse.PointID
		uid      greenhouse.UID
		ch       greenhouse.ChannelName
		exchange bool
		version  uint64
		code     string
	}{
		{"north/nothing", n, "air_temp", false, 0, "point_not_found"},
		{"north/air_temp", n, "nothing", false, 0, "channel_not_found"},
		{"north/air_temp", far, "air_temp", false, 0, "rule_one_zone"},
		{"north/air_temp", n, "heater", true, 0, "rule_point_kind"},
		{"north/air_temp", m, "air_temp", false, 0, "rule_point_held"},
		{"north/air_temp", m, "air_temp", true, v + 1, ""},
	} {
		err := bind(tt.p, tt.uid, tt.ch, tt.exchange, tt.version)
		if tt.code == "" {
			if !errors.As(err, new(*greenhouse.StaleError)) {
				t.Errorf("of another version: got %v", err)
			}
		} else if code(err) != tt.code {
			t.Errorf("%+v: got %v, want %s", tt, err, tt.code)
		}
	}
	held := func(want map[greenhouse.PointID]greenhouse.UID) {
		t.Helper()
		if diff := cmp.Diff(want, bindings(s, "north")); diff != "" {
			t.Errorf("bindings (-want +got):\n%s", diff)
		}
		checkRules(t, s.Registry())
	}
	if err := bind("north/air_temp", m, "air_temp", true, v); err != nil {
		t.Fatal(err)
	}
	held(map[greenhouse.PointID]greenhouse.UID{"north/air_temp": m, "north/air_temp.2": n, "north/leaf_temp": n, "north/heater": n})
	if err := bind("north/leaf_temp", n, "air_temp", true, 0); err != nil { // two probes of one node
		t.Fatal(err)
	}
	if p, _ := s.Registry().Route(n, "air_temp"); p != "north/leaf_temp" {
		t.Errorf("air_temp feeds %s", p)
	}
	if p, _ := s.Registry().Route(n, "leaf_temp"); p != "north/air_temp.2" {
		t.Errorf("leaf_temp feeds %s", p)
	}
	if err := unassign(s, m); err != nil {
		t.Fatal(err)
	}
	if err := bind("north/air_temp", n, "air_temp", false, 0); err != nil { // a free point
		t.Fatal(err)
	}
	held(map[greenhouse.PointID]greenhouse.UID{"north/air_temp": n, "north/air_temp.2": n, "north/leaf_temp": "", "north/heater": n})
}
