package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"greenhouse"
	"greenhouse/actuation"
	"greenhouse/broker"
	"greenhouse/store"
	"greenhouse/telemetry"
	"greenhouse/wire"
)

// hello lets a device join: one write transaction, then the answer, then the
// acknowledgement.
func (in *inbound) hello(hw greenhouse.HardwareID, m *broker.Delivery) {
	h, err := wire.DecodeHello(m.Payload)
	if err == nil && h.HardwareID != hw {
		err = greenhouse.Invalid("hardware_id_mismatch", "the hello says %s and its topic %s", h.HardwareID, hw)
	}
	if err != nil {
		in.counts.malformed.Add(1)
		in.complainOf(greenhouse.Source("client/"+m.Login), m.Login, "hello_invalid", err.Error())
		in.refusedHello(hw, nil, refusal(err), m.Login)
		in.welcome(m.Login, hw, refusal(err))
		m.Ack()
		return
	}
	var res store.JoinResult
	in.d.inbox.Submit(m.Context(), job{
		apply: func(tx *store.Tx) (err error) {
			res, err = in.join(tx, h)
			return err
		},
		done: func(err error) {
			switch {
			case err == nil:
				in.d.pending.Entered(string(hw))
				in.welcome(m.Login, hw, wire.Welcome{OK: true, UID: res.Node.UID, Secret: res.Secret})
				m.Ack()
			case refusedForGood(err):
				in.refusedHello(hw, &h, refusal(err), m.Login)
				in.welcome(m.Login, hw, refusal(err))
				m.Ack()
			default:
				m.Fail(err)
			}
		},
	})
}

// join registers a device and journals what came of it, in one transaction.
func (in *inbound) join(tx *store.Tx, h wire.Hello) (store.JoinResult, error) {
	req := store.JoinRequest{HardwareID: h.HardwareID, Type: h.Type, Name: h.Name, FW: h.FW, HW: h.HW}
	for _, c := range h.Channels {
		req.Channels = append(req.Channels, greenhouse.Channel{Name: c.Name, Kind: c.Kind, Unit: c.Unit})
	}
	tx.As("device/" + string(h.HardwareID))
	res, err := tx.Join(req, tx.Now())
	if err != nil {
		return res, err
	}
	source := greenhouse.NodeSource(res.Node.UID)
	e := greenhouse.Event{TS: greenhouse.MillisOf(tx.Now()), Source: source, Actor: "device/" + string(h.HardwareID)}
	switch {
	case res.Created:
		e.Code, e.Detail = "node_registered", detail("type", string(res.Node.Type), "name", res.Node.Name, "by", "hello")
	case res.Conflict:
		e.Code, e.Detail = "identity_conflict", detail("text", "a hello came under the id of a node that already has its secret")
	default:
		return res, nil
	}
	_, err = in.d.journal.Append(tx, e)
	return res, err
}

// refusedForGood reports whether trying the same again cannot help.
func refusedForGood(err error) bool {
	return errors.Is(err, greenhouse.ErrInvalid) || errors.Is(err, greenhouse.ErrForbidden) || errors.Is(err, greenhouse.ErrConflict) || errors.Is(err, greenhouse.ErrNotFound)
}

// refusal is the answer to a hello that was not granted.
func refusal(err error) wire.Welcome {
	w := wire.Welcome{Error: "invalid", Message: err.Error()}
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) {
		w.Error = e.Code
	}
	return w
}

// welcome answers whoever sent the hello, and nobody else: the answer has a
// secret in it, which an account that reads everything must not see.
func (in *inbound) welcome(login string, hw greenhouse.HardwareID, w wire.Welcome) {
	payload, err := w.Marshal()
	if err == nil {
		err = in.d.broker.PublishCommand(login, wire.WelcomeTopic(hw).String(), payload, nil)
	}
	if err != nil {
		in.log.Warn("welcome not sent", "hardware_id", hw, "error", err)
	}
}

