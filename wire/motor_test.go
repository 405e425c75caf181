package wire_test

import (
	"testing"

	"greenhouse"
	"greenhouse/wire"
)

// TestStatusMotors checks that what a heartbeat says of drives is read where it makes
// sense, and costs the heartbeat nothing where it does not.
func TestStatusMotors(t *testing.T) {
	half := 0.5
	for _, c := range []struct {
		motors string
		want   map[greenhouse.ChannelName]wire.Motor
	}{
		{`{"vent":{"state":"known","position":0.5,"travel_s":180}}`, map[greenhouse.ChannelName]wire.Motor{"vent": {State: greenhouse.MotorKnown, Position: &half, TravelS: 180}}},
		{`{"vent":{"state":"unknown","position":null},"Screen":{"state":"known"}}`, map[greenhouse.ChannelName]wire.Motor{"vent": {State: greenhouse.MotorUnknown}}},
		{`{"vent":{"state":"suspect","position":7,"travel_s":-1}}`, map[greenhouse.ChannelName]wire.Motor{"vent": {State: greenhouse.MotorSuspect}}},
		{`{"vent":{"state":"lost"}}`, nil},
		{`{"vent":{"position":0.5}}`, nil},
		{`{"vent":3}`, nil},
		{`[1]`, nil},
		{`"none"`, nil},
		{`null`, nil},
	} {
		s, err := wire.DecodeStatus([]byte(`{"v":1,"online":true,"boot":"k3f9","motors":` + c.motors + `}`))
		if err != nil || !s.Online || s.Boot != "k3f9" {
			t.Errorf("%s: got %+v, %v", c.motors, s, err)
			continue
		}
		if len(s.Motors) != len(c.want) {
			t.Errorf("%s: got %v, want %v", c.motors, s.Motors, c.want)
		}
		for ch, m := range c.want {
			got := s.Motors[ch]
			if got.State != m.State || got.TravelS != m.TravelS || (got.Position == nil) != (m.Position == nil) || m.Position != nil && *got.Position != *m.Position {
				t.Errorf("%s: got %+v of %s, want %+v", c.motors, got, ch, m)
			}
		}
	}
}
