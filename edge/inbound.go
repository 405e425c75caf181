package edge

import (
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
	"greenhouse/broker"
	"greenhouse/fleet"
	"greenhouse/store"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

// inbound takes every publish that passed the broker's access check and brings
// it to the room that keeps it. Its methods run on the goroutines of clients.
type inbound struct {
	d        *Daemon
	log      *slog.Logger
	decoders sync.Pool // of *scratch
	bad      complaints
	counts   inboundCounts
}

// inboundCounts count since start.
type inboundCounts struct {
	strange   atomic.Uint64 // messages of nodes that are not in the registry
	malformed atomic.Uint64 // messages that could not be understood
	refused   atomic.Uint64 // samples refused in messages that were kept
	unrouted  atomic.Uint64 // samples of channels nobody declared
}

// Received counts what came from nodes and could not be kept, since start.
type Received struct {
	Malformed uint64 // messages that could not be understood
	Strange   uint64 // messages in the name of nodes that are not in service
	Refused   uint64 // samples refused in messages that were kept
	Unrouted  uint64 // samples of channels nobody declared
}

// Received returns the counts of now. It may be called from any goroutine.
func (d *Daemon) Received() Received {
	c := &d.inbound.counts
	return Received{Malformed: c.malformed.Load(), Strange: c.strange.Load(), Refused: c.refused.Load(), Unrouted: c.unrouted.Load()}
}

// scratch is what decoding one telemetry message needs.
type scratch struct {
	decoder wire.Decoder
	message wire.Telemetry
}

func newInbound(d *Daemon) *inbound {
	return &inbound{d: d, log: d.log, decoders: sync.Pool{New: func() any { return new(scratch) }}, bad: complaints{last: map[greenhouse.Source]time.Time{}}}
}

// Receive implements broker.Handler.
func (in *inbound) Receive(m *broker.Delivery) {
	t, err := wire.ParseTopic(m.Topic)
	if err != nil || !t.Kind.Up() {
		m.Ack() // a bridge's own topic: passed on, not kept
		return
	}
	switch t.Kind {
	case wire.KindTelemetry:
		in.telemetry(t.UID, m)
	case wire.KindTelemetryChannel:
		in.bare(t.UID, t.Channel, m)
	case wire.KindStatus:
		in.status(t.UID, m)
	case wire.KindHello:
		in.hello(t.HardwareID, m)
	case wire.KindEvent:
		in.event(t.UID, m)
	case wire.KindConfigReport:
		in.configReport(t.UID, m)
	case wire.KindCmdReport:
		in.commandReport(t.UID, m)
	case wire.KindTimeRequest:
		in.time(t.UID, m)
	default:
		m.Ack()
	}
}

// settle tells the client what became of its message.
func settle(m *broker.Delivery) func(error) {
	return func(err error) {
		if err != nil {
			m.Fail(err)
			return
		}
		m.Ack()
	}
}

// telemetry takes one message of readings.
func (in *inbound) telemetry(uid greenhouse.UID, m *broker.Delivery) {
	s := in.decoders.Get().(*scratch)
	defer in.decoders.Put(s)
	if err := s.decoder.Telemetry(m.Payload, &s.message); err != nil {
		in.unreadable(uid, m, err)
		return
	}
	b := &telemetry.Batch{Node: uid, Boot: s.message.Boot, Seq: s.message.Seq, HasSeq: s.message.HasSeq, Refused: len(s.message.Refused)}
	if len(s.message.Refused) > 0 {
		in.counts.refused.Add(uint64(len(s.message.Refused)))
		in.complain(uid, "sample_refused", s.message.Refused[0].Channel+": "+s.message.Refused[0].Reason)
	}
	in.route(uid, m, b, s.message.Samples)
}

// bare takes one value from a device that can do no more.
func (in *inbound) bare(uid greenhouse.UID, ch greenhouse.ChannelName, m *broker.Delivery) {
	v, null, err := wire.BareValue(m.Payload)
	if err != nil {
		in.unreadable(uid, m, err)
		return
	}
	in.route(uid, m, &telemetry.Batch{Node: uid}, []wire.Sample{{Channel: ch, Value: v, Null: null}})
}

// node returns a node that is in service. What comes in the name of any other
// can only be from an account that may write there: it is counted and passed on,
// and the answer is false.
func (in *inbound) node(uid greenhouse.UID, m *broker.Delivery) (*greenhouse.Node, bool) {
	n, ok := in.d.store.Registry().Nodes[uid]
	if ok && n.ReplacedBy != "" {
		in.replaced(n)
		m.Ack()
		return nil, false
	}
	if ok && n.State != greenhouse.NodeDecommissioned {
		return n, true
	}
	in.counts.strange.Add(1)
	in.complainOf(greenhouse.Source("client/"+m.Login), m.Login, "node_unknown", "no node "+string(uid)+" is in service")
	in.d.knocked(fleet.Knock{ID: string(uid), Code: "node_unknown", Text: "no node of that name is in service", Via: m.Login, Address: in.d.addressOf(m.Login)})
	m.Ack()
	return nil, false
}

// replaced notes that a node speaks whose place another one has: nothing it says
// is kept, and that it says it is journalled.
func (in *inbound) replaced(n *greenhouse.Node) {
	in.counts.strange.Add(1)
	in.complain(n.UID, "node_replaced", "node "+string(n.ReplacedBy)+" has its place: what it sends is not kept until it is assigned anew")
}

// await has the registry changed while this client waits, for what the message
// says depends on it. An error that another attempt might cure ends the
// connection without acknowledgement; then, too, the answer is false.
func (in *inbound) await(m *broker.Delivery, apply func(*store.Tx) error) (refused error, ok bool) {
	answer := make(chan error, 1)
	in.d.inbox.Submit(m.Context(), job{apply: apply, done: func(err error) { answer <- err }})
	var err error
	select {
	case err = <-answer:
	case <-m.Context().Done():
		err = context.Cause(m.Context())
	}
	if err != nil && !refusedForGood(err) {
		m.Fail(err)
		return nil, false
	}
	return err, true
}

// route finds the point of every sample and submits the batch. A channel with a
// standard name is created by its first sample: then this client waits for that
// transaction.
func (in *inbound) route(uid greenhouse.UID, m *broker.Delivery, b *telemetry.Batch, samples []wire.Sample) {
	reg := in.d.store.Registry()
	if n, known := reg.Nodes[uid]; known && n.ReplacedBy != "" {
		in.replaced(n)
		b.Arrived, b.QoS0, b.Refused = m.Arrived, m.QoS == 0, b.Refused+len(samples)
		in.store(m, b) // the loss is on record before it is acknowledged
		return
	}
	if _, ok := in.node(uid, m); !ok {
		return
	}
	var fresh []greenhouse.ChannelName
	for _, s := range samples {
		if _, ok := reg.Route(uid, s.Channel); ok {
			continue
		}
		if _, standard := greenhouse.StandardChannel(s.Channel); standard && !slices.Contains(fresh, s.Channel) {
			fresh = append(fresh, s.Channel)
		}
	}
	if len(fresh) > 0 {
		refused, ok := in.await(m, func(tx *store.Tx) error { return ensureChannels(tx, uid, fresh) })
		if !ok {
			return
		}
		if refused != nil { // as for a node with too many channels: the others of the message are kept
			in.complain(uid, "channel_refused", refused.Error())
		}
		reg = in.d.store.Registry()
	}
	in.submit(reg, uid, m, b, samples)
}

func ensureChannels(tx *store.Tx, uid greenhouse.UID, names []greenhouse.ChannelName) error {
	tx.As(string(greenhouse.NodeSource(uid)))
	for _, n := range names {
		spec, _ := greenhouse.StandardChannel(n)
		if _, _, err := tx.EnsureChannel(uid, n, spec); err != nil {
			return err
		}
	}
	return nil
}

func (in *inbound) submit(reg *store.Registry, uid greenhouse.UID, m *broker.Delivery, b *telemetry.Batch, samples []wire.Sample) {
	arrived := greenhouse.MillisOf(m.Arrived)
	b.Arrived, b.QoS0 = m.Arrived, m.QoS == 0
	b.Readings = make([]greenhouse.Reading, 0, len(samples))
	var timed []greenhouse.Reading // those without a time of their own come first
	for _, s := range samples {
		c, ok := reg.Channel(uid, s.Channel)
		if !ok {
			b.Refused++
			in.counts.unrouted.Add(1)
			in.d.pending.Channel(uid, s.Channel, s.Value, m.Arrived)
			in.complain(uid, "channel_unknown", string(s.Channel)+" is no standard name and was not declared by the node")
			continue
		}
		r := greenhouse.Reading{Point: c.Point, At: arrived, Value: s.Value}
		if c.CalEdge || c.Comp != nil {
			r.Value, r.Quality = in.corrected(reg, uid, c, s, samples)
		}
		if s.Null {
			r.Value, r.Quality = math.NaN(), greenhouse.Bad
		}
		if s.HasAt {
			r.At = s.At
			timed = append(timed, r)
		} else {
			b.Readings = append(b.Readings, r)
		}
	}
	b.Stamped, b.Readings = len(b.Readings), append(b.Readings, timed...)
	in.d.presence.Heard(uid, m.Arrived)
	in.store(m, b)
}

// store hands a batch to the committer, which acknowledges it after its sync.
func (in *inbound) store(m *broker.Delivery, b *telemetry.Batch) {
	b.Done = settle(m)
	switch err := in.d.telemetry.Submit(m.Context(), b); {
	case err == nil:
	case refusedForGood(err):
		in.malformed(b.Node, m, err)
	default:
		m.Fail(err)
	}
}

// unreadable takes telemetry that cannot be understood: what it may have held
// is recorded as lost, one sample as far as anybody can tell, before it is
// acknowledged.
func (in *inbound) unreadable(uid greenhouse.UID, m *broker.Delivery, err error) {
	in.counts.malformed.Add(1)
	in.complain(uid, "payload_invalid", m.Topic+": "+err.Error())
	in.store(m, &telemetry.Batch{Node: uid, Arrived: m.Arrived, QoS0: m.QoS == 0, Refused: 1})
}

// malformed counts and journals a message that cannot be understood, and
// acknowledges it: sending it again would not make it better.
func (in *inbound) malformed(uid greenhouse.UID, m *broker.Delivery, err error) {
	in.counts.malformed.Add(1)
	in.complain(uid, "payload_invalid", m.Topic+": "+err.Error())
	m.Ack()
}

// complain journals what is wrong with a node, at most once an hour for each.
func (in *inbound) complain(uid greenhouse.UID, code, text string) {
	in.complainOf(greenhouse.NodeSource(uid), string(greenhouse.NodeSource(uid)), code, text)
}

// complainOf is complain for any source.
func (in *inbound) complainOf(source greenhouse.Source, actor, code, text string) {
	now := in.d.opts.Now()
	if !in.bad.due(source, now) {
		return
	}
	in.log.Warn("message cannot be kept", "source", source, "code", code, "why", text)
	in.d.clerk.strange(greenhouse.Event{TS: greenhouse.MillisOf(now), Code: "payload_refused", Source: source, Actor: actor, Detail: detail("reason", code, "text", clip(text))})
}

// complaints remembers who was complained about lately.
type complaints struct {
	mu   sync.Mutex
	last map[greenhouse.Source]time.Time
}

const (
	complaintEvery = time.Hour // how often one node's bad messages are journalled
	complaintBound = 16_384    // sources remembered; beyond it the others are only counted
)

func (c *complaints) due(source greenhouse.Source, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.last[source]; ok && now.Sub(t) < complaintEvery {
		return false
	}
	if len(c.last) >= complaintBound {
		maps.DeleteFunc(c.last, func(_ greenhouse.Source, t time.Time) bool { return now.Sub(t) >= complaintEvery })
		if len(c.last) >= complaintBound {
			return false
		}
	}
	c.last[source] = now
	return true
}
