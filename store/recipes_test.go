package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/store"
)

// basil is a recipe of two phases.
func basil() greenhouse.Recipe {
	at := func(v float64) map[greenhouse.Quantity]greenhouse.Target {
		return map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: v, Night: v}}
	}
	return greenhouse.Recipe{ID: "basil", Crop: "basil", Phases: []greenhouse.Phase{{Name: "a", Days: 3, Targets: at(20)}, {Name: "b", Targets: at(17)}}}
}

// TestRecipesOutliveTheProcess: recipes, and how far zones have come on them, are on
// disk.
func TestRecipesOutliveTheProcess(t *testing.T) {
	opt := options(t)
	s := open(t, opt)
	update(t, s, func(tx *store.Tx) error {
		r, err := tx.CreateRecipe(basil())
		if err != nil {
			return err
		}
		if r.Name != "basil" || r.Version != 1 || r.CreatedAt == 0 {
			t.Errorf("as it was made: %+v", r)
		}
		_, err = tx.CreateZone(greenhouse.Zone{ID: "north"})
		return err
	})
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) (err error) {
			z.Run, err = greenhouse.StartRecipe(tx.Registry().Recipes["basil"], "2026-03-01", 0, "2026-03-01", 1000, "anna")
			return err
		})
		return err
	})
	grown := s.Registry().Zones["north"].Run
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) error { z.Run.Advance("2026-03-04", 2000); return nil })
		return err
	})
	if grown.Last().Phase != 1 {
		t.Error("a reader of the registry saw the record change under its hands")
	}
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditRecipe("basil", 1, func(r *greenhouse.Recipe) error { r.Phases = r.Phases[:1]; return nil })
		return err
	})
	want := s.Registry()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := open(t, opt).Registry()
	if diff := cmp.Diff(want.Recipes, got.Recipes); diff != "" || got.Recipes["basil"].Version != 2 {
		t.Errorf("recipes after a restart: %s", diff)
	}
	if diff := cmp.Diff(want.Zones, got.Zones); diff != "" || got.Zones["north"].Run.Last().Phase != 2 || len(got.Zones["north"].Run.Phases) != 2 {
		t.Errorf("zones after a restart: %s", diff)
	}
}

func TestRulesOfRecipes(t *testing.T) {
	s := open(t, options(t))
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.CreateRecipe(basil())
		return errors.Join(err, second(tx.CreateZone(greenhouse.Zone{ID: "north"})), second(tx.CreateZone(greenhouse.Zone{ID: "south"})))
	})
	for _, z := range []greenhouse.ZoneID{"south", "north"} {
		update(t, s, func(tx *store.Tx) error {
			_, err := tx.EditZone(z, 0, func(z *greenhouse.Zone) (err error) {
				z.Run, err = greenhouse.StartRecipe(tx.Registry().Recipes["basil"], "2026-03-01", 0, "2026-03-01", 1000, "anna")
				return err
			})
			return err
		})
	}
	broken := basil()
	broken.ID, broken.Phases = "broken", nil
	for name, c := range map[string]struct {
		do   func(*store.Tx) error
		kind error
		says string
	}{
		"twice":        {func(tx *store.Tx) error { return second(tx.CreateRecipe(basil())) }, greenhouse.ErrConflict, "already a recipe basil"},
		"no phases":    {func(tx *store.Tx) error { return second(tx.CreateRecipe(broken)) }, greenhouse.ErrInvalid, "0 phases"},
		"unknown":      {func(tx *store.Tx) error { return tx.DeleteRecipe("rice", 0) }, greenhouse.ErrNotFound, "rice"},
		"in use":       {func(tx *store.Tx) error { return tx.DeleteRecipe("basil", 0) }, greenhouse.ErrConflict, "zone north and 1 more grow by it"},
		"stale delete": {func(tx *store.Tx) error { return tx.DeleteRecipe("basil", 7) }, greenhouse.ErrConflict, "version 7"},
		"stale edit": {func(tx *store.Tx) error {
			return second(tx.EditRecipe("basil", 7, func(*greenhouse.Recipe) error { return nil }))
		}, greenhouse.ErrConflict, "version 7"},
		"emptied": {func(tx *store.Tx) error {
			return second(tx.EditRecipe("basil", 0, func(r *greenhouse.Recipe) error { r.Phases = nil; return nil }))
		}, greenhouse.ErrInvalid, "0 phases"},
		"a run that cannot be": {func(tx *store.Tx) error {
			return second(tx.EditZone("north", 0, func(z *greenhouse.Zone) error { z.Run.Changes[0].Phase = 9; return nil }))
		}, greenhouse.ErrInvalid, "phase 9"},
	} {
		if err := s.Update(c.do); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v that says %q", name, err, c.kind, c.says)
		}
	}
	if r := s.Registry(); len(r.Recipes) != 1 || r.Recipes["basil"].Version != 1 || r.Zones["north"].Run.Last().Phase != 1 {
		t.Errorf("what was refused changed something: %+v", r.Recipes)
	}
	update(t, s, func(tx *store.Tx) error {
		for _, z := range []greenhouse.ZoneID{"south", "north"} {
			if _, err := tx.EditZone(z, 0, func(z *greenhouse.Zone) error { z.Run = nil; return nil }); err != nil {
				return err
			}
		}
		return tx.DeleteRecipe("basil", 1)
	})
	if len(s.Registry().Recipes) != 0 {
		t.Error("it is still there")
	}
}

