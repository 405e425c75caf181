package server_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func TestRegisterNodeOnce(t *testing.T) {
	h := open(t)
	h.zone("north")
	first := h.node("A4:CF:12:B3:DE:01", "ph", "north", sensor("solution_ph"), actuator("pump_acid"))
	if first.UID != "ph-a4cf12b3de01" || first.Secret == "" || !first.Created || first.Zone != "north" {
		t.Errorf("first registration: got %+v", first)
	}
	again := h.node("a4-cf-12-b3-de-01", "ph", "")
	if again.UID != first.UID || again.Secret != "" || again.Created {
		t.Errorf("second registration: got uid %s secret %q created %v, want the same node without a secret", again.UID, again.Secret, again.Created)
	}
	got := must(h.client.Node(h.ctx(), first.UID))(t)
	if got.Channels[0].Point != "north/solution_ph" {
		t.Errorf("point: got %q, want north/solution_ph", got.Channels[0].Point)
	}
	if got, want := h.codes(), []string{"zone_created", "node_registered", "node_assigned"}; !cmp.Equal(got, want) {
		t.Errorf("events: %s", cmp.Diff(want, got))
	}
}

func TestRegisterRefusals(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aa:aa:aa:01", "ph", "north")
	for _, tt := range []struct {
		req  api.RegisterRequest
		code string
		kind error
	}{
		{api.RegisterRequest{HardwareID: "x!", Type: "ph"}, "hardware_id_invalid", greenhouse.ErrInvalid},
		{api.RegisterRequest{Type: "ph"}, "hardware_id_invalid", greenhouse.ErrInvalid},
		{api.RegisterRequest{HardwareID: "aaaa02", Type: "plant"}, "node_type_invalid", greenhouse.ErrInvalid},
		{api.RegisterRequest{HardwareID: "aaaa02", Type: "ec", Zone: "nowhere"}, "zone_not_found", greenhouse.ErrNotFound},
		{api.RegisterRequest{HardwareID: "aaaa02", Type: "ph", Zone: "north"}, "", greenhouse.ErrConflict},
		{api.RegisterRequest{HardwareID: "aaaaaa01", Type: "ec"}, "", greenhouse.ErrConflict},
	} {
		_, err := h.client.RegisterNode(h.ctx(), tt.req, client.Write{})
		if !errors.Is(err, tt.kind) || tt.code != "" && code(err) != tt.code {
			t.Errorf("register %+v: got %v (%s), want %v (%s)", tt.req, err, code(err), tt.kind, tt.code)
		}
	}
	if list := must(h.client.Nodes(h.ctx(), client.NodeFilter{}))(t); len(list.Items) != 1 {
		t.Errorf("nodes after refusals: got %d, want 1", len(list.Items))
	}
}

