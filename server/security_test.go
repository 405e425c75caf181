package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/server"
	"greenhouse/store"
)

func TestVerifyEventsFindsAForgery(t *testing.T) {
	h := open(t)
	for _, id := range []greenhouse.ZoneID{"north", "south", "west"} {
		h.zone(id)
	}
	v := must(h.client.VerifyEvents(h.ctx()))(t)
	if !v.OK || v.Events != 3 || v.Last != 3 || len(v.Head) != 64 || v.Problem != "" {
		t.Errorf("an untouched log: got %+v", v)
	}
	key := []byte{0, 0, 0, 0, 0, 0, 0, 2}
	err := h.store.Update(func(tx *store.Tx) error {
		forged := strings.Replace(string(tx.Get("events", key)), "south", "soUth", 1)
		return tx.Put("events", key, []byte(forged))
	})
	if err != nil {
		t.Fatal(err)
	}
	v = must(h.client.VerifyEvents(h.ctx()))(t)
	if v.OK || v.Events != 1 || !strings.Contains(v.Problem, "event 2") {
		t.Errorf("a forged log: got %+v, want event 2 named", v)
	}
}

// mint is an authority that counts its rotations.
type mint struct{ overlaps []time.Duration }

func (m *mint) CA() api.CA { return api.CA{Fingerprint: "AB", PEM: "-----BEGIN", NotAfter: 1} }

func (m *mint) RotateCA(overlap time.Duration) (api.CA, error) {
	m.overlaps = append(m.overlaps, overlap)
	return api.CA{Fingerprint: "CD", PEM: "-----BEGIN", NotAfter: 2}, nil
}

func TestRotateCA(t *testing.T) {
	m := &mint{}
	h := open(t, func(d *server.Deps, _ *server.Options) { d.Authority = m })
	long, negative, zero := int64(6*365*86400), int64(-1), int64(0)
	for _, s := range []*int64{&long, &negative} {
		if _, err := h.client.RotateCA(h.ctx(), api.RotateCARequest{OverlapS: s}, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("an overlap of %d s: got %v, want invalid", *s, err)
		}
	}
	if ca, err := h.client.RotateCA(h.ctx(), api.RotateCARequest{}, client.Write{DryRun: true}); err != nil || ca.Fingerprint != "AB" || len(m.overlaps) > 0 {
		t.Errorf("a dry run: got %+v %v, and %d rotations", ca, err, len(m.overlaps))
	}
	w := client.Write{IdempotencyKey: "once"}
	for range 2 {
		if ca, err := h.client.RotateCA(h.ctx(), api.RotateCARequest{OverlapS: &zero}, w); err != nil || ca.Fingerprint != "CD" {
			t.Errorf("got %+v %v", ca, err)
		}
	}
	if _, err := h.client.RotateCA(h.ctx(), api.RotateCARequest{}, client.Write{}); err != nil {
		t.Error(err)
	}
	if len(m.overlaps) != 2 || m.overlaps[0] != 0 || m.overlaps[1] != 365*24*time.Hour {
		t.Errorf("rotated with %v, want 0 once and then the usual year", m.overlaps)
	}
}

func TestNoAuthority(t *testing.T) {
	h := open(t)
	if _, err := h.client.CA(h.ctx()); !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
