package automation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"greenhouse"
	"greenhouse/automation"
)

// site is many zones with one sensor and one heater each. It is source and sink.
type site struct {
	mu      sync.Mutex
	ids     []greenhouse.ZoneID
	zones   map[greenhouse.ZoneID]*greenhouse.Zone
	sensors map[greenhouse.ZoneID]*greenhouse.Point
	heaters map[greenhouse.ZoneID]*greenhouse.Point
	air     map[greenhouse.ZoneID]float64
	panics  map[greenhouse.ZoneID]bool
	hangs   map[greenhouse.ZoneID]chan struct{}
	applied map[greenhouse.ZoneID][]applied
	reports []automation.Report
	place   greenhouse.Site
	costs   time.Duration // what it takes to bring a zone's input up to date
}

// applied is a decision as it came.
type applied struct {
	at     time.Time
	claims []greenhouse.Claim
}

func newSite(n int) *site {
	s := &site{
		zones: map[greenhouse.ZoneID]*greenhouse.Zone{}, sensors: map[greenhouse.ZoneID]*greenhouse.Point{}, heaters: map[greenhouse.ZoneID]*greenhouse.Point{},
		air: map[greenhouse.ZoneID]float64{}, panics: map[greenhouse.ZoneID]bool{}, hangs: map[greenhouse.ZoneID]chan struct{}{}, applied: map[greenhouse.ZoneID][]applied{},
	}
	for i := range n {
		id := greenhouse.ZoneID(fmt.Sprintf("z%d", i))
		s.ids = append(s.ids, id)
		s.zones[id] = &greenhouse.Zone{ID: id, Mode: greenhouse.ModeAuto, Targets: map[greenhouse.Quantity]greenhouse.Target{greenhouse.Heating: {Day: 18, Night: 18}}}
		s.sensors[id] = &greenhouse.Point{ID: greenhouse.ZonePoint(id, "air_temp", 1), Name: "air_temp", Kind: greenhouse.Sensor, Node: "climate-a4cf12b3de01", Zone: id}
		s.heaters[id] = &greenhouse.Point{ID: greenhouse.ZonePoint(id, "heater", 1), Name: "heater", Kind: greenhouse.Actuator, Class: greenhouse.ClassHeaterContactor, Node: "climate-a4cf12b3de01", Zone: id}
		s.air[id] = 15
	}
	return s
}

func (s *site) Zones(dst []greenhouse.ZoneID) []greenhouse.ZoneID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append(dst, s.ids...)
}

func (s *site) Fill(z greenhouse.ZoneID, now time.Time, in *automation.Input) bool {
	s.mu.Lock()
	hang, panics, costs := s.hangs[z], s.panics[z], s.costs
	s.mu.Unlock()
	time.Sleep(costs)
	s.mu.Lock()
	defer s.mu.Unlock()
	in.Zone, in.Site, in.Location, in.Now, in.Trusted = s.zones[z], &s.place, time.UTC, now, true
	in.Sensors = append(in.Sensors[:0], automation.Sensor{Point: s.sensors[z], Heard: true, Latest: greenhouse.Latest{
		Reading: greenhouse.Reading{Point: s.sensors[z].ID, At: greenhouse.MillisOf(now), Value: s.air[z]}, Seen: now}})
	in.Devices = append(in.Devices[:0], automation.Device{Point: s.heaters[z], Known: true})
	in.Outside = nil
	if hang != nil {
		s.mu.Unlock()
		<-hang
		s.mu.Lock()
	}
	if panics {
		panic("sensor table broken")
	}
	return true
}

func (s *site) Apply(d *automation.Decision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied[d.Zone] = append(s.applied[d.Zone], applied{d.At, append([]greenhouse.Claim(nil), d.Wants[0].Claims...)})
}

func (s *site) cycled(r automation.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, r)
}

func (s *site) report() automation.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reports[len(s.reports)-1]
}

func (s *site) lock(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

// of returns the decisions of a zone so far.
func (s *site) of(z greenhouse.ZoneID) []applied {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]applied(nil), s.applied[z]...)
}

func newest(a []applied) applied { return a[len(a)-1] }

// loop runs a loop over a site in a bubble of virtual time.
func loop(t *testing.T, s *site, test func(l *automation.Loop)) {
	synctest.Test(t, func(t *testing.T) {
		l := automation.New(automation.Options{Source: s, Sink: s, OnCycle: s.cycled})
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { l.Run(ctx) })
		test(l)
		cancel()
		done.Wait()
	})
}

