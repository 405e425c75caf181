package sim

import (
	"strconv"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// Body is the device around the firmware: its sensors and outputs. Both methods
// must not block; a [Device] of a [World] is one. A Body may also be a [Motors], or have
//
//	PumpRate(greenhouse.ChannelName) float64 // mL/s of a dosing pump at full speed
//	Faults() []NodeFault                     // faults of the node and its link, asked for on every Tick
type Body interface {
	// Read returns a sensor's raw value in the unit of the channel, or the level
	// that an output is seen to have, and whether it could be read.
	Read(ch greenhouse.ChannelName, now time.Time) (value float64, ok bool)
	// Drive asks an output for a level from 0 to 1 and returns the level at which
	// it will then be seen: another one where it is known to be jammed. An error
	// says that the output cannot be reached.
	Drive(ch greenhouse.ChannelName, level float64, now time.Time) (seen float64, err error)
}

// Memory is what a node keeps through a reboot, as JSON fits a flash page.
type Memory struct {
	Boots    uint64       `json:"boots"`            // counts boots, so that no boot id comes twice
	Epoch    uint64       `json:"epoch"`            // the highest seen in a command
	Config   *wire.Config `json:"config,omitempty"` // the one applied last
	Commands []Remembered `json:"commands"`         // the newest last, at most maxRemembered

	Suspect []greenhouse.ChannelName `json:"suspect,omitempty"` // drives whose end switches were off
}

// Remembered is a command that must never act again, and what was answered.
type Remembered struct {
	Expires greenhouse.Millis  `json:"expires"` // the latest heard
	Report  wire.CommandReport `json:"report"`
}

// FirmwareOptions describe a node.
type FirmwareOptions struct {
	UID      greenhouse.UID
	Body     Body
	Channels []wire.HelloChannel // what the device has
	FW       string              // firmware version; "" sends none
	Boot     string              // begins every boot id; "" is "b". Give each run of a process another one where Memory is not kept
	Memory   Memory              // what an earlier run kept

	// Save stores the memory before a command acts, so that a reboot in the
	// middle cannot make it act twice; an error refuses the command. Nil keeps
	// it in the Firmware alone, which survives Reboot.
	Save func(Memory) error

	Backlog     int     // instants of telemetry kept while they cannot be sent; 0 is 1,000
	Window      int     // telemetry messages without PUBACK at most; 0 is 16
	MLPerSecond float64 // what a dosing pump delivers at full speed, mL/s; 0 is 1
	NoClock     bool    // the node asks the daemon for the time
	Seed        uint64  // of the faults that come by chance
}

// Periods and bounds of a node.
const (
	statusPeriod  = 30 * time.Second
	clockPeriod   = time.Hour // between two questions for the time, once it is known
	maxRemembered = 64
	settleTime    = 10 * time.Second // without movement, after which an output will not take a level
	maxPending    = 128              // events and reports without PUBACK
	batchInstants = 50               // instants of a backlog in one message
	bootedBecause = "power_on"
)

// Message is one publication of a node. ID names it for [Firmware.Acked]; it is
// 0 where nothing depends on the PUBACK.
type Message struct {
	ID      uint64
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// Firmware is the reference of the node's side of the wire contract: a pure
// state machine. Every method takes the time, does at once what is due and
// returns what is to be published, in order. The time must not run backwards;
// its monotonic reading counts for leases and timers, its wall reading for ts
// and expires. A Firmware belongs to one goroutine at a time.
type Firmware struct {
	o        FirmwareOptions
	mem      Memory
	boot     string
	bootedAt time.Time
	reset    string
	out      []Message

	linked   bool
	lostAt   time.Time // when the link was lost, or the boot
	lossDone bool      // link_loss_s has run out and the outputs are safe

	body       wire.ConfigBody
	outputs    []output
	sensors    []sensor
	rebootAt   time.Time // zero: no reboot is due
	nextSample time.Time
	nextStatus time.Time
	nextClock  time.Time
	clock      clock
	telemetry  backlog
	pending    []Message // events and reports without PUBACK, oldest first
	lastID     uint64
	faults     []NodeFault
	lent       []NodeFault // those of the Body, as of the last Tick
	dead       bool        // Silent: nothing runs
	stormed    time.Time   // when the last burst of a Storm was sent
	chance     uint64
}

// clock is the wall time of a node without one: a fixed distance from now.
type clock struct {
	known  bool
	offset time.Duration
	nonce  uint64
}

// NewFirmware boots a node: every output goes to its safe level.
func NewFirmware(o FirmwareOptions, now time.Time) *Firmware {
	if o.Backlog == 0 {
		o.Backlog = 1000
	}
	if o.Window == 0 {
		o.Window = 16
	}
	if o.MLPerSecond == 0 {
		o.MLPerSecond = 1
	}
	if o.Boot == "" {
		o.Boot = "b"
	}
	f := &Firmware{o: o, mem: o.Memory, chance: o.Seed}
	f.start(now, bootedBecause)
	return f
}

// Reboot loses everything but the memory. The reason goes into the status. The
// link is gone until Connected.
func (f *Firmware) Reboot(now time.Time, reason string) {
	f.start(now, reason)
}

// start is what happens at power on.
func (f *Firmware) start(now time.Time, reason string) {
	f.mem.Boots++
	f.boot = f.o.Boot + strconv.FormatUint(f.mem.Boots, 36)
	f.bootedAt, f.reset = now, reason
	f.linked, f.lostAt, f.lossDone = false, now, true
	f.rebootAt, f.out, f.pending = time.Time{}, nil, nil
	f.telemetry = backlog{}
	f.clock = clock{known: !f.o.NoClock}
	f.nextSample, f.nextStatus, f.nextClock = now, now, now
	f.addChannels(now)
	f.restoreConfig(now)
	_ = f.save() // where the memory fails, commands are refused before they act
}

// addChannels makes the outputs, at their safe levels, and the sensors.
func (f *Firmware) addChannels(now time.Time) {
	f.outputs, f.sensors = nil, nil
	for _, c := range f.o.Channels {
		if c.Kind != greenhouse.Actuator {
			f.sensors = append(f.sensors, sensor{name: c.Name, gain: 1})
			continue
		}
		spec, _ := greenhouse.StandardChannel(c.Name)
		o := output{name: c.Name, safe: spec.Class.Spec().Safe}
		if f.mem.Boots > 1 {
			o.offSince = now // it may have been on until this moment, so min_off_s counts from here
		}
		f.outputs = append(f.outputs, o)
	}
	for i := range f.outputs {
		f.motorOf(&f.outputs[i], now)
		f.toSafe(&f.outputs[i], now)
	}
}

// Memory returns what must be kept for the next run.
func (f *Firmware) Memory() Memory { return f.mem }

// save stores the memory.
func (f *Firmware) save() error {
	if f.o.Save == nil {
		return nil
	}
	return f.o.Save(f.mem)
}

// BootID returns the boot id, another one after every boot.
func (f *Firmware) BootID() string { return f.boot }

// Online reports whether the node thinks it has a link.
func (f *Firmware) Online() bool { return f.linked }

// Will returns the message that the broker publishes when the link is lost.
func (f *Firmware) Will() Message {
	payload, _ := wire.Status{}.Marshal() // a struct of plain fields cannot fail
	return f.message(wire.KindStatus, payload)
}

// Subscriptions returns the topics the node listens to.
func (f *Firmware) Subscriptions() []string { return wire.NodeSubscribe(f.o.UID) }

// Connected tells the node that it is logged in and subscribed: it says who it
// is, what configuration it has, and everything that was not acknowledged.
func (f *Firmware) Connected(now time.Time) []Message {
	f.linked, f.lossDone = true, false
	f.nextStatus, f.nextClock = now, now
	f.telemetry.resend()
	f.heartbeat(now)
	f.reportConfig()
	f.out = append(f.out, f.pending...)
	f.out = append(f.out, f.telemetry.sent...)
	f.pump(now)
	return f.flush()
}

// Disconnected tells the node that the link is gone.
func (f *Firmware) Disconnected(now time.Time) {
	if f.linked {
		f.linked, f.lostAt, f.lossDone = false, now, false
	}
	f.out = nil
}

// Receive handles a message on one of the node's topics. What is not of the
// contract is passed over.
func (f *Firmware) Receive(now time.Time, topic string, payload []byte) []Message {
	t, err := wire.ParseTopic(topic)
	if err != nil || t.UID != f.o.UID {
		return nil
	}
	switch t.Kind {
	case wire.KindConfig:
		f.configure(now, payload)
	case wire.KindCmd:
		f.command(now, payload)
	case wire.KindTimeReply:
		f.setClock(now, payload)
	}
	return f.flush()
}

// Acked tells the node that the PUBACK for a message came, and returns what may
// be sent in its place.
func (f *Firmware) Acked(now time.Time, id uint64) []Message {
	f.telemetry.acked(id)
	for i := range f.pending {
		if f.pending[i].ID == id {
			f.pending = append(f.pending[:i], f.pending[i+1:]...)
			break
		}
	}
	f.pump(now)
	return f.flush()
}

// Tick does what is due: outputs first, then the measurements and the
// heartbeat.
func (f *Firmware) Tick(now time.Time) []Message {
	f.askFaults()
	if f.isDead(now) {
		return nil
	}
	f.tickOutputs(now)
	if f.dueReboot(now) {
		f.Reboot(now, f.rebootReason(now))
		return nil
	}
	if !now.Before(f.nextSample) {
		f.sample(now)
		f.nextSample = now.Add(time.Duration(f.body.IntervalS) * time.Second)
	}
	if f.linked && !now.Before(f.nextStatus) {
		f.heartbeat(now)
	}
	f.pump(now)
	f.storm(now)
	return f.flush()
}

// Next returns when Tick has something to do.
func (f *Firmware) Next(now time.Time) time.Time {
	next := f.nextSample
	if f.linked && f.nextStatus.Before(next) {
		next = f.nextStatus
	}
	if !f.rebootAt.IsZero() && f.rebootAt.Before(next) {
		next = f.rebootAt
	}
	if at := f.nextOutput(now); !at.IsZero() && at.Before(next) {
		next = at
	}
	if at := f.nextFault(now); !at.IsZero() && at.Before(next) {
		next = at
	}
	if next.Before(now) {
		return now
	}
	return next
}

// heartbeat publishes the status, and asks for the time where it is not known.
func (f *Firmware) heartbeat(now time.Time) {
	uptime := int64(now.Sub(f.bootedAt) / time.Second)
	payload, err := wire.Status{Online: true, FW: f.o.FW, Boot: f.boot, UptimeS: &uptime, Reset: f.reset, Motors: f.motors(now)}.Marshal()
	if err == nil {
		f.out = append(f.out, f.message(wire.KindStatus, payload))
	}
	f.nextStatus = now.Add(statusPeriod)
	if f.o.NoClock && !now.Before(f.nextClock) {
		f.askTime()
	}
}

// askTime publishes a time request.
func (f *Firmware) askTime() {
	f.clock.nonce++
	if payload, err := (wire.TimeRequest{Nonce: f.clock.nonce}).Marshal(); err == nil {
		f.out = append(f.out, f.message(wire.KindTimeRequest, payload))
	}
}

// setClock takes the time from a trusted reply to the last request.
func (f *Firmware) setClock(now time.Time, payload []byte) {
	r, err := wire.DecodeTimeReply(payload)
	if err != nil || !f.o.NoClock || !r.Trusted || r.Nonce != f.clock.nonce {
		return
	}
	f.clock.known, f.clock.offset = true, r.Now.Time().Sub(now)
	f.nextClock = now.Add(clockPeriod)
}

// wall returns the node's wall time for an instant, and whether it has one.
func (f *Firmware) wall(at time.Time) (greenhouse.Millis, bool) {
	return greenhouse.MillisOf(at.Add(f.clock.offset + f.skew(at))), f.clock.known
}

// message makes a message of that kind to or from this node.
func (f *Firmware) message(k wire.Kind, payload []byte) Message {
	return Message{Topic: wire.NodeTopic(k, f.o.UID).String(), Payload: payload, QoS: k.QoS(), Retain: k.Retained()}
}

// keep publishes an event or report, now or when the link is back, until its
// PUBACK. The oldest is given up where there are too many.
func (f *Firmware) keep(k wire.Kind, payload []byte) {
	m := f.message(k, payload)
	f.lastID++
	m.ID = f.lastID
	if len(f.pending) >= maxPending {
		f.pending = f.pending[1:]
	}
	f.pending = append(f.pending, m)
	if f.linked {
		f.out = append(f.out, m)
	}
}

// event publishes something that happened.
func (f *Firmware) event(now time.Time, code string, severity greenhouse.Severity, ch greenhouse.ChannelName, detail string) {
	e := wire.Event{Code: code, Severity: severity, Channel: ch, Detail: []byte(detail)}
	if at, known := f.wall(now); known {
		e.TS = at
	}
	if payload, err := e.Marshal(); err == nil {
		f.keep(wire.KindEvent, payload)
	}
}

// flush hands over what is to be published.
func (f *Firmware) flush() []Message {
	out := f.out
	f.out = nil
	return out
}
