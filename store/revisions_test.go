package store_test

import (
	"errors"
	"testing"

	"greenhouse"
	"greenhouse/store"
)

// revisions returns the kept configurations of a node.
func revisions(t *testing.T, s *store.Store, uid greenhouse.UID) (list []store.Revision) {
	t.Helper()
	if err := s.View(func(tx *store.Tx) (err error) { list, err = tx.Revisions(uid); return err }); err != nil {
		t.Fatal(err)
	}
	return list
}

// edit changes a node as a person would.
func edit(t *testing.T, s *store.Store, uid greenhouse.UID, fn func(*greenhouse.Node)) (n greenhouse.Node) {
	t.Helper()
	err := s.Update(func(tx *store.Tx) (err error) {
		tx.As("anna")
		n, err = tx.EditNode(uid, 0, func(n *greenhouse.Node) error { fn(n); return nil })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRevisionsAreKeptReportedAndBounded(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	n := register(t, s, greenhouse.TypePH, "aaaa", "solution_ph", "pump_acid").Node
	other := register(t, s, greenhouse.TypePH, "aaaa1", "solution_ph").Node // its id begins alike
	edit(t, s, n.UID, func(n *greenhouse.Node) { n.Name = "another name is no configuration" })
	got := revisions(t, s, n.UID)
	if len(got) != 1 || got[0].Rev != 1 || len(got[0].Channels) != 2 || got[0].Status != greenhouse.ConfigPending {
		t.Fatalf("after registration: got %+v", got)
	}
	n = edit(t, s, n.UID, func(n *greenhouse.Node) { n.IntervalS = 30 })
	report := func(rev uint64, hash string, status greenhouse.ConfigStatus, why string) {
		t.Helper()
		err := s.Update(func(tx *store.Tx) error { _, err := tx.ReportConfig(n.UID, rev, hash, status, why); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	report(1, got[0].Hash, greenhouse.ConfigApplied, "")
	report(2, "somethingelse", greenhouse.ConfigApplied, "") // drift is not applied
	report(2, n.Config.DesiredHash, greenhouse.ConfigRejected, "no room")
	got = revisions(t, s, n.UID)
	if len(got) != 2 || got[0].By != "anna" || got[0].IntervalS != 30 || got[0].Status != greenhouse.ConfigRejected || got[0].Error != "no room" || got[1].Status != greenhouse.ConfigApplied {
		t.Errorf("after reports: got %+v", got)
	}
	for i := range 60 {
		edit(t, s, n.UID, func(n *greenhouse.Node) { n.IntervalS = 31 + i })
	}
	if got = revisions(t, s, n.UID); len(got) != 20 || got[0].IntervalS != 90 || got[19].IntervalS != 71 {
		t.Errorf("after 60 more: got %d, newest %d s, oldest %d s", len(got), got[0].IntervalS, got[len(got)-1].IntervalS)
	}
	if got := revisions(t, s, other.UID); len(got) != 1 {
		t.Errorf("of another node: got %d, want its own one", len(got))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if again := revisions(t, open(t, opt), n.UID); len(again) != 20 || again[0].Rev != got[0].Rev {
		t.Errorf("after a restart: got %d revisions", len(again))
	}
}

func TestRollBack(t *testing.T) {
	s := open(t, options(t))
	zones(t, s, "north")
	n := register(t, s, greenhouse.TypeRelay, "aaaa", "air_temp", "heater").Node
	if _, err := assign(s, n.UID, "north", 0); err != nil {
		t.Fatal(err)
	}
	first := edit(t, s, n.UID, func(n *greenhouse.Node) {
		n.IntervalS = 20
		n.Channels[0].Cal = &greenhouse.Linear{Gain: 1.01, Offset: 0.2}
		n.Channels[1].MaxOnS, n.Channels[1].Safe = 600, 1
	})
	now := edit(t, s, n.UID, func(n *greenhouse.Node) {
		n.IntervalS, n.Name = 60, "kept"
		n.Channels[0].Cal = nil
		n.Channels[1].MaxOnS, n.Channels[1].Safe = 0, 0
		n.Channels = append(n.Channels, greenhouse.Channel{Name: "air_rh", Kind: greenhouse.Sensor})
	})
	back := func(rev, version uint64) (out greenhouse.Node, err error) {
		err = s.Update(func(tx *store.Tx) (err error) { out, err = tx.RollBack(n.UID, rev, version); return err })
		return out, err
	}
	if _, err := back(first.Config.DesiredRev, now.Version-1); !errors.As(err, new(*greenhouse.StaleError)) {
		t.Errorf("of an older version: got %v, want a stale edit", err)
	}
	if _, err := back(99, 0); code(err) != "revision_not_found" {
		t.Errorf("of no revision: got %v", err)
	}
	if _, err := back(now.Config.DesiredRev, 0); code(err) != "rollback_nothing" {
		t.Errorf("to the present one: got %v", err)
	}
	got, err := back(first.Config.DesiredRev, now.Version)
	if err != nil {
		t.Fatal(err)
	}
	if got.Config.DesiredRev != now.Config.DesiredRev+1 || got.IntervalS != 20 || got.Name != "kept" || got.Channels[0].Cal == nil || got.Channels[1].MaxOnS != 600 || len(got.Channels) != 3 {
		t.Errorf("rolled back: got %+v", got)
	}
	if p := s.Registry().Points["north/heater"]; p.Safe != 1 {
		t.Errorf("safe level of the point: got %v, want it back too", p.Safe)
	}
	if kept := revisions(t, s, n.UID); kept[0].Of != first.Config.DesiredRev || kept[0].Rev != got.Config.DesiredRev {
		t.Errorf("newest revision: got %+v", kept[0])
	}
	edit(t, s, n.UID, func(n *greenhouse.Node) { n.Channels = n.Channels[1:] })
	if _, err := back(first.Config.DesiredRev, 0); code(err) != "rule_rollback_channel" {
		t.Errorf("where a channel went: got %v, want rule_rollback_channel", err)
	}
}