// growing is a registry whose zone north grows by basil.
func growing(t *testing.T, opt store.Options) *store.Store {
	t.Helper()
	s := open(t, opt)
	zones(t, s, "north")
	update(t, s, func(tx *store.Tx) error {
		if _, err := tx.CreateRecipe(basil()); err != nil {
			return err
		}
		_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) (err error) {
			z.Run, err = greenhouse.StartRecipe(tx.Registry().Recipes["basil"], "2026-02-28", 0, "2026-02-28", greenhouse.MillisOf(epoch0().Add(-time.Hour)), "anna")
			z.Run.Advance("2026-03-03", greenhouse.MillisOf(epoch0().Add(-time.Minute)))
			return err
		})
		return err
	})
	return s
}

func TestDeletedZoneFreesItsRecipe(t *testing.T) {
	s := growing(t, options(t))
	update(t, s, func(tx *store.Tx) error { return tx.DeleteZone("north", 0) })
	update(t, s, func(tx *store.Tx) error { return tx.DeleteRecipe("basil", 0) })
	if r := s.Registry(); len(r.Recipes)+len(r.Zones) != 0 {
		t.Errorf("left: %+v %+v", r.Recipes, r.Zones)
	}
}

// TestBackupHoldsWhatGrows: a restored registry goes on where the backup was.
func TestBackupHoldsWhatGrows(t *testing.T) {
	opt := options(t)
	s := growing(t, opt)
	want := s.Registry()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	update(t, s, func(tx *store.Tx) error {
		_, err := tx.EditZone("north", 0, func(z *greenhouse.Zone) error { z.Run = nil; return nil })
		return errors.Join(err, tx.DeleteRecipe("basil", 0))
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(backup, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Restore(opt.Path, backup); err != nil {
		t.Fatal(err)
	}
	got := open(t, opt).Registry()
	if diff := cmp.Diff(want.Zones["north"].Run, got.Zones["north"].Run) + cmp.Diff(want.Recipes, got.Recipes); diff != "" || got.Zones["north"].Run.Last().Phase != 2 {
		t.Errorf("after the restore: %s", diff)
	}
}

// TestDamagedRunIsFound: a changed byte in the copy of a recipe that a zone grows by is
// found by the check of the file, and what is read is never the changed one.
func TestDamagedRunIsFound(t *testing.T) {
	opt := options(t)
	if err := growing(t, opt).Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.VerifyFile(opt.Path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for at := 0; ; {
		i := bytes.Index(raw[at:], []byte(`"phase":2`)) // of the run, in every page that holds it
		if i < 0 {
			break
		}
		at += i + len(`"phase":2`)
		raw[at-1], found = '1', found+1
	}
	if err := os.WriteFile(opt.Path, raw, 0o600); err != nil || found == 0 {
		t.Fatalf("%d places, %v", found, err)
	}
	var damage *store.DamageError
	if err := store.VerifyFile(opt.Path); !errors.As(err, &damage) || !strings.Contains(err.Error(), "north") {
		t.Errorf("got %v, want the damage of zone north", err)
	}
	if s, err := store.Open(opt); err == nil {
		t.Errorf("opened with the zone in phase %d", s.Registry().Zones["north"].Run.Last().Phase)
		_ = s.Close()
	} else if !errors.Is(err, greenhouse.ErrUnavailable) {
		t.Errorf("got %v, want it refused, for there is no snapshot", err)
	}
}

// TestRampsKeepTheirTimeWhenTheClockIsStepped: what was on its way goes on from where
// it was.
func TestRampsKeepTheirTimeWhenTheClockIsStepped(t *testing.T) {
	for _, by := range []time.Duration{5 * time.Hour, -5 * time.Hour} {
		opt := options(t)
		s := growing(t, opt)
		was := s.Registry().Zones["north"].Run
		update(t, s, func(tx *store.Tx) error { return second(tx.ShiftEnds(by)) })
		is := s.Registry().Zones["north"].Run
		for i := range was.Changes {
			if got := is.Changes[i].At.Sub(was.Changes[i].At); got != by {
				t.Errorf("change %d was moved by %v, want %v", i+1, got, by)
			}
			if is.Changes[i].From != was.Changes[i].From {
				t.Errorf("change %d counts its days from %s, was %s", i+1, is.Changes[i].From, was.Changes[i].From)
			}
		}
	}
}
