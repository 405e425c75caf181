package server_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

func TestCurvesAndPlan(t *testing.T) {
	h := open(t)
	h.zone("north")
	knots := greenhouse.Curve{{At: "06:00", Value: 20}, {At: "12:00", Value: 21, Ramp: 0.5}, {At: "18:00", Value: 16}}
	z := must(h.client.SetCurve(h.ctx(), "north", greenhouse.Heating, knots, client.Write{}))(t)
	if diff := cmp.Diff(knots, z.Schedule[greenhouse.Heating]); diff != "" {
		t.Errorf("the curve as it was set: %s", diff)
	}
	p := must(h.client.ZonePlan(h.ctx(), "north", "2026-02-01"))(t)
	if p.Date != "2026-02-01" || len(p.Courses) != 2 || len(p.Courses[0].Steps) != 3 || len(p.Courses[0].Levels) != 24*12 || *p.Courses[0].Levels[14*12] != 21 {
		t.Errorf("plan: %+v", p)
	}
	if _, err := h.client.ZonePlan(h.ctx(), "north", "yule"); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a date that is none: %v", err)
	}
	h.must(h.client.SetTarget(h.ctx(), "north", greenhouse.Venting, api.TargetRequest{Value: ptr(22.5)}, client.Write{}))
	for name, c := range map[string]struct {
		q     greenhouse.Quantity
		knots greenhouse.Curve
	}{
		"inverted": {greenhouse.Heating, greenhouse.Curve{{At: "06:00", Value: 22}}}, "no knots": {greenhouse.Heating, nil},
		"not curved": {greenhouse.DLI, knots}, "no time": {greenhouse.Heating, greenhouse.Curve{{At: "noon", Value: 20}}},
	} {
		if _, err := h.client.SetCurve(h.ctx(), "north", c.q, c.knots, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	z = must(h.client.EditZone(h.ctx(), "north", map[string]any{"schedule": map[string]any{"heating": nil}}, client.Write{IfVersion: must(h.client.Zone(h.ctx(), "north"))(t).Version}))(t)
	if len(z.Schedule) != 0 {
		t.Errorf("a merge patch clears a curve: %+v", z.Schedule)
	}
	if _, err := h.client.SetCurve(h.ctx(), "north", greenhouse.Heating, knots, client.Write{IfVersion: 1}); !errors.Is(err, greenhouse.ErrConflict) {
		t.Errorf("a stale version: %v", err)
	}
}

func TestAdjustments(t *testing.T) {
	h := open(t)
	h.zone("north")
	z := must(h.client.Adjust(h.ctx(), "north", greenhouse.Heating, api.AdjustRequest{Offset: ptr(-1.0), Reason: "fewer fruit"}, client.Write{}))(t)
	a := z.Offsets[greenhouse.Heating]
	if a.Value != -1 || a.Reason != "fewer fruit" || a.By == "" || a.ExpiresAt.Sub(a.CreatedAt) != 24*time.Hour {
		t.Errorf("offset: %+v", a)
	}
	z = must(h.client.Adjust(h.ctx(), "north", greenhouse.Heating, api.AdjustRequest{Value: ptr(22.0), ForS: 600, Reason: "visitors"}, client.Write{}))(t)
	if a := z.Holds[greenhouse.Heating]; a.Value != 22 || a.ExpiresAt.Sub(a.CreatedAt) != 10*time.Minute {
		t.Errorf("hold: %+v", a)
	}
	if p := z.SetPoints[greenhouse.Heating]; p.Value != 18 || *p.Base != 17 || p.Layer != "offset" || p.By != "anna" {
		t.Errorf("the set-point in force comes from the last decision: %+v", p)
	}
	for name, r := range map[string]api.AdjustRequest{
		"nothing": {Reason: "x"}, "both": {Offset: ptr(1.0), Value: ptr(20.0), Reason: "x"}, "no reason": {Offset: ptr(1.0)},
		"too far": {Offset: ptr(11.0), Reason: "x"}, "out of range": {Value: ptr(50.0), Reason: "x"},
		"too long": {Value: ptr(20.0), ForS: 86401, Reason: "x"}, "backwards": {Value: ptr(20.0), ForS: -1, Reason: "x"},
		"long reason": {Value: ptr(20.0), Reason: strings.Repeat("x", 257)},
	} {
		if _, err := h.client.Adjust(h.ctx(), "north", greenhouse.Heating, r, client.Write{}); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	z = must(h.client.EndAdjustment(h.ctx(), "north", greenhouse.Heating, client.Write{}))(t)
	if len(z.Offsets)+len(z.Holds) != 0 {
		t.Errorf("after the end: %+v %+v", z.Offsets, z.Holds)
	}
	if _, err := h.client.EndAdjustment(h.ctx(), "north", greenhouse.Heating, client.Write{}); !errors.Is(err, greenhouse.ErrNotFound) {
		t.Errorf("nothing stands: %v", err)
	}
}
