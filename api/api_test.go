package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
)

func TestParseTime(t *testing.T) {
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones on this machine")
	}
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, loc) // the day on which 02:30 does not exist
	for _, tt := range []struct{ in, want string }{
		{"now", "2026-03-29T10:00:00Z"},
		{"2h", "2026-03-29T08:00:00Z"},
		{"1d12h", "2026-03-27T22:00:00Z"},
		{"1w", "2026-03-22T10:00:00Z"},
		{"0s", "2026-03-29T10:00:00Z"},
		{"today", "2026-03-28T23:00:00Z"},
		{"yesterday", "2026-03-27T23:00:00Z"},
		{"2026-03-01T06:30:00+01:00", "2026-03-01T05:30:00Z"},
		{"2026-03-01T06:30:00.5Z", "2026-03-01T06:30:00.5Z"},
		{"1764000000123", "2025-11-24T16:00:00.123Z"},
	} {
		got, err := api.ParseTime(tt.in, now, loc)
		if err != nil || got.UTC().Format(time.RFC3339Nano) != tt.want {
			t.Errorf("%s: got %v, %v, want %s", tt.in, got.UTC(), err, tt.want)
		}
	}
	for _, bad := range []string{"", "soon", "2026-03-01", "2026-03-01T06:30", "2026-03-01 06:30:00", "1764000000", "-2h", "2", "24:00", "99999999999999999", "1e3h", "NaN", "2026-02-30T00:00:00Z", "1d-2h", "d", "200000w", "9223372036854775807h"} {
		got, err := api.ParseTime(bad, now, loc)
		var e *greenhouse.Error
		if !errors.Is(err, greenhouse.ErrInvalid) || !errors.As(err, &e) || e.Hint == "" {
			t.Errorf("%q: got %v, %v, want a refusal with a hint", bad, got, err)
		}
	}
	_, err = api.ParseTime("2026-03-01T06:30:00", now, loc)
	if e := (*greenhouse.Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Hint, "time zone") {
		t.Errorf("a time without its zone: got %v, want it said", err)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2h", "1w2d3h", "today", "2026-03-01T06:30:00Z", "1764000000123", "-5m", "9999999w"} {
		f.Add(s)
	}
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := api.ParseDuration(s); err == nil && (d < 0 || d > 101*365*24*time.Hour) {
			t.Errorf("%q is %s", s, d)
		}
		if got, err := api.ParseTime(s, now, time.UTC); err == nil && got.IsZero() {
			t.Errorf("%q is no time and no error", s)
		}
	})
}

// An error comes through a problem body as the same kind, code and hint.
func TestProblemsComeBack(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		exit   int
	}{
		{greenhouse.Invalid("a_b", "wrong").WithHint("right"), 400, 2},
		{greenhouse.NotFound("zone", "x"), 404, 4},
		{greenhouse.Conflict("a_b", "rule"), 409, 5},
		{greenhouse.Unavailable("a_b", "later"), 503, 6},
		{greenhouse.Forbidden("a_b", "no"), 403, 7},
		{fmt.Errorf("open store: %w", greenhouse.ErrUnavailable), 503, 6},
		{&greenhouse.StaleError{Noun: "zone", ID: "x", Had: 1, Have: 2, Current: map[string]int{"version": 2}}, 412, 5},
		{errors.New("secret of ours"), 500, 1},
	} {
		p := api.FromError(fmt.Errorf("wrapped: %w", tt.err), "/v1/x")
		raw, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back api.Problem
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		got := back.Err()
		if p.Status != tt.status || api.ExitCode(got) != tt.exit || api.ExitCode(tt.err) != tt.exit || p.Instance != "/v1/x" || p.Title == "" {
			t.Errorf("%v: got status %d and exit %d, want %d and %d", tt.err, p.Status, api.ExitCode(got), tt.status, tt.exit)
		}
		if tt.status == 500 && strings.Contains(string(raw), "secret") {
			t.Errorf("a fault of ours tells its text: %s", raw)
		}
		var want, e *greenhouse.Error
		if errors.As(tt.err, &want) && (!errors.As(got, &e) || e.Code != want.Code || e.Hint != want.Hint || !errors.Is(e, want.Kind)) {
			t.Errorf("%v: got %+v", tt.err, got)
		}
	}
	var stale *greenhouse.StaleError
	if err := api.FromError(&greenhouse.StaleError{Noun: "node", ID: "x", Had: 3, Have: 5, Current: 7}, "").Err(); !errors.As(err, &stale) || stale.Have != 5 || string(stale.Current.(json.RawMessage)) != "7" {
		t.Errorf("stale edit: got %v", err)
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("x"), 1}, {context.Canceled, 130}, {api.ErrUnreachable, 3},
		{&greenhouse.Error{Kind: api.ErrUnreachable}, 3}, {api.NewProblem(http.StatusUnauthorized, "x", "x").Err(), 7},
		{api.NewProblem(http.StatusTooManyRequests, "x", "x").Err(), 6}, {api.NewProblem(http.StatusUnsupportedMediaType, "x", "x").Err(), 2},
		{api.NewProblem(http.StatusPreconditionRequired, "x", "x").Err(), 2}, {api.NewProblem(http.StatusInternalServerError, "x", "x").Err(), 1},
		{api.NewProblem(http.StatusPreconditionFailed, "x", "x").Err(), 5},
	} {
		if got := api.ExitCode(tt.err); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}

