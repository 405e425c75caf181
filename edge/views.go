package edge

import (
	"errors"
	"sync"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// sessions is what the API may do with the broker. Addresses are gathered at most
// once a second, for a list of nodes asks for each of them.
type sessions struct {
	d *Daemon

	mu       sync.Mutex
	gathered time.Time
	address  map[string]string
}

// Disconnect implements server.Broker.
func (s *sessions) Disconnect(login, reason string) {
	s.d.broker.Disconnect(login, errors.New(reason))
}

// Status implements server.Broker.
func (s *sessions) Status() api.BrokerStatus {
	st := s.d.broker.Stats()
	out := api.BrokerStatus{Listening: s.d.listening.Load() > 0, Addresses: []string{}, Connections: st.Connections, Received: st.Received, Sent: st.Sent}
	if at := s.d.addresses.Load(); at != nil {
		out.Addresses = *at
	}
	for _, n := range st.Refused {
		out.Refused += n
	}
	return out
}

// Address implements server.Broker.
func (s *sessions) Address(login string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.d.opts.Now(); s.address == nil || now.Sub(s.gathered) >= time.Second {
		s.gathered, s.address = now, map[string]string{}
		for _, c := range s.d.broker.Sessions() {
			if c.Remote.IsValid() {
				s.address[c.Login] = c.Remote.String()
			}
		}
	}
	return s.address[login]
}

// presence says to the API which nodes are there.
type presence struct{ d *Daemon }

// Presence implements server.Presence.
func (p presence) Presence(uid greenhouse.UID) (online bool, lastSeen greenhouse.Millis) {
	return p.d.presence.Online(uid, p.d.opts.Now())
}

// health says to the API how the daemon is.
type health struct{ d *Daemon }

// NotReady implements server.Health.
func (h health) NotReady() []string {
	var why []string
	if !h.d.ready.Load() {
		why = append(why, "the daemon is starting or stopping")
	}
	if h.d.listening.Load() == 0 {
		why = append(why, "no MQTT listener is open")
	}
	if st := h.d.telemetry.Stats(); st.Paused {
		why = append(why, "nothing is being stored: "+st.Fault)
	}
	return why
}

// Clock implements server.Health.
func (h health) Clock() greenhouse.Clock { return h.d.clock.Clock(h.d.opts.Now()) }