func TestEveryZoneIsDecidedEveryPeriod(t *testing.T) {
	s := newSite(300)
	loop(t, s, func(l *automation.Loop) {
		time.Sleep(time.Minute + time.Second)
		for _, id := range s.Zones(nil) {
			if n := len(s.of(id)); n != 13 {
				t.Fatalf("%s was decided %d times in a minute, want 13", id, n)
			}
		}
		if r := l.Last(); r.OK != 300 || r.Total != 300 || r.Failed != 0 || r.Workers != 1 {
			t.Errorf("report %+v", r)
		}
		if st := l.Stats(); st.Cycles != 13 || st.Decisions != 3900 || st.Zones != 300 {
			t.Errorf("stats %+v", st)
		}
	})
}

// TestPoolFollowsTheCost lets a cycle cost more than a tenth of its period and then
// next to nothing: workers come by doubling, up to the most there may be, and go one
// by one; the figures tell.
func TestPoolFollowsTheCost(t *testing.T) {
	s := newSite(100)
	s.costs = 20 * time.Millisecond // 2 s a cycle for one worker
	synctest.Test(t, func(t *testing.T) {
		l := automation.New(automation.Options{Source: s, Sink: s, OnCycle: s.cycled, Workers: 6})
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { l.Run(ctx) })
		time.Sleep(59 * time.Second)
		var took []time.Duration
		var workers []int
		s.lock(func() {
			for _, r := range s.reports[:5] {
				took, workers = append(took, r.Took), append(workers, r.Workers)
			}
			s.costs = 0
		})
		if !slices.Equal(workers, []int{1, 2, 4, 4, 4}) {
			t.Errorf("workers %v, want them doubled until a cycle takes no more than a tenth of its period: %v", workers, took)
		}
		if took[0] < 1900*time.Millisecond || took[4] > 600*time.Millisecond {
			t.Errorf("cycles took %v", took)
		}
		if st := l.Stats(); st.Workers != 4 && st.Workers != 6 || st.Most != took[0] || st.Overruns+st.Late+st.Panics != 0 {
			t.Errorf("stats %+v", st)
		}
		time.Sleep(time.Minute)
		if st := l.Stats(); st.Workers != 1 {
			t.Errorf("%d workers a minute after it became cheap, want 1", st.Workers)
		}
		cancel()
		done.Wait()
	})
}

func TestWakeDecidesAtOnce(t *testing.T) {
	s := newSite(3)
	loop(t, s, func(l *automation.Loop) {
		time.Sleep(6 * time.Second)
		before := len(s.of("z1"))
		l.Wake("z1")
		l.Wake("z1")
		l.Wake("nowhere")
		synctest.Wait()
		if got := len(s.of("z1")) - before; got < 1 || got > 2 {
			t.Errorf("%d decisions after the wake", got)
		}
		if got := len(s.of("z2")); got != before {
			t.Errorf("z2 was decided too: %d, want %d", got, before)
		}
	})
}

func TestOneZonePanicsAlone(t *testing.T) {
	s := newSite(5)
	loop(t, s, func(l *automation.Loop) {
		time.Sleep(2*time.Minute + time.Second)
		s.lock(func() { s.panics["z2"] = true })
		time.Sleep(6 * time.Second)
		r := s.report()
		if r.OK != 4 || r.Failed != 1 || !strings.Contains(r.Errors["z2"], "broken") {
			t.Errorf("report %+v", r)
		}
		last := newest(s.of("z2"))
		if c := last.claims[0]; c.Owner != "zone_failed" || c.Value != 0 || !c.Urgent || c.Priority >= greenhouse.PriorityLoop {
			t.Errorf("claim of the failed zone: %+v", c)
		}
		if _, failing := l.Decided("z2"); failing == "" {
			t.Error("nobody is told why")
		}
		if c := newest(s.of("z1")); c.claims[0].Value != 1 {
			t.Errorf("z1 suffers: %+v", c)
		}
		// protection goes on
		s.lock(func() { s.air["z2"] = 3 })
		time.Sleep(time.Minute)
		last = newest(s.of("z2"))
		if c := last.claims[0]; c.Owner != "frost" || c.Value != 1 {
			t.Errorf("no frost protection in a failed zone: %+v", last.claims)
		}
		s.lock(func() { s.panics["z2"] = false })
		time.Sleep(5 * time.Second)
		if !raised(s.report(), "zone/z2 zone_failed", false) {
			t.Errorf("the alarm does not end: %+v", s.report())
		}
	})
}

// cleared reports whether any cycle said that an alarm is over.
func (s *site) cleared(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.reports, func(r automation.Report) bool { return raised(r, key, false) })
}

// raised reports whether a report says of an alarm that it is active or not.
func raised(r automation.Report, key string, active bool) bool {
	for _, c := range r.Conditions() {
		if string(c.Source)+" "+c.Code == key {
			return c.Active == active
		}
	}
	return false
}

