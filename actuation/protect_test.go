package actuation_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"greenhouse"
	"greenhouse/actuation"
)

// rig is equipment of one class under protection alone.
type rig struct {
	spec greenhouse.ClassSpec
	eq   actuation.Equipment
	now  time.Time
}

func newRig(c greenhouse.Class) *rig {
	r := &rig{spec: c.Spec(), now: time.Now()}
	r.eq.Reset(r.spec, r.now)
	return r
}

// ask wants a level after d and drives the equipment to what is permitted.
func (r *rig) ask(d time.Duration, want float64, safety bool) actuation.Ruling {
	r.now = r.now.Add(d)
	got := r.eq.Permit(r.spec, want, safety, r.now)
	r.eq.Drive(r.spec, got.Level, r.now)
	return got
}

func TestProtect(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	type step struct {
		after  time.Duration
		want   float64
		safety bool
		level  float64
		limit  actuation.Limit
	}
	tests := []struct {
		name  string
		class greenhouse.Class
		steps []step
	}{
		{"off counts from the start", greenhouse.ClassFan, []step{{0, 1, false, 0, actuation.LimitMinOff}, {119 * s, 1, false, 0, actuation.LimitMinOff}, {s, 1, false, 1, ""}}},
		{"shortest time on", greenhouse.ClassFan, []step{{2 * m, 1, false, 1, ""}, {119 * s, 0, false, 1, actuation.LimitMinOn}, {s, 0, false, 0, ""}}},
		{"a safety off never waits", greenhouse.ClassFan, []step{{2 * m, 1, false, 1, ""}, {s, 0, true, 0, ""}}},
		{"a safety on of a fan does not wait", greenhouse.ClassFan, []step{{s, 1, true, 1, ""}}},
		{"a burner is not relit at once even for safety", greenhouse.ClassBurner, []step{{s, 1, true, 0, actuation.LimitMinOff}, {3 * m, 1, true, 1, ""}}},
		{"starts an hour", greenhouse.ClassLampHPS, []step{{20 * m, 1, false, 1, ""}, {15 * m, 0, false, 0, ""}, {20 * m, 1, false, 0, actuation.LimitStarts}, {5 * m, 1, false, 1, ""}}},
		{"safety passes the budget", greenhouse.ClassLampHPS, []step{{20 * m, 1, false, 1, ""}, {15 * m, 0, false, 0, ""}, {20 * m, 1, true, 1, ""}}},
		{"longest run and rest", greenhouse.ClassCO2Valve, []step{{m, 1, false, 1, ""}, {30 * m, 1, false, 0, actuation.LimitMaxRun}, {7 * m, 1, false, 0, actuation.LimitMaxRun}, {31 * s, 1, false, 1, ""}}},
		{"the longest run of heat against frost", greenhouse.ClassHeaterSSR, []step{{m, 1, false, 1, ""}, {13 * h, 1, true, 1, ""}}},
		{"a step too small", greenhouse.ClassVent, []step{{2 * m, 0.04, false, 0, actuation.LimitMinStep}, {0, 0.05, false, 0.05, ""}}},
		{"the ends are reached by any step", greenhouse.ClassVent, []step{{2 * m, 0.98, false, 0.98, ""}, {m, 1, false, 1, ""}}},
		{"two moves too close", greenhouse.ClassVent, []step{{2 * m, 0.5, false, 0.5, ""}, {59 * s, 0.8, false, 0.5, actuation.LimitMinInterval}, {s, 0.8, false, 0.8, ""}}},
		{"safety moves at once", greenhouse.ClassVent, []step{{2 * m, 0.5, false, 0.5, ""}, {s, 0, true, 0, ""}}},
		{"time on within an hour", greenhouse.ClassFogger, []step{{m, 1, false, 1, ""}, {10 * m, 1, false, 0, actuation.LimitMaxRun}, {150 * s, 1, false, 1, ""}, {10 * m, 1, false, 0, actuation.LimitMaxRun},
			{150 * s, 1, false, 1, ""}, {10 * m, 1, false, 0, actuation.LimitMaxRun}, {150 * s, 1, false, 0, actuation.LimitHour}, {m, 1, true, 1, ""}, {s, 0, true, 0, ""}, {25 * m, 1, false, 1, ""}}},
		{"time on within a day", greenhouse.ClassLampLED, []step{{m, 1, false, 1, ""}, {10 * h, 0, false, 0, ""}, {h, 1, false, 1, ""}, {9*h + 59*m, 1, false, 1, ""}, {m, 1, false, 0, actuation.LimitDay},
			{3*h + 49*m, 1, false, 0, actuation.LimitDay}, {m, 1, true, 1, ""}, {m, 0, true, 0, ""}, {2 * h, 1, false, 1, ""}, {10 * m, 1, false, 1, ""}}},
		{"never held", greenhouse.ClassDosingPump, []step{{h, 1, true, 0, actuation.LimitOneShot}}},
		{"safe is on", greenhouse.ClassCirculation, []step{{m, 0, false, 0, ""}, {s, 1, false, 0, actuation.LimitMinOff}, {59 * s, 1, false, 1, ""}, {100 * h, 1, false, 1, ""}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(tt.class)
			for i, st := range tt.steps {
				if got := r.ask(st.after, st.want, st.safety); got.Level != st.level || got.Limit != st.limit {
					t.Fatalf("step %d: got %+v, want level %v, limit %q", i, got, st.level, st.limit)
				}
			}
		})
	}
}

