package edge_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/automation"
	"greenhouse/edge"
)

// sabotage stands before the source of the control loop and makes zones panic or
// hang.
type sabotage struct {
	automation.Source
	mu     sync.Mutex
	broken map[greenhouse.ZoneID]bool
	hung   map[greenhouse.ZoneID]chan struct{}
	filled map[greenhouse.ZoneID]time.Time
}

func (s *sabotage) under(src automation.Source) automation.Source {
	s.Source, s.broken, s.hung, s.filled = src, map[greenhouse.ZoneID]bool{}, map[greenhouse.ZoneID]chan struct{}{}, map[greenhouse.ZoneID]time.Time{}
	return s
}

func (s *sabotage) Fill(z greenhouse.ZoneID, now time.Time, in *automation.Input) bool {
	s.mu.Lock()
	broken, hung := s.broken[z], s.hung[z]
	s.filled[z] = now
	s.mu.Unlock()
	ok := s.Source.Fill(z, now, in)
	if hung != nil {
		<-hung
	}
	if broken {
		panic("sabotage")
	}
	return ok
}

func (s *sabotage) breakDown(z greenhouse.ZoneID, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[z] = broken
}

// hang makes a zone hang until what it returns is called.
func (s *sabotage) hang(z greenhouse.ZoneID) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{})
	s.hung[z] = c
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.hung, z)
		close(c)
	}
}

// lag returns how long ago the zone was last decided.
func (s *sabotage) lag(z greenhouse.ZoneID) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.filled[z])
}

// TestOneZoneFails is defect S6: one zone that panics goes safe and is alarmed
// within two cycles; the others are decided on time.
func TestOneZoneFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s sabotage
		g := plant(t, 3, func(o *edge.Options) { o.Faults.Source = s.under })
		g.heats()
		const period = 5 * time.Second
		s.breakDown("north", true)
		took := until(t, 2*period, "zone_failed is raised", func() bool { return g.raised("zone/north", "zone_failed") })
		safe := until(t, 5*time.Second, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		t.Logf("alarm after %v, safe after %v more", took, safe)
		for range 12 {
			pass(period)
			for _, z := range []greenhouse.ZoneID{"south", "nursery"} {
				if lag := s.lag(z); lag > period {
					t.Errorf("zone %s was decided %v ago", z, lag)
				}
			}
		}
		if !g.raised(greenhouse.SiteSource, "cycle_failing") {
			t.Error("a third of the zones fails and cycle_failing is not raised")
		}
		if g.raised("zone/south", "zone_failed") {
			t.Error("a healthy zone is alarmed")
		}
		s.breakDown("north", false)
		until(t, 2*period, "the alarm clears", func() bool { return !g.raised("zone/north", "zone_failed") })
		g.heats()
	})
}

// TestHungZone: a zone that never returns loses its leases and is alarmed; the
// others are decided, and the daemon stops in time.
func TestHungZone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s sabotage
		g := plant(t, 2, func(o *edge.Options) { o.Faults.Source = s.under })
		g.heats()
		release := s.hang("north")
		took := until(t, time.Minute, "the heater is off", func() bool { return g.out(relays, "heater") == 0 })
		t.Logf("safe after %v", took)
		until(t, 15*time.Second, "zone_failed is raised", func() bool { return g.raised("zone/north", "zone_failed") })
		for range 6 {
			pass(5 * time.Second)
			if lag := s.lag("south"); lag > 15*time.Second {
				t.Errorf("the other zone was decided %v ago", lag)
			}
		}
		release()
		g.heats()
	})
}

// TestShares: from a tenth of failed zones it is a warning, from three tenths
// critical.
func TestShares(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var s sabotage
		h := start(t, func(o *edge.Options) { o.Faults.Source = s.under })
		for i := range 20 {
			h.zone(greenhouse.Zone{ID: greenhouse.ZoneID(fmt.Sprintf("z%d", i))})
		}
		for broken := range 8 {
			for i := range broken {
				s.breakDown(greenhouse.ZoneID(fmt.Sprintf("z%d", i)), true)
			}
			pass(10 * time.Second)
			degraded, failing := h.raised(greenhouse.SiteSource, "cycle_degraded"), h.raised(greenhouse.SiteSource, "cycle_failing")
			if degraded != (broken > 2) || failing != (broken >= 6) {
				t.Errorf("%d of 20 zones fail: degraded %v, failing %v", broken, degraded, failing)
			}
		}
	})
}
