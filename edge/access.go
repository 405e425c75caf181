package edge

import (
	"context"
	"net/netip"

	"greenhouse"
	"greenhouse/broker"
	"greenhouse/store"
	"greenhouse/wire"
)

// access answers the broker's question who a login is, from the registry.
type access struct {
	store *store.Store
	inbox *inbox
	// refused hears who could not log in. It must not wait.
	refused func(login string, from netip.AddrPort)
}

// Authenticate implements broker.Authenticator.
func (a access) Authenticate(login, password string, from netip.AddrPort) (broker.Principal, error) {
	p, err := a.store.Authenticate(login, password)
	if err != nil {
		a.refused(login, from)
		return broker.Principal{}, err
	}
	switch p.Kind {
	case store.PrincipalNode:
		who := broker.Principal{Login: login, Publish: wire.NodePublish(p.UID), Subscribe: wire.NodeSubscribe(p.UID), Node: true}
		if p.First {
			who.Admit = func(ctx context.Context) error { return a.admit(ctx, p.UID, password) }
		}
		return who, nil
	case store.PrincipalJoining:
		return broker.Principal{Login: login, Publish: wire.JoinPublish(p.HardwareID), Subscribe: wire.JoinSubscribe(p.HardwareID), Node: true}, nil
	}
	return broker.Principal{Login: login, Publish: p.Publish, Subscribe: p.Subscribe}, nil
}

// admit settles the first login of a node before it is told that it is in: were it
// recorded afterwards, a hello in between would get another secret, and the one the
// node came with would end a minute later.
func (a access) admit(ctx context.Context, uid greenhouse.UID, secret string) error {
	answer := make(chan error, 1)
	a.inbox.Submit(ctx, job{apply: func(tx *store.Tx) error { return tx.Admit(uid, secret) }, done: func(err error) { answer <- err }})
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