// TestProtectionHolds: whatever is wanted, and whenever, no limit is broken
// unless safety asked.
func TestProtectionHolds(t *testing.T) {
	classes := []greenhouse.Class{greenhouse.ClassHeaterSSR, greenhouse.ClassHeaterContactor, greenhouse.ClassBurner, greenhouse.ClassHeaterMaster, greenhouse.ClassFan,
		greenhouse.ClassLampHPS, greenhouse.ClassLampLED, greenhouse.ClassIrrigationPump, greenhouse.ClassCO2Valve, greenhouse.ClassFogger}
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(rapid.SampledFrom(classes).Draw(t, "class"))
		var starts, ons, offs []time.Time // of whole runs
		on, off, level := r.now, r.now, 0.0
		for range 300 {
			d := time.Duration(rapid.IntRange(1, 600).Draw(t, "after")) * time.Second
			safety := rapid.IntRange(0, 19).Draw(t, "safety") == 0
			want := float64(rapid.IntRange(0, 1).Draw(t, "want"))
			got := r.ask(d, want, safety)
			switch {
			case level == 0 && got.Level > 0:
				if age := r.now.Sub(off); !safety && age < r.spec.MinOff {
					t.Fatalf("on after %s off, want %s", age, r.spec.MinOff)
				}
				starts = append(starts, r.now)
				if n := len(starts) - 1 - r.spec.StartsPerHour; !safety && r.spec.StartsPerHour > 0 && n >= 0 && r.now.Sub(starts[n]) < time.Hour {
					t.Fatalf("%d starts within an hour, want %d", r.spec.StartsPerHour+1, r.spec.StartsPerHour)
				}
				on = r.now
				ons = append(ons, on)
			case level > 0 && got.Level == 0:
				if age := r.now.Sub(on); !safety && age < r.spec.MinOn && got.Limit != actuation.LimitMaxRun && got.Limit != actuation.LimitHour && got.Limit != actuation.LimitDay {
					t.Fatalf("off after %s on, want %s", age, r.spec.MinOn)
				}
				off = r.now
				offs = append(offs, off)
			case got.Level > 0 && !safety && r.spec.MaxRun > 0 && r.now.Sub(on) >= r.spec.MaxRun:
				t.Fatalf("on for %s, want %s at most", r.now.Sub(on), r.spec.MaxRun)
			}
			if got.Level > 0 && !safety && got.Limit != actuation.LimitMinOn {
				for window, most := range map[time.Duration]time.Duration{time.Hour: r.spec.MaxOnHour, 24 * time.Hour: r.spec.MaxOnDay} {
					if used := within(ons, offs, r.now, window); most > 0 && used >= most {
						t.Fatalf("on with %s used within %s, want %s at most", used, window, most)
					}
				}
			}
			if safety && want == 0 && got.Level > 0 {
				t.Fatal("a safety off waited")
			}
			level = got.Level
		}
	})
}

