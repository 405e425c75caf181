// Package broker is the MQTT side of the daemon: it accepts nodes, devices that
// want to join, and bridge accounts, and hands what they publish to its owner.
// It is the only room that knows mochi-mqtt, and it trusts it with little:
// mochi decodes packets other than PUBLISH, and answers CONNECT. Everything with
// consequences stands in front of it, and what a connection costs is counted here.
//
// # The way of a packet
//
//	socket → guard (limits at accept, deadline to login, TLS)
//	       → first packet, bounded → mochi: CONNECT and CONNACK, with the login between
//	       → framing of every byte (length, size) → decoding
//	       → SUBSCRIBE, UNSUBSCRIBE, PUBACK, PINGREQ, DISCONNECT
//	       → PUBLISH → Handler.Receive → Ack → PUBACK in publish order → other subscribers
//
// A QoS 1 publish becomes a [Delivery]. It is acknowledged when the owner calls
// [Delivery.Ack], from any goroutine, and never before; the PUBACKs of a client
// leave in the order its publishes came, as many in one write as have gathered.
// [Delivery.Fail] closes the client without a PUBACK, so that it sends again: an
// MQTT 3.1.1 client cannot be told otherwise. Messages reach other subscribers and
// the retained state only after Ack, so nobody acts on what is not yet kept. QoS 0
// and wills are handed over too; they have no acknowledgement.
//
// Nothing is ever published through mochi. Each connection has an outbox of its own:
// bytes are queued; a few goroutines that live only while there is something to
// write give each socket what it takes at once, and where that is not all, one of
// its own goes on under a deadline. A subscriber that stops reading
// costs its own outbox (bounded) and nobody else a moment. Packet ids of the
// two directions are apart, flow control follows the client's Receive Maximum.
//
// # Who may do what
//
// The [Authenticator] says which filters a login may publish to and subscribe to;
// there is no other source of permission and the default is no. A wanted
// subscription must be covered whole by an allowed filter. A will is checked at
// CONNECT. The client id of a node is its login. An account may have several
// connections under client ids of its choice, since those who use one (home
// automation, Tasmota, Shelly) come with their own. Inside, a session is known by
// login and client id together, so that no choice of id reaches a session of
// another login: an owner too must go by the login, never by the client id. A newer
// connection of the same client id closes the older one and is answered only when
// that one is wholly gone.
//
// Sessions are always clean, whatever the client asks: retained state is supplied by
// the owner, who knows it from the registry ([Broker.SetRetained]), and commands are
// issued again by those who want them done. There are no topic
// aliases, shared subscriptions, subscription identifiers, "$" topics, or QoS 2.
//
// # Concurrency
//
// All methods may be called at once from any goroutine, and none waits for a
// client. Handler methods run on the goroutine that reads the client's connection:
// one at a time for one client, at once for different ones. SessionOpened comes
// before the first Receive, SessionClosed after the last, and both before the next
// SessionOpened of the same client id. A Handler that waits delays only that
// client; it should give up when [Delivery.Context] ends. Acked callbacks of
// PublishCommand run on that goroutine too and must not wait. Handlers may call
// Publish and Ack from within; they must not call Close.
//
// Locks, outermost first: a client's acknowledgements, the retained state, the
// subscription index, an outbox, the flushers. The table of sessions stands alone.
//
// # Bounds
//
// Every queue is bounded and every bound is in [Limits]. What does not fit:
// connections are closed at accept, a publisher waits (only its own reader), a
// subscriber loses messages and the loss is counted, a retained message is passed
// on but not kept. Violations are counted by kind and reported at most once a
// minute per client and kind, so that reporting costs nothing under attack.
// Per-address and per-client rates leave loopback alone unless asked.
package broker
