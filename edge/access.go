package edge

import (
	"net/netip"

	"greenhouse/broker"
	"greenhouse/store"
	"greenhouse/wire"
)

// access answers the broker's question who a login is, from the registry.
type access struct{ store *store.Store }

// Authenticate implements broker.Authenticator.
func (a access) Authenticate(login, password string, _ netip.AddrPort) (broker.Principal, error) {
	p, err := a.store.Authenticate(login, password)
	if err != nil {
		return broker.Principal{}, err
	}
	switch p.Kind {
	case store.PrincipalNode:
		return broker.Principal{Login: login, Publish: wire.NodePublish(p.UID), Subscribe: wire.NodeSubscribe(p.UID), Node: true}, nil
	case store.PrincipalJoining:
		return broker.Principal{Login: login, Publish: wire.JoinPublish(p.HardwareID), Subscribe: wire.JoinSubscribe(p.HardwareID), Node: true}, nil
	}
	return broker.Principal{Login: login, Publish: p.Publish, Subscribe: p.Subscribe}, nil
}