// The access table names each operation once, gives every write at least an
// operator, and changes nothing by GET.
func TestRoutes(t *testing.T) {
	ids, places := map[string]bool{}, map[string]bool{}
	for _, r := range api.Routes() {
		place := r.Method + " " + r.Path
		if ids[r.ID] || places[place] || r.ID == "" || r.What == "" || r.Role.Rank() < 0 {
			t.Errorf("%s (%s) stands there twice or says too little", place, r.ID)
		}
		ids[r.ID], places[place] = true, true
		own := r.ID == "login" || r.ID == "logout" || r.ID == "user-password" // the caller's own affair
		if r.Method != http.MethodGet && !r.Role.May(api.RoleOperator) && !own {
			t.Errorf("%s may be called by %q", place, r.Role)
		}
	}
}

func TestPath(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{api.Path(api.PathPointHistory, "north/air_temp.2"), "/v1/points/north%2Fair_temp.2/history"},
		{api.Path(api.PathZoneTarget, "north", "heating"), "/v1/zones/north/targets/heating"},
		{api.Path(api.PathNode, "../x?y#z"), "/v1/nodes/..%2Fx%3Fy%23z"},
		{api.Path(api.PathNode, "{uid}"), "/v1/nodes/%7Buid%7D"},
		{api.Path(api.PathZones), "/v1/zones"},
		{api.Path(api.PathZones, "extra"), "/v1/zones"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestRolesRank(t *testing.T) {
	order := []api.Role{api.RoleNone, api.RoleViewer, api.RoleOperator, api.RoleGrower, api.RoleAdmin}
	for i, have := range order {
		for j, need := range order {
			if have.May(need) != (i >= j) {
				t.Errorf("%q may what needs %q: got %v", have, need, have.May(need))
			}
		}
	}
	if api.Role("king").May(api.RoleNone) || api.RoleAdmin.May("king") {
		t.Error("an unknown role is of some use")
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	got, err := json.Marshal([]*float64{api.Num(1.5), api.Num(math.NaN()), api.Num(math.Inf(-1))})
	if err != nil || string(got) != "[1.5,null,null]" {
		t.Errorf("got %s, %v", got, err)
	}
	if !math.IsNaN(api.Val(nil)) || api.Val(api.Num(2)) != 2 {
		t.Error("values do not come back")
	}
}

// Lists are never null, whatever is in them.
func TestShapes(t *testing.T) {
	got, err := json.Marshal(api.List[api.Zone]{Items: []api.Zone{}})
	if diff := cmp.Diff(`{"items":[]}`, string(got)); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
}