// status takes a heartbeat. What it says of the node's health becomes readings
// of the node's own points, so that it is on disk before it is acknowledged;
// the registry is written only when boot, firmware or lifecycle changed.
func (in *inbound) status(uid greenhouse.UID, m *broker.Delivery) {
	s, err := wire.DecodeStatus(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	n, ok := in.node(uid, m)
	if !ok || m.Will { // of a will, the end of the session says the same, and knows of take-overs
		return
	}
	in.d.presence.Status(uid, s.Online, m.Arrived)
	if s.Online && m.Node {
		in.d.actuators.NodeOnline(uid, s.Boot)
		in.d.actuators.Motors(uid, motorsOf(s))
	}
	if in.news(n, s) {
		refused, ok := in.await(m, func(tx *store.Tx) error { return in.observe(tx, uid, s) })
		if !ok {
			return
		}
		if refused != nil {
			in.complain(uid, "status_refused", refused.Error())
		}
	}
	in.store(m, in.vitals(uid, s, m))
}

// motorsOf returns what a status says of drives, as actuation takes it.
func motorsOf(s wire.Status) map[greenhouse.ChannelName]actuation.Motor {
	var all map[greenhouse.ChannelName]actuation.Motor
	for ch, m := range s.Motors {
		if all == nil {
			all = make(map[greenhouse.ChannelName]actuation.Motor, len(s.Motors))
		}
		all[ch] = actuation.Motor{State: m.State, Position: m.Position, Travel: time.Duration(m.TravelS) * time.Second}
	}
	return all
}

// news reports whether a heartbeat says something for the registry: another boot
// or firmware, or the first sign of life of an assigned node.
func (in *inbound) news(n *greenhouse.Node, s wire.Status) bool {
	return s.Online && (s.Boot != "" && s.Boot != n.Boot || n.State == greenhouse.NodeAssigned) || s.FW != "" && s.FW != n.FW
}

// observe records another boot or firmware, and the first sign of life of an
// assigned node.
func (in *inbound) observe(tx *store.Tx, uid greenhouse.UID, s wire.Status) error {
	before, err := tx.Node(uid)
	if err != nil {
		return err
	}
	after, _, err := tx.Observe(uid, s.FW, "", s.Boot)
	if err != nil {
		return err
	}
	if before.State == greenhouse.NodeAssigned && s.Online {
		if _, err := tx.SetNodeState(uid, greenhouse.NodeActive); err != nil {
			return err
		}
	}
	if after.Boot == before.Boot {
		return nil
	}
	_, err = in.d.journal.Append(tx, greenhouse.Event{TS: greenhouse.MillisOf(tx.Now()), Code: "node_booted", Source: greenhouse.NodeSource(uid),
		Actor: string(greenhouse.NodeSource(uid)), Detail: detail("boot", after.Boot, "reset", s.Reset, "fw", s.FW)})
	return err
}

// vitals turns a status into readings of the node's own points.
func (in *inbound) vitals(uid greenhouse.UID, s wire.Status, m *broker.Delivery) *telemetry.Batch {
	at := greenhouse.MillisOf(m.Arrived)
	b := &telemetry.Batch{Node: uid, Arrived: m.Arrived, QoS0: m.QoS == 0, Urgent: !s.Online}
	add := func(name greenhouse.ChannelName, v float64) {
		b.Readings = append(b.Readings, greenhouse.Reading{Point: greenhouse.NodePoint(uid, name), At: at, Value: v})
	}
	online := 0.0
	if s.Online {
		online = 1
	}
	add("online", online)
	if s.RSSI != nil {
		add("rssi", *s.RSSI)
	}
	if s.Battery != nil {
		add("battery", *s.Battery)
	}
	if s.UptimeS != nil {
		add("uptime_s", float64(*s.UptimeS))
	}
	b.Stamped = len(b.Readings)
	return b
}

// bucketHeard remembers the last events of each node, so that one sent again for
// want of an acknowledgement is journalled once. Only an event with a time of its
// own can be told from another of its kind.
const (
	bucketHeard = "events_heard"
	heardMost   = 32 // events of a node
	heardBytes  = 8  // of the hash of each
)

// heard notes an event of a node and reports whether it was noted before.
func heard(tx *store.Tx, uid greenhouse.UID, payload []byte) (bool, error) {
	sum := sha256.Sum256(payload)
	mark, all := sum[:heardBytes], tx.Get(bucketHeard, []byte(uid))
	for known := range slices.Chunk(all, heardBytes) {
		if bytes.Equal(known, mark) {
			return true, nil
		}
	}
	all = append(all, mark...)
	all = all[max(0, len(all)-heardMost*heardBytes):]
	return false, tx.Put(bucketHeard, []byte(uid), all)
}

// event journals what happened on a node; a warning or worse also opens an
// alarm, which stays until somebody acknowledges it.
func (in *inbound) event(uid greenhouse.UID, m *broker.Delivery) {
	e, err := wire.DecodeEvent(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	if _, ok := in.node(uid, m); !ok {
		return
	}
	source := greenhouse.NodeSource(uid)
	record := greenhouse.Event{TS: e.TS, Code: eventCode(e.Code), Source: source, Actor: string(source), Detail: eventDetail(e)}
	if record.TS == 0 {
		record.TS = greenhouse.MillisOf(m.Arrived)
	}
	in.wentSafe(uid, e)
	in.d.inbox.Submit(m.Context(), job{
		apply: func(tx *store.Tx) error {
			if e.TS != 0 {
				if again, err := heard(tx, uid, m.Payload); err != nil || again {
					return err
				}
			}
			_, err := in.d.journal.Append(tx, record)
			return err
		},
		alarms: eventAlarm(uid, e),
		done: func(err error) {
			if refusedForGood(err) {
				in.malformed(uid, m, err)
				return
			}
			settle(m)(err)
		},
	})
	if e.Channel != "" {
		in.d.wake(uid, e.Channel)
	}
}

// eventCode returns a node's code in the form the journal asks for, noun_verb: a
// bare word gets a noun in front.
func eventCode(code string) string {
	words := strings.FieldsFunc(code, func(r rune) bool { return r == '_' })
	if len(words) < 2 {
		words = append([]string{"node"}, words...)
	}
	if len(words) < 2 {
		words = append(words, "event")
	}
	out := strings.Join(words, "_")
	return strings.TrimRight(out[:min(len(out), 64)], "_")
}

// eventAlarm returns the alarm an event means: raised and over at once, so that
// it stays open until somebody acknowledges it.
func eventAlarm(uid greenhouse.UID, e wire.Event) []greenhouse.Condition {
	if e.Severity == greenhouse.Info {
		return nil
	}
	raised := greenhouse.Condition{Source: greenhouse.NodeSource(uid), Code: eventCode(e.Code), Severity: e.Severity, Active: true, Text: eventText(uid, e)}
	over := raised
	over.Active = false
	return []greenhouse.Condition{raised, over}
}

// wentSafe tells actuation that a node brought an output to its safe level by
// itself. An event that names another command than the one in force is about
// something that is over.
func (in *inbound) wentSafe(uid greenhouse.UID, e wire.Event) {
	switch e.Code {
	case "lease_expired", "max_on_reached", "link_lost":
	default:
		return
	}
	var about struct {
		ID greenhouse.CommandID `json:"id"`
	}
	if len(e.Detail) > 0 && json.Unmarshal(e.Detail, &about) != nil {
		return
	}
	p, ok := in.d.store.Registry().Route(uid, e.Channel)
	if !ok {
		return
	}
	if l, ok := in.d.actuators.Level(p); ok && (about.ID == "" || about.ID == l.Command) {
		in.d.actuators.NodeSafe(uid, e.Channel)
	}
}

// configReport takes what configuration a node has stored.
func (in *inbound) configReport(uid greenhouse.UID, m *broker.Delivery) {
	r, err := wire.DecodeConfigReport(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	status := greenhouse.ConfigApplied
	if r.Status == wire.ReportRejected {
		status = greenhouse.ConfigRejected
	}
	n, ok := in.node(uid, m)
	if !ok {
		return
	}
	if c := n.Config; c.Status == status && c.ReportedRev == r.Rev && c.ReportedHash == r.Hash && c.Error == r.Error {
		m.Ack() // says what is on disk already
		return
	}
	in.d.inbox.Submit(m.Context(), job{
		apply: func(tx *store.Tx) error { return in.configured(tx, uid, r, status) },
		done: func(err error) {
			if refusedForGood(err) {
				in.malformed(uid, m, err)
				return
			}
			settle(m)(err)
		},
	})
}

// configured records a configuration report, and journals it if it says anything
// new.
func (in *inbound) configured(tx *store.Tx, uid greenhouse.UID, r wire.ConfigReport, status greenhouse.ConfigStatus) error {
	before, err := tx.Node(uid)
	if err != nil {
		return err
	}
	after, err := tx.ReportConfig(uid, r.Rev, r.Hash, status, r.Error)
	if err != nil || after.Config == before.Config {
		return err
	}
	code := "config_applied"
	switch after.Config.Status {
	case greenhouse.ConfigRejected:
		code = "config_rejected"
	case greenhouse.ConfigDrift:
		code = "config_drift"
	case greenhouse.ConfigPending:
		return nil // an older revision: the newer one is under way
	}
	_, err = in.d.journal.Append(tx, greenhouse.Event{TS: greenhouse.MillisOf(tx.Now()), Code: code, Source: greenhouse.NodeSource(uid),
		Actor: string(greenhouse.NodeSource(uid)), Detail: detail("rev", r.Rev, "error", r.Error)})
	return err
}

// commandReport takes what became of a command.
func (in *inbound) commandReport(uid greenhouse.UID, m *broker.Delivery) {
	r, err := wire.DecodeCommandReport(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	order, ours := in.d.actuators.Order(r.ID) // before the report ends it
	in.d.actuators.Report(uid, actuation.Report{ID: r.ID, Status: r.Status, Value: r.Value, Error: r.Error}, settle(m))
	if ours && r.Status == greenhouse.CommandFenced {
		in.fenced(uid, order, r)
	}
}

// time answers a node that has no clock.
func (in *inbound) time(uid greenhouse.UID, m *broker.Delivery) {
	r, err := wire.DecodeTimeRequest(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	m.Ack()
	payload, err := wire.TimeReply{Nonce: r.Nonce, Now: greenhouse.MillisOf(in.d.opts.Now()), Trusted: in.d.clock.Trusted()}.Marshal()
	if err == nil {
		err = in.d.broker.Publish(wire.NodeTopic(wire.KindTimeReply, uid).String(), payload, 0, false)
	}
	if err != nil {
		in.log.Debug("time not sent", "node", uid, "error", err)
	}
}
