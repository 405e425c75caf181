package greenhouse_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"greenhouse"
)

func TestParseHardwareID(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"A4:CF:12:B3:DE:01", "a4cf12b3de01"},
		{"a4-cf-12.b3_de 01", "a4cf12b3de01"},
		{"abcd", "abcd"},
		{strings.Repeat("f", 64), strings.Repeat("f", 64)},
		{"", ""}, {"abc", ""}, {strings.Repeat("f", 65), ""}, {"a4cf/12", ""}, {"a4cf+", ""}, {"а4cf12b3", ""}, {"a4\x00cf", ""}, {strings.Repeat(":", 300), ""},
	} {
		got, err := greenhouse.ParseHardwareID(c.in)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("ParseHardwareID(%q) = %q, %v, want %q", c.in, got, err, c.want)
		}
		if err != nil && !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("ParseHardwareID(%q): %v is not ErrInvalid", c.in, err)
		}
	}
}

// FuzzParseHardwareID holds the law the registry rests on: parsing is
// idempotent, and uids of different devices differ.
func FuzzParseHardwareID(f *testing.F) {
	f.Add("A4:CF:12:B3:DE:01", "a4cf12b3de01")
	f.Add("node-1-2", "node 12")
	f.Fuzz(func(t *testing.T, a, b string) {
		ha, errA := greenhouse.ParseHardwareID(a)
		hb, errB := greenhouse.ParseHardwareID(b)
		if errA != nil || errB != nil {
			return
		}
		if again, err := greenhouse.ParseHardwareID(string(ha)); err != nil || again != ha {
			t.Fatalf("%q is not canonical: %q, %v", ha, again, err)
		}
		ua, ub := greenhouse.MakeUID(greenhouse.TypePH, ha), greenhouse.MakeUID(greenhouse.TypePH, hb)
		if (ha == hb) != (ua == ub) {
			t.Fatalf("uids %q and %q of %q and %q", ua, ub, ha, hb)
		}
		if _, typ, hw, err := greenhouse.ParseUID(string(ua)); err != nil || typ != greenhouse.TypePH || hw != ha {
			t.Fatalf("ParseUID(%q) = %v %v %v", ua, typ, hw, err)
		}
	})
}

func TestParsePointID(t *testing.T) {
	for _, c := range []struct {
		in   string
		ok   bool
		zone greenhouse.ZoneID
		node greenhouse.UID
		name greenhouse.ChannelName
	}{
		{"north/air_temp", true, "north", "", "air_temp"},
		{"north/air_temp.2", true, "north", "", "air_temp"},
		{"@ph-a4cf12b3de01/solution_ph", true, "", "ph-a4cf12b3de01", "solution_ph"},
		{"north/air_temp.1", false, "", "", ""}, {"north/air_temp.02", false, "", "", ""}, {"north/", false, "", "", ""}, {"/x", false, "", "", ""},
		{"North/air_temp", false, "", "", ""}, {"north/air temp", false, "", "", ""}, {"@ph-A4/x", false, "", "", ""}, {"north/a/b", false, "", "", ""}, {"", false, "", "", ""},
	} {
		p, err := greenhouse.ParsePointID(c.in)
		if (err == nil) != c.ok {
			t.Errorf("ParsePointID(%q): %v, want ok=%v", c.in, err, c.ok)
			continue
		}
		if err == nil && (p.Zone() != c.zone || p.Node() != c.node || p.Name() != c.name) {
			t.Errorf("%q: zone %q node %q name %q", p, p.Zone(), p.Node(), p.Name())
		}
	}
	if got := greenhouse.ZonePoint("north", "air_temp", 3); got != "north/air_temp.3" {
		t.Errorf("ZonePoint = %q", got)
	}
}

func TestNodeLifecycleEndsWhereItShould(t *testing.T) {
	all := []greenhouse.NodeState{greenhouse.NodeRegistered, greenhouse.NodeAssigned, greenhouse.NodeActive, greenhouse.NodeDegraded, greenhouse.NodeMaintenance, greenhouse.NodeDecommissioned}
	for _, s := range all {
		if s != greenhouse.NodeDecommissioned && !s.CanBecome(greenhouse.NodeDecommissioned) {
			t.Errorf("a node that is %s cannot be decommissioned", s)
		}
		if s != greenhouse.NodeDecommissioned && greenhouse.NodeDecommissioned.CanBecome(s) {
			t.Errorf("a decommissioned node became %s", s)
		}
	}
	if !greenhouse.NodeActive.CanBecome(greenhouse.NodeDegraded) || greenhouse.NodeRegistered.CanBecome(greenhouse.NodeActive) {
		t.Error("the transition table is not the contract's")
	}
}