func TestThresholds(t *testing.T) {
	for _, c := range []struct {
		failed          int
		warns, critical bool
	}{{0, false, false}, {1, false, false}, {2, false, false}, {3, true, false}, {5, true, false}, {6, true, true}, {20, true, true}} {
		s := newSite(20)
		for i := range c.failed {
			s.panics[s.ids[i]] = true
		}
		loop(t, s, func(*automation.Loop) {
			time.Sleep(time.Second)
			r := s.report()
			if r.Failed != c.failed || !raised(r, "site cycle_degraded", c.warns) || !raised(r, "site cycle_failing", c.critical) {
				t.Errorf("%d of 20 failed: %+v", c.failed, r.Conditions())
			}
			for i := range c.failed { // one zone alone is alarmed as well
				if !raised(r, "zone/"+string(s.ids[i])+" zone_failed", true) {
					t.Errorf("%s fails without an alarm", s.ids[i])
				}
			}
		})
	}
}

// TestSlowCycleIsAlarmed: from 80 % of the period on the site is told.
func TestSlowCycleIsAlarmed(t *testing.T) {
	for _, c := range []struct {
		took time.Duration
		want bool
	}{{time.Second, false}, {12 * time.Second, false}, {12*time.Second + 1, true}, {20 * time.Second, true}} {
		if r := (automation.Report{Took: c.took, Period: 15 * time.Second, Total: 100, OK: 100}); !raised(r, "site cycle_slow", c.want) {
			t.Errorf("a cycle of %s in 15 s: %+v", c.took, r.Conditions())
		}
	}
}

func TestHangingZoneIsLeftBehind(t *testing.T) {
	s := newSite(6)
	loop(t, s, func(l *automation.Loop) {
		time.Sleep(6 * time.Second)
		release := make(chan struct{})
		s.lock(func() { s.hangs["z0"], s.hangs["z3"] = release, release })
		time.Sleep(30 * time.Second)
		r := s.report()
		if r.Failed != 2 || !raised(r, "zone/z0 zone_failed", true) || !raised(r, "zone/z3 zone_failed", true) {
			t.Errorf("report %+v", r)
		}
		for _, id := range []greenhouse.ZoneID{"z1", "z2", "z4", "z5"} {
			at, failing := l.Decided(id)
			if age := time.Since(at); age > 10*time.Second || failing != "" {
				t.Errorf("%s was decided %s ago (%s)", id, age, failing)
			}
		}
		if age := time.Since(r.At); age > 10*time.Second {
			t.Errorf("the last cycle began %s ago", age)
		}
		s.lock(func() { s.hangs = map[greenhouse.ZoneID]chan struct{}{} })
		close(release)
		time.Sleep(11 * time.Second)
		if r := s.report(); r.Failed != 0 || !s.cleared("zone/z0 zone_failed") {
			t.Errorf("not recovered: %+v", r)
		}
	})
}

func TestDeletedZoneLeavesNoAlarm(t *testing.T) {
	s := newSite(3)
	s.panics["z2"] = true
	loop(t, s, func(l *automation.Loop) {
		time.Sleep(time.Second)
		s.lock(func() { s.ids = s.ids[:2] })
		time.Sleep(5 * time.Second)
		if r := s.report(); r.Total != 2 || !raised(r, "zone/z2 zone_failed", false) {
			t.Errorf("report %+v", r)
		}
		if at, _ := l.Decided("z2"); !at.IsZero() {
			t.Errorf("z2 was decided at %v", at)
		}
	})
}

func TestMemoriesComeBack(t *testing.T) {
	s := newSite(2)
	loop(t, s, func(l *automation.Loop) {
		time.Sleep(time.Minute)
		kept := l.Memories()
		if len(kept) != 2 || kept["z0"].Date == 0 {
			t.Errorf("memories %+v", kept)
		}
		m := kept["z0"]
		m.DLI = 7
		again := automation.New(automation.Options{Source: s, Sink: s, Memory: func(z greenhouse.ZoneID) (automation.Memory, bool) { return m, z == "z0" }})
		again.Cycle(context.Background())
		if got := again.Memories()["z0"].DLI; got != 7 {
			t.Errorf("DLI %v after a restart, want 7", got)
		}
	})
}

func TestWakeWhileBeingDecidedIsNotLost(t *testing.T) {
	s := newSite(1)
	loop(t, s, func(l *automation.Loop) {
		time.Sleep(6 * time.Second)
		release := make(chan struct{})
		s.lock(func() { s.hangs["z0"] = release })
		l.Wake("z0")
		synctest.Wait() // it hangs on old values
		s.lock(func() { s.air["z0"], s.hangs = 3, map[greenhouse.ZoneID]chan struct{}{} })
		l.Wake("z0")
		synctest.Wait()
		close(release)
		synctest.Wait()
		if c := newest(s.of("z0")).claims[0]; c.Owner != "heating" && c.Owner != "frost" {
			t.Errorf("claims %+v", c)
		}
		if got := s.of("z0"); len(got) < 4 {
			t.Errorf("%d decisions: the second wake was lost", len(got))
		}
	})
}
