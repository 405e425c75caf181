package sim

import (
	"math"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// sensor is one measurement of a node.
type sensor struct {
	name         greenhouse.ChannelName
	offset, gain float64 // the configured calibration
	last         float64 // what was read last, before faults
	frozen       float64
	hasFrozen    bool
	wasHigh      bool // a level switch, for edges
}

// instant is what was measured at once.
type instant struct {
	at      time.Time
	samples []wire.Sample
}

// backlog is the telemetry on its way: instants not sent yet, and messages
// without PUBACK.
type backlog struct {
	seq  uint64
	held []instant
	sent []Message
}

// hold adds an instant. Beyond the bound the oldest is lost, and its number is
// left out so that the daemon sees the gap.
func (b *backlog) hold(in instant, bound int) {
	if len(b.held) >= bound {
		b.held = b.held[1:]
		b.seq++
	}
	b.held = append(b.held, in)
}

// acked forgets a message that has its PUBACK.
func (b *backlog) acked(id uint64) {
	for i := range b.sent {
		if b.sent[i].ID == id {
			b.sent = append(b.sent[:i], b.sent[i+1:]...)
			return
		}
	}
}

// resend makes room in the memory of what is sent again after a reconnect.
func (b *backlog) resend() { b.sent = append([]Message(nil), b.sent...) }

// sample measures every sensor, with the levels of the outputs beside them.
func (f *Firmware) sample(now time.Time) {
	in := instant{at: now}
	for i := range f.sensors {
		s := &f.sensors[i]
		if v, ok, sent := f.measure(s, now); sent {
			in.samples = append(in.samples, wire.Sample{Channel: s.name, Value: v, Null: !ok})
			f.edge(s, v, ok, now)
		}
	}
	for i := range f.outputs {
		level := f.look(&f.outputs[i], now)
		in.samples = append(in.samples, wire.Sample{Channel: f.outputs[i].name, Value: level, Null: math.IsNaN(level)})
	}
	if len(in.samples) > 0 {
		f.telemetry.hold(in, f.o.Backlog)
	}
}

// measure reads one sensor through its faults and its calibration; sent is
// false where nothing at all comes out of it.
func (f *Firmware) measure(s *sensor, now time.Time) (v float64, ok, sent bool) {
	v, ok = f.o.Body.Read(f.source(s.name, now), now)
	s.last = v
	v, ok, sent = f.disturb(s, v, ok, now)
	return s.gain*v + s.offset, ok, sent
}

// edge raises an event when a level switch closes, for a dry pump or a full
// tank cannot wait for someone to look at telemetry.
func (f *Firmware) edge(s *sensor, v float64, ok bool, now time.Time) {
	if s.name != "level_low" && s.name != "level_high" || !ok {
		return
	}
	high := v >= 0.5
	if high && !s.wasHigh {
		f.event(now, string(s.name), greenhouse.Warning, s.name, "")
	}
	s.wasHigh = high
}

// pump sends what is held while the window has room: one message for the
// newest instant, backlogs where more have gathered.
func (f *Firmware) pump(now time.Time) {
	for f.linked && len(f.telemetry.sent) < f.o.Window {
		n := f.ready(now)
		if n == 0 {
			return
		}
		held := f.telemetry.held[:n]
		f.telemetry.held = f.telemetry.held[n:]
		f.send(held, now)
	}
}

// ready returns how many of the held instants may go into the next message.
func (f *Firmware) ready(now time.Time) int {
	n := min(len(f.telemetry.held), batchInstants)
	late, isLate := f.fault(Late, "", now)
	if _, shuffled := f.fault(OutOfOrder, "", now); shuffled && n < 2 {
		return 0
	}
	if !isLate {
		return n
	}
	delay := late.period()
	for i, in := range f.telemetry.held[:n] {
		if now.Sub(in.at) < delay {
			return i
		}
	}
	return n
}

// send makes one message of instants. Their time is told as the clock says now,
// so that what was measured before the time was known gets it too.
func (f *Firmware) send(held []instant, now time.Time) {
	f.telemetry.seq++
	msg := wire.Telemetry{Boot: f.boot, Seq: f.telemetry.seq, HasSeq: true}
	for i := range held {
		if _, shuffled := f.fault(OutOfOrder, "", now); shuffled {
			i = len(held) - 1 - i
		}
		at, known := f.wall(held[i].at)
		for _, s := range held[i].samples {
			s.At, s.HasAt = at, known
			msg.Samples = append(msg.Samples, s)
		}
	}
	m := f.message(wire.KindTelemetry, wire.AppendTelemetry(nil, &msg))
	f.lastID++
	m.ID = f.lastID
	f.telemetry.sent = append(f.telemetry.sent, m)
	f.out = append(f.out, m)
	if _, doubled := f.fault(Duplicate, "", now); doubled {
		m.ID = 0
		f.out = append(f.out, m)
	}
}

// storm sends as many messages in a burst each second as the fault says.
func (f *Firmware) storm(now time.Time) {
	x, storming := f.fault(Storm, "", now)
	if !storming || !f.linked || now.Sub(f.stormed) < time.Second {
		return
	}
	f.stormed = now
	at, known := f.wall(now)
	msg := wire.Telemetry{Boot: f.boot}
	for i := range f.sensors {
		msg.Samples = append(msg.Samples, wire.Sample{Channel: f.sensors[i].name, At: at, HasAt: known, Value: f.sensors[i].last})
	}
	for range int(x.strength()) {
		f.out = append(f.out, f.message(wire.KindTelemetry, wire.AppendTelemetry(nil, &msg)))
	}
}