// Two hundred devices with one id are one device, with one secret.
func TestConcurrentRegistration(t *testing.T) {
	h := open(t)
	const n = 200
	var wg sync.WaitGroup
	answers := make([]api.Registered, n)
	for i := range n {
		wg.Go(func() {
			var err error
			answers[i], err = h.client.RegisterNode(h.ctx(), api.RegisterRequest{HardwareID: "a4cf12b3de01", Type: "ph"}, client.Write{})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	secrets, created := 0, 0
	for _, a := range answers {
		if a.UID != "ph-a4cf12b3de01" {
			t.Errorf("uid: got %q", a.UID)
		}
		if a.Secret != "" {
			secrets++
		}
		if a.Created {
			created++
		}
	}
	if secrets != 1 || created != 1 {
		t.Errorf("got %d secrets and %d creations, want 1 of each", secrets, created)
	}
	if got, want := h.codes(), []string{"node_registered"}; !cmp.Equal(got, want) {
		t.Errorf("events: %s", cmp.Diff(want, got))
	}
}

// Of two ph nodes assigned to one zone at once, one wins and the other is told
// of the rule; their order does not matter.
func TestTwoPHNodesAtOnce(t *testing.T) {
	h := open(t)
	h.zone("north")
	uids := []greenhouse.UID{h.node("aaaa01", "ph", "").UID, h.node("aaaa02", "ph", "").UID}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, uid := range uids {
		wg.Go(func() { _, errs[i] = h.client.AssignNode(h.ctx(), uid, "north", client.Write{}) })
	}
	wg.Wait()
	failed := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if failed < 0 || errs[1-failed] != nil {
		t.Fatalf("got %v, want exactly one refusal", errs)
	}
	if !errors.Is(errs[failed], greenhouse.ErrConflict) || code(errs[failed]) == "stale" || !strings.Contains(errs[failed].Error(), string(uids[1-failed])) {
		t.Errorf("refusal: got %v, want a conflict that names %s", errs[failed], uids[1-failed])
	}
}

func TestStaleEdit(t *testing.T) {
	h := open(t)
	n := h.node("aaaa01", "climate", "")
	one := must(h.client.EditNode(h.ctx(), n.UID, api.NodePatch{Name: ptr("one")}, client.Write{IfVersion: n.Version}))(t)
	_, err := h.client.EditNode(h.ctx(), n.UID, api.NodePatch{Name: ptr("two")}, client.Write{IfVersion: n.Version})
	var stale *greenhouse.StaleError
	if !errors.As(err, &stale) {
		t.Fatalf("got %v, want a stale edit", err)
	}
	var current api.Node
	if err := json.Unmarshal(stale.Current.(json.RawMessage), &current); err != nil {
		t.Fatal(err)
	}
	if stale.Had != n.Version || stale.Have != one.Version || current.Name != "one" {
		t.Errorf("got had %d have %d name %q, want %d %d one", stale.Had, stale.Have, current.Name, n.Version, one.Version)
	}
	if api.ExitCode(err) != api.ExitConflict || api.StatusOf(err) != 412 {
		t.Errorf("exit code %d and status %d, want 5 and 412", api.ExitCode(err), api.StatusOf(err))
	}
}

// A hundred edits of one version: one is taken, ninety-nine are told.
func TestConcurrentEditsLoseNothing(t *testing.T) {
	h := open(t)
	z := h.zone("north")
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken, stale := 0, 0
	for range 100 {
		wg.Go(func() {
			_, err := h.client.EditZone(h.ctx(), "north", api.ZonePatch{AreaM2: ptr(12.0), Name: ptr(t.Name())}, client.Write{IfVersion: z.Version})
			mu.Lock()
			defer mu.Unlock()
			switch code(err) {
			case "":
				taken++
			case "stale":
				stale++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if taken != 1 || stale != 99 {
		t.Errorf("got %d taken and %d stale, want 1 and 99", taken, stale)
	}
	if got := must(h.client.Zone(h.ctx(), "north"))(t).Version; got != z.Version+1 {
		t.Errorf("version: got %d, want %d", got, z.Version+1)
	}
}

func TestEditNodeMergesAndAudits(t *testing.T) {
	h := open(t)
	n := h.node("aaaa01", "climate", "")
	h.must(h.client.EditNode(h.ctx(), n.UID, api.NodePatch{Labels: map[string]*string{"row": ptr("3"), "shelf": ptr("b")}}, client.Write{}))
	got := must(h.client.EditNode(h.ctx(), n.UID, api.NodePatch{Name: ptr("Tür"), Labels: map[string]*string{"row": nil}}, client.Write{Reason: "moved, für später"}))(t)
	if got.Name != "Tür" || !cmp.Equal(got.Labels, map[string]string{"shelf": "b"}) {
		t.Errorf("got name %q labels %v", got.Name, got.Labels)
	}
	events := must(h.client.Events(h.ctx(), 0, 0))(t).Items
	last := events[len(events)-1]
	var detail struct {
		From, Reason  string
		Before, After map[string]any
	}
	if err := json.Unmarshal(last.Detail, &detail); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(last.Actor, "uid:") || !strings.HasPrefix(detail.From, "unix pid ") || detail.Reason != "moved, für später" {
		t.Errorf("audit: got actor %q from %q reason %q", last.Actor, detail.From, detail.Reason)
	}
	want := map[string]any{"name": "Tür", "labels": map[string]any{"shelf": "b"}}
	if diff := cmp.Diff(want, detail.After); diff != "" {
		t.Errorf("audit after: %s", diff)
	}
	if detail.Before["name"] != string(n.UID) {
		t.Errorf("audit before: got %v", detail.Before)
	}
}

// must fails the test on an error; the value does not matter.
func (h *house) must(_ any, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func TestChannelEdit(t *testing.T) {
	h := open(t)
	n := h.node("aaaa01", "ph", "", sensor("solution_ph"), actuator("pump_acid"))
	got := must(h.client.EditChannel(h.ctx(), n.UID, "solution_ph", api.ChannelPatch{Cal: &greenhouse.Linear{Offset: 0.02, Gain: 1.01}}, client.Write{}))(t)
	if got.Channels[0].Cal == nil || got.Channels[0].Cal.Gain != 1.01 || got.Config.DesiredRev <= n.Config.DesiredRev {
		t.Errorf("got cal %v rev %d, want the calibration and a higher revision than %d", got.Channels[0].Cal, got.Config.DesiredRev, n.Config.DesiredRev)
	}
	_, err := h.client.EditChannel(h.ctx(), n.UID, "nothing", api.ChannelPatch{}, client.Write{})
	if code(err) != "channel_not_found" {
		t.Errorf("unknown channel: got %v", err)
	}
	cfg := must(h.client.NodeConfig(h.ctx(), n.UID))(t)
	if len(cfg.Channels) != 2 || cfg.IntervalS != 10 {
		t.Errorf("config: got %+v", cfg)
	}
}

func TestLifeOfANode(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.zone("south")
	n := h.node("aaaa01", "climate", "", sensor("air_temp"))
	if got := must(h.client.AssignNode(h.ctx(), n.UID, "north", client.Write{}))(t); got.Zone != "north" || got.State != greenhouse.NodeAssigned {
		t.Errorf("assigned: got %+v", got)
	}
	if err := h.client.DeleteZone(h.ctx(), "north", client.Write{}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("delete a zone in use: got %v, want a conflict", err)
	}
	if got := must(h.client.SetMaintenance(h.ctx(), n.UID, true, client.Write{}))(t); got.State != greenhouse.NodeMaintenance {
		t.Errorf("maintenance: got %s", got.State)
	}
	if got := must(h.client.SetMaintenance(h.ctx(), n.UID, false, client.Write{}))(t); got.State != greenhouse.NodeAssigned {
		t.Errorf("back from maintenance: got %s", got.State)
	}
	spare := h.node("aaaa02", "climate", "", sensor("air_temp"))
	swap := must(h.client.SwapNode(h.ctx(), n.UID, api.SwapRequest{With: spare.UID}, client.Write{}))(t)
	if swap.New.Zone != "north" || swap.Old.Zone != "" || !cmp.Equal(swap.Points, []greenhouse.PointID{"north/air_temp"}) {
		t.Errorf("swap: got %+v", swap)
	}
	back := must(h.client.SwapNode(h.ctx(), n.UID, api.SwapRequest{With: spare.UID, Undo: true}, client.Write{}))(t)
	if back.Old.Zone != "north" || !back.Undone {
		t.Errorf("undo: got %+v", back)
	}
	key := must(h.client.RotateKey(h.ctx(), n.UID, client.Write{}))(t)
	if key.Secret == "" || key.Secret == n.Secret {
		t.Errorf("rotate: got secret %q", key.Secret)
	}
	if got := must(h.client.UnassignNode(h.ctx(), n.UID, client.Write{}))(t); got.Zone != "" {
		t.Errorf("unassigned: got zone %q", got.Zone)
	}
	if got := must(h.client.DecommissionNode(h.ctx(), n.UID, client.Write{}))(t); got.State != greenhouse.NodeDecommissioned {
		t.Errorf("decommissioned: got %s", got.State)
	}
	if got, want := h.world.dropped, []string{string(n.UID), string(n.UID)}; !cmp.Equal(got, want) {
		t.Errorf("sessions closed: got %v, want %v", got, want)
	}
	for _, e := range must(h.client.Events(h.ctx(), 0, 0))(t).Items {
		if strings.Contains(string(e.Detail), n.Secret) || strings.Contains(string(e.Detail), key.Secret) {
			t.Errorf("event %s holds a secret", e.Code)
		}
	}
}

func TestNodeFiltersAndPages(t *testing.T) {
	h := open(t)
	h.zone("north")
	h.node("aaaa01", "ph", "north")
	for _, hw := range []string{"aaaa02", "aaaa03", "aaaa04", "aaaa05"} {
		h.node(hw, "climate", "")
	}
	if got := must(h.client.Nodes(h.ctx(), client.NodeFilter{Zone: "north"}))(t).Items; len(got) != 1 || got[0].Type != "ph" {
		t.Errorf("by zone: got %d", len(got))
	}
	if got := must(h.client.Nodes(h.ctx(), client.NodeFilter{Type: "climate", State: greenhouse.NodeRegistered}))(t).Items; len(got) != 4 {
		t.Errorf("by type and state: got %d, want 4", len(got))
	}
	var seen []greenhouse.UID
	for n, err := range client.All(func(cursor string) (api.List[api.Node], error) {
		return h.client.Nodes(h.ctx(), client.NodeFilter{Page: client.Page{Limit: 2, Cursor: cursor}})
	}) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, n.UID)
	}
	if len(seen) != 5 || !slices.IsSorted(seen) || len(slices.Compact(seen)) != 5 {
		t.Errorf("pages: got %v", seen)
	}
	if _, err := h.client.Nodes(h.ctx(), client.NodeFilter{Zone: "west"}); code(err) != "zone_not_found" {
		t.Errorf("unknown zone: got %v", err)
	}
	if _, err := h.client.Nodes(h.ctx(), client.NodeFilter{Page: client.Page{Cursor: "!!"}}); code(err) != "cursor_invalid" {
		t.Errorf("bad cursor: got %v", err)
	}
	if _, err := h.client.Node(h.ctx(), "ph-ffff99"); code(err) != "node_not_found" || api.ExitCode(err) != api.ExitNotFound {
		t.Errorf("unknown node: got %v", err)
	}
}

func TestPairing(t *testing.T) {
	h := open(t)
	if p := must(h.client.Pairing(h.ctx()))(t); p.Open {
		t.Error("pairing is open at first")
	}
	p := must(h.client.OpenPairing(h.ctx(), api.PairRequest{ForS: 60}, client.Write{}))(t)
	if !p.Open || p.Token == "" || p.ExpiresAt == 0 {
		t.Errorf("opened: got %+v", p)
	}
	if got := must(h.client.Pairing(h.ctx()))(t); !got.Open || got.Token != "" {
		t.Errorf("while open: got %+v, want open without the token", got)
	}
	h.must(h.client.ClosePairing(h.ctx(), client.Write{}))
	if got := must(h.client.Pairing(h.ctx()))(t); got.Open {
		t.Error("pairing is open after it was closed")
	}
	if _, err := h.client.OpenPairing(h.ctx(), api.PairRequest{ForS: 1e6}, client.Write{}); code(err) != "duration_invalid" {
		t.Errorf("too long: got %v", err)
	}
}

func TestCommands(t *testing.T) {
	h := open(t)
	n := h.node("aaaa01", "ph", "", sensor("solution_ph"), actuator("pump_acid"))
	order := api.CommandRequest{Op: greenhouse.OpPulse, Channel: "pump_acid", Ms: 500}
	first := must(h.client.SendCommand(h.ctx(), n.UID, order, client.Write{IdempotencyKey: "k1"}))(t)
	again := must(h.client.SendCommand(h.ctx(), n.UID, order, client.Write{IdempotencyKey: "k1"}))(t)
	if first.ID == "" || again.ID != first.ID || len(h.world.ordered) != 1 {
		t.Errorf("one key: got %q and %q and %d doses, want one dose", first.ID, again.ID, len(h.world.ordered))
	}
	for _, tt := range []struct {
		req  api.CommandRequest
		code string
	}{
		{api.CommandRequest{Op: greenhouse.OpSet, Channel: "pump_acid", Value: 1}, "op_invalid"},
		{api.CommandRequest{Op: "dance"}, "op_invalid"},
		{api.CommandRequest{Op: greenhouse.OpPulse, Channel: "pump_base", Ms: 5}, "channel_not_found"},
		{api.CommandRequest{Op: greenhouse.OpPulse, Channel: "solution_ph", Ms: 5}, "channel_not_actuator"},
		{api.CommandRequest{Op: greenhouse.OpPulse, Channel: "pump_acid"}, "pulse_invalid"},
		{api.CommandRequest{Op: greenhouse.OpPulse, Channel: "pump_acid", Ms: -1}, "pulse_invalid"},
	} {
		if _, err := h.client.SendCommand(h.ctx(), n.UID, tt.req, client.Write{}); code(err) != tt.code {
			t.Errorf("%+v: got %v (%s), want %s", tt.req, err, code(err), tt.code)
		}
	}
	h.world.refuse = greenhouse.Forbidden("dose_limit", "the daily dose is used up")
	if _, err := h.client.SendCommand(h.ctx(), n.UID, order, client.Write{}); !errors.Is(err, greenhouse.ErrForbidden) || api.ExitCode(err) != api.ExitRefused {
		t.Errorf("refused by the envelope: got %v", err)
	}
	list := must(h.client.Commands(h.ctx(), client.CommandFilter{Open: true}))(t)
	if list.Items == nil {
		t.Error("commands: items are null")
	}
}
