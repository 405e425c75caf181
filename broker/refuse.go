package broker

import (
	"net/netip"
	"sync"
	"time"
)

// Kind names what was refused; it is a metric label and never changes meaning.
type Kind string

// What can be refused.
const (
	RefusedConnections  Kind = "connections"       // too many sockets
	RefusedAddress      Kind = "address"           // too many sockets from one address
	RefusedPending      Kind = "pending"           // too many sockets without login
	RefusedTLS          Kind = "tls"               // handshake went wrong
	RefusedTimeout      Kind = "connect_timeout"   // no login in time
	RefusedMalformed    Kind = "malformed"         // bytes that are no MQTT
	RefusedProtocol     Kind = "protocol"          // a packet that may not come here
	RefusedVersion      Kind = "protocol_version"  // neither 3.1.1 nor 5
	RefusedLogin        Kind = "login"             // wrong or missing credentials
	RefusedThrottled    Kind = "login_throttled"   // wrong credentials again and again, answered late
	RefusedUnavailable  Kind = "login_unavailable" // credentials cannot be checked now
	RefusedClientID     Kind = "client_id"         // a client id that does not go with the login
	RefusedSessions     Kind = "sessions"          // too many sessions of one account
	RefusedWill         Kind = "will"              // a will that the client could not publish itself
	RefusedPacketSize   Kind = "packet_size"       // packet or payload too large
	RefusedTopic        Kind = "topic"             // no valid topic
	RefusedQoS          Kind = "qos"               // QoS 2
	RefusedRetain       Kind = "retain"            // retained where nothing may be, or too many
	RefusedPublish      Kind = "publish"           // not allowed to publish there
	RefusedFilter       Kind = "filter"            // no valid filter, or too many
	RefusedSubscription Kind = "subscription"      // not allowed to subscribe there
	RefusedRate         Kind = "rate"              // too many packets; the client was made to wait
	RefusedPanic        Kind = "panic"             // a packet that brought the decoder down
)

// Refusal reports violations of one kind by one client.
type Refusal struct {
	Kind     Kind
	Login    string // empty before login
	ClientID string
	Remote   netip.AddrPort
	Topic    string // topic or filter concerned; cut to the allowed length
	Detail   string // constant text, in English
	Count    uint64 // how many since the last report, this one included
	At       time.Time
}

// maxReporters bounds the memory of what was reported; beyond it, clients share an entry.
const maxReporters = 4096

// reportEvery is how often one kind of violation by one client is reported.
const reportEvery = time.Minute

type reporterKey struct {
	client string
	kind   Kind
}

type report struct {
	last  time.Time
	count uint64 // since last
}

// reporter counts refusals and says which are to be reported.
type reporter struct {
	mu     sync.Mutex
	totals map[Kind]uint64
	seen   map[reporterKey]report
	swept  time.Time
}

// note counts, and returns how many to report now; 0 is none.
func (r *reporter) note(client string, kind Kind, now time.Time) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.totals[kind]++
	k := reporterKey{client, kind}
	e, known := r.seen[k]
	if !known && len(r.seen) >= maxReporters && !r.sweep(now) {
		k.client = ""
		e, known = r.seen[k]
	}
	e.count++
	due := !known || now.Sub(e.last) >= reportEvery
	n := e.count
	if due {
		e = report{last: now}
	}
	r.seen[k] = e
	if !due {
		return 0
	}
	return n
}

// sweep forgets what was reported long ago, and reports whether that made room.
// It does so once a second at most: a full table must not make refusing dear.
func (r *reporter) sweep(now time.Time) bool {
	if now.Sub(r.swept) < time.Second {
		return false
	}
	r.swept = now
	for k, e := range r.seen {
		if now.Sub(e.last) >= reportEvery {
			delete(r.seen, k)
		}
	}
	return len(r.seen) < maxReporters
}

func (r *reporter) snapshot() map[Kind]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := make(map[Kind]uint64, len(r.totals))
	for k, n := range r.totals {
		m[k] = n
	}
	return m
}

// refuse counts a violation of c and reports it if it is time to.
func (b *Broker) refuse(c *conn, kind Kind, topic, detail string) {
	now := b.opts.Now()
	r := Refusal{Kind: kind, Remote: c.remote, Topic: topic[:min(len(topic), b.opts.Limits.Topic)], Detail: detail, At: now}
	client := c.place.key()
	if c.sess != nil {
		r.Login, r.ClientID, client = c.sess.Login, c.sess.ClientID, c.sess.key
	}
	if r.Count = b.reporter.note(client, kind, now); r.Count > 0 {
		b.opts.Handler.Refused(r)
	}
}
