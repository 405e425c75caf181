package edge

import (
	"errors"

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
		in.welcome(hw, refusal(err))
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
				in.welcome(hw, wire.Welcome{OK: true, UID: res.Node.UID, Secret: res.Secret})
				m.Ack()
			case refusedForGood(err):
				in.welcome(hw, refusal(err))
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

func (in *inbound) welcome(hw greenhouse.HardwareID, w wire.Welcome) {
	payload, err := w.Marshal()
	if err == nil {
		err = in.d.broker.Publish(wire.WelcomeTopic(hw).String(), payload, 1, false)
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
	if m.Will {
		return // the end of the session says the same, and knows of take-overs
	}
	in.d.presence.Status(uid, s.Online, m.Arrived)
	b := in.vitals(uid, s, m)
	n, ok := in.d.store.Registry().Nodes[uid]
	if !ok {
		m.Ack()
		return
	}
	booted := s.Online && s.Boot != "" && s.Boot != n.Boot
	if !booted && (s.FW == "" || s.FW == n.FW) && (n.State != greenhouse.NodeAssigned || !s.Online) {
		in.store(m, b)
		return
	}
	in.d.inbox.Submit(m.Context(), job{
		apply: func(tx *store.Tx) error { return in.observe(tx, uid, s) },
		done: func(err error) {
			if err != nil && !refusedForGood(err) {
				m.Fail(err)
				return
			}
			if booted {
				in.d.actuators.NodeOnline(uid, s.Boot)
			}
			in.store(m, b)
		},
	})
}

// observe records another boot or firmware, and the first sign of life of an
// assigned node.
func (in *inbound) observe(tx *store.Tx, uid greenhouse.UID, s wire.Status) error {
	before, err := tx.Node(uid)
	if err != nil {
		return err
	}
	if _, _, err := tx.Observe(uid, s.FW, "", s.Boot); err != nil {
		return err
	}
	if before.State == greenhouse.NodeAssigned {
		if _, err := tx.SetNodeState(uid, greenhouse.NodeActive); err != nil {
			return err
		}
	}
	if s.Boot == "" || s.Boot == before.Boot {
		return nil
	}
	_, err = in.d.journal.Append(tx, greenhouse.Event{TS: greenhouse.MillisOf(tx.Now()), Code: "node_booted", Source: greenhouse.NodeSource(uid),
		Actor: string(greenhouse.NodeSource(uid)), Detail: detail("boot", s.Boot, "reset", s.Reset, "fw", s.FW)})
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
	return b
}

// event journals what happened on a node; a warning or worse also opens an
// alarm, which stays until somebody acknowledges it.
func (in *inbound) event(uid greenhouse.UID, m *broker.Delivery) {
	e, err := wire.DecodeEvent(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	source := greenhouse.NodeSource(uid)
	record := greenhouse.Event{TS: e.TS, Code: e.Code, Source: source, Actor: string(source), Detail: eventDetail(e)}
	if record.TS == 0 {
		record.TS = greenhouse.MillisOf(m.Arrived)
	}
	in.d.inbox.Submit(m.Context(), job{
		apply: func(tx *store.Tx) error {
			_, err := in.d.journal.Append(tx, record)
			return err
		},
		done: func(err error) {
			if err == nil && e.Severity != greenhouse.Info {
				in.d.clerk.pulse(greenhouse.Condition{Source: source, Code: e.Code, Severity: e.Severity, Text: eventText(uid, e)})
			}
			settle(m)(err)
		},
	})
	if e.Channel != "" {
		in.d.wake(uid, e.Channel)
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
	n, ok := in.d.store.Registry().Nodes[uid]
	if !ok {
		m.Ack()
		return
	}
	if c := n.Config; c.Status == status && c.ReportedRev == r.Rev && c.ReportedHash == r.Hash && c.Error == r.Error {
		m.Ack() // says what is on disk already
		return
	}
	in.d.inbox.Submit(m.Context(), job{
		apply: func(tx *store.Tx) error {
			after, err := tx.ReportConfig(uid, r.Rev, r.Hash, status, r.Error)
			if err != nil {
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
		},
		done: func(err error) {
			if refusedForGood(err) {
				err = nil
			}
			settle(m)(err)
		},
	})
}

// commandReport takes what became of a command.
func (in *inbound) commandReport(uid greenhouse.UID, m *broker.Delivery) {
	r, err := wire.DecodeCommandReport(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	in.d.actuators.Report(uid, actuation.Report{ID: r.ID, Status: r.Status, Value: r.Value, Error: r.Error}, settle(m))
}

// time answers a node that has no clock.
func (in *inbound) time(uid greenhouse.UID, m *broker.Delivery) {
	m.Ack()
	r, err := wire.DecodeTimeRequest(m.Payload)
	if err != nil {
		in.malformed(uid, m, err)
		return
	}
	payload, err := wire.TimeReply{Nonce: r.Nonce, Now: greenhouse.MillisOf(in.d.opts.Now()), Trusted: in.d.clock.Trusted()}.Marshal()
	if err == nil {
		err = in.d.broker.Publish(wire.NodeTopic(wire.KindTimeReply, uid).String(), payload, 0, false)
	}
	if err != nil {
		in.log.Debug("time not sent", "node", uid, "error", err)
	}
}