func TestTerminalCommandsNeverChange(t *testing.T) {
	all := []greenhouse.CommandState{"queued", "sent", "accepted", "done", "no_effect", "invalid", "busy", "expired", "fenced", "error", "timeout", "superseded", "cancelled"}
	for _, s := range all {
		for _, to := range all {
			if s.Terminal() && s.CanBecome(to) {
				t.Errorf("terminal %s may become %s", s, to)
			}
			if to == "queued" && s.CanBecome(to) {
				t.Errorf("%s may go back to queued", s)
			}
			if !s.Terminal() && to.Terminal() && !s.CanBecome(to) {
				t.Errorf("%s cannot end as %s", s, to)
			}
		}
	}
}

func TestAgeCountsBothClocks(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := greenhouse.Latest{Reading: greenhouse.Reading{At: greenhouse.MillisOf(now.Add(-time.Hour))}, Seen: now.Add(-time.Second)}
	if got := l.Age(now, true); got != time.Hour {
		t.Errorf("a backlog sample that has just arrived is %v old, want 1h", got)
	}
	if got := l.Age(now, false); got != time.Second {
		t.Errorf("with an untrusted clock: %v, want 1s since arrival", got)
	}
	l = greenhouse.Latest{Reading: greenhouse.Reading{At: greenhouse.MillisOf(now)}, Seen: now.Add(-2 * time.Minute)}
	if got := l.Age(now, true); got != 2*time.Minute {
		t.Errorf("a sample from the future that arrived two minutes ago is %v old, want 2m", got)
	}
}

func TestTextFormsComeBack(t *testing.T) {
	for q := greenhouse.Good; q <= greenhouse.Bad; q++ {
		b, err := json.Marshal(q)
		var back greenhouse.Quality
		if err != nil || json.Unmarshal(b, &back) != nil || back != q {
			t.Errorf("quality %v: %s, %v, %v", q, b, err, back)
		}
	}
	for p := greenhouse.PriorityStop; p <= greenhouse.PriorityFailsafe; p++ {
		b, _ := json.Marshal(p)
		var back greenhouse.Priority
		if err := json.Unmarshal(b, &back); err != nil || back != p {
			t.Errorf("priority %v: %s, %v, %v", p, b, err, back)
		}
	}
	if got := greenhouse.MillisOf(time.Time{}); got != 0 || !got.Time().IsZero() {
		t.Errorf("the zero time is %v", got)
	}
}

func TestEveryStandardChannelIsWhole(t *testing.T) {
	names := strings.Fields(`air_temp air_rh vpd co2 ppfd lux solution_ph solution_ec solution_temp tank_level level_low level_high flow soil_moisture
		soil_temp leaf_temp current outside_temp outside_rh wind_speed wind_dir rain solar heater fan vent screen lamp co2_valve irrigation_valve pump_main
		fill_valve pump_acid pump_base pump_a pump_b pump_c pump_d mister circulation`)
	for _, n := range names {
		spec, ok := greenhouse.StandardChannel(greenhouse.ChannelName(n))
		if !ok || spec.Name != greenhouse.ChannelName(n) || spec.Min >= spec.Max || math.IsNaN(spec.Min) {
			t.Errorf("%s: %+v, %v", n, spec, ok)
		}
		if (spec.Kind == greenhouse.Actuator) != (spec.Class != "") {
			t.Errorf("%s is a %s with class %q", n, spec.Kind, spec.Class)
		}
		if spec.Class != "" {
			if _, err := greenhouse.ParseClass(string(spec.Class)); err != nil {
				t.Errorf("%s: %v", n, err)
			}
			if c := spec.Class.Spec(); c.Lease <= 0 {
				t.Errorf("class %s has no lease: it would stay on", c.Class)
			}
		}
	}
}

func TestAValueThatIsNoNumberIsNull(t *testing.T) {
	got, err := json.Marshal(greenhouse.Input{Point: "north/air_temp", Value: math.NaN(), Quality: greenhouse.Bad, AgeS: 3})
	if want := `{"point":"north/air_temp","quality":"bad","age_s":3,"value":null}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

func TestErrorsSayKindAndHint(t *testing.T) {
	err := error(greenhouse.NotFound("zone", "nroth").WithHint("greenctl zone list shows them"))
	var e *greenhouse.Error
	if !errors.Is(err, greenhouse.ErrNotFound) || !errors.As(err, &e) || e.Code != "zone_not_found" || e.Hint == "" {
		t.Errorf("got %#v", err)
	}
	if stale := (&greenhouse.StaleError{Noun: "node", ID: "x", Had: 3, Have: 5}); !errors.Is(stale, greenhouse.ErrConflict) || !strings.Contains(stale.Error(), "version 3, it is 5") {
		t.Errorf("got %v", stale)
	}
}