// within adds up what runs lasted within a window that ends at now.
func within(ons, offs []time.Time, now time.Time, window time.Duration) (sum time.Duration) {
	for i, on := range ons {
		off := now
		if i < len(offs) {
			off = offs[i]
		}
		cut := now.Add(-window)
		if on.Before(cut) {
			on = cut
		}
		sum += max(0, off.Sub(on))
	}
	return sum
}

func TestStateSurvivesOnlyAsFarAsTheClockCanTell(t *testing.T) {
	tests := []struct {
		name    string
		trusted bool
		away    time.Duration
		starts  int
	}{
		{"trusted", true, 50 * time.Minute, 1},
		{"not trusted", false, 50 * time.Minute, 2},
		{"clock went back", true, -50 * time.Minute, 2},
		{"long ago", true, 2 * time.Hour, 0},
		{"long ago, not trusted", false, 2 * time.Hour, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.add("north/lamp", greenhouse.ClassLampHPS)
			w.want("north/lamp", 1)
			w.run(1300 * time.Second)
			state := w.ctl.State()
			w.clock.Add(tt.away)
			w.options.State, w.options.ClockTrusted = &state, tt.trusted
			w.restart()
			if l, _ := w.ctl.Level("north/lamp"); l.StartsHour != tt.starts {
				t.Errorf("got %d starts counted, want %d", l.StartsHour, tt.starts)
			}
		})
	}
}

// TestTimeOnSurvives: what a lamp burnt counts after a restart; time away counts
// for it only where the clock can tell how long that was, and counters nobody can
// read leave half a day's worth.
func TestTimeOnSurvives(t *testing.T) {
	const h = time.Hour
	tests := []struct {
		name    string
		trusted bool
		lost    bool
		away    time.Duration
		left    time.Duration // about
	}{
		{"at once", true, false, 0, 8 * h},
		{"half of it left the day", true, false, 18 * h, 14 * h},
		{"a day later", true, false, 25 * h, 20 * h},
		{"a day later, not trusted", false, false, 25 * h, 8 * h},
		{"clock went back", true, false, -25 * h, 8 * h},
		{"lost", true, true, 25 * h, 10 * h},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.add("north/lamp", greenhouse.ClassLampLED)
			w.want("north/lamp", 1)
			w.run(12*h + 2*time.Minute)
			state := w.ctl.State()
			w.clock.Add(tt.away)
			w.options.State, w.options.ClockTrusted, w.options.StateLost = &state, tt.trusted, tt.lost
			if tt.lost {
				w.options.State = nil
			}
			w.restart()
			w.run(time.Second)
			v, _ := w.ctl.Verdict("north/lamp")
			if got := time.Duration(v.Timers["on_day_left"]) * time.Second; got < tt.left-5*time.Minute || got > tt.left {
				t.Errorf("%s left of the day, want %s or a little less", got, tt.left)
			}
		})
	}
}

// TestTimeOnIsExplained: a spent budget is a claim of protection, with the time
// until it is free again, as an obstacle too.
func TestTimeOnIsExplained(t *testing.T) {
	w := newWorld(t)
	out := w.add("north/lamp", greenhouse.ClassLampLED)
	w.plant.Actuators[0].MaxOnDay = 10 * time.Minute
	w.ctl.Sync(w.plant)
	w.want("north/lamp", 1)
	w.run(5 * time.Minute)
	wantLevel(t, out, 1, "before its ten minutes are over")
	w.run(8 * time.Minute)
	wantLevel(t, out, 0, "after them")
	v, _ := w.ctl.Verdict("north/lamp")
	if v.Winner.Priority != greenhouse.PriorityProtection || v.Winner.Owner != "max_on_day" || v.Timers["max_on_day"] < 85000 {
		t.Errorf("got %+v, timers %v, want max_on_day with most of a day left", v.Winner, v.Timers)
	}
	list, _ := w.ctl.Obstacles("north/lamp", 1)
	if len(list) == 0 || list[0].Owner != "max_on_day" || list[0].LeftS == 0 {
		t.Errorf("got obstacles %+v, want max_on_day with its end", list)
	}
}
