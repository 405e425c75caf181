package edge

import (
	"context"
	"sync"
	"testing"

	"greenhouse"
	"greenhouse/store"
)

// TestRefreshNeverGoesBack: an emergency stop that was committed is not released
// by somebody who hands on the registry of a moment before.
func TestRefreshNeverGoesBack(t *testing.T) {
	d, err := New(t.Context(), Options{DataDir: t.TempDir(), NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	change := func(fn func(tx *store.Tx) error) {
		t.Helper()
		if err := d.store.Update(fn); err != nil {
			t.Fatal(err)
		}
	}
	change(func(tx *store.Tx) error {
		if _, err := tx.CreateZone(greenhouse.Zone{ID: "north"}); err != nil {
			return err
		}
		_, err := tx.Register(store.JoinRequest{HardwareID: "00ff", Type: greenhouse.TypeRelay, Zone: "north", Channels: []greenhouse.Channel{{Name: "heater", Kind: greenhouse.Actuator}}})
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 3 {
		others.Go(func() {
			for ctx.Err() == nil {
				d.control.refresh()
			}
		})
	}
	for round := range 1000 {
		change(func(tx *store.Tx) error { _, err := tx.Stop("north"); return err })
		d.control.refresh()
		for range 20 {
			if l, ok := d.actuators.Level("north/heater"); !ok || !l.Stopped {
				t.Fatalf("round %d: the stop is gone: %+v", round, l)
			}
		}
		change(func(tx *store.Tx) error { _, err := tx.Resume("north"); return err })
		d.control.refresh()
	}
	cancel()
	others.Wait()
}
