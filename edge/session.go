package edge

import (
	"errors"

	"greenhouse"
	"greenhouse/broker"
	"greenhouse/telemetry"
)

// nodeOf returns the uid of a session that is a node's own, not that of a device
// that is joining or of an account.
func nodeOf(s broker.Session) (greenhouse.UID, bool) {
	if !s.Node {
		return "", false
	}
	uid, _, _, err := greenhouse.ParseUID(s.Login)
	return uid, err == nil
}

// SessionOpened implements broker.Handler.
func (in *inbound) SessionOpened(s broker.Session) {
	uid, ok := nodeOf(s)
	if !ok {
		return
	}
	in.d.introduce(uid)
	in.d.pending.Entered(string(uid))
	in.d.presence.Opened(uid, s.Opened)
	in.d.actuators.NodeOnline(uid, "")
	if s.TookOver {
		in.d.clerk.strange(greenhouse.Event{TS: greenhouse.MillisOf(s.Opened), Code: "session_takeover", Source: greenhouse.NodeSource(uid),
			Actor: string(greenhouse.NodeSource(uid)), Detail: detail("address", s.Remote.String())})
	}
}

// SessionClosed implements broker.Handler. That a node went away is a reading of
// its point "online", so that its history shows it. A take-over is no absence,
// but what was on its way to the older session is lost, and the node may have
// started anew meanwhile: actuation orders its levels again.
func (in *inbound) SessionClosed(s broker.Session, cause error) {
	uid, ok := nodeOf(s)
	if !ok {
		return
	}
	in.log.Debug("session ended", "node", uid, "address", s.Remote.String(), "cause", cause)
	in.d.actuators.NodeOffline(uid)
	if errors.Is(cause, broker.ErrTakenOver) {
		return
	}
	if in.d.gone(uid) {
		in.d.dropRetained(uid) // its will came after it was retired
	}
	now := in.d.opts.Now()
	if cause == nil {
		in.d.presence.Left(uid, s.Opened, now)
	} else {
		in.d.presence.Closed(uid, s.Opened, now)
	}
	off := &telemetry.Batch{Node: uid, Arrived: now, QoS0: true, Stamped: 1, Readings: []greenhouse.Reading{
		{Point: greenhouse.NodePoint(uid, "online"), At: greenhouse.MillisOf(now), Value: 0}}}
	if err := in.d.telemetry.Submit(in.d.ctx, off); err != nil {
		in.log.Debug("absence not recorded", "node", uid, "error", err)
	}
}

// Refused implements broker.Handler: who was turned away, at most once a minute
// for each client and kind.
func (in *inbound) Refused(r broker.Refusal) {
	code := "acl_refused"
	switch r.Kind {
	case broker.RefusedLogin:
		code = "login_refused"
	case broker.RefusedPublish, broker.RefusedSubscription, broker.RefusedRetain, broker.RefusedWill:
	default:
		code = "packet_refused"
	}
	in.log.Warn("client refused", "kind", string(r.Kind), "login", r.Login, "address", r.Remote.String(), "topic", r.Topic, "why", r.Detail, "count", r.Count)
	in.d.clerk.strange(greenhouse.Event{TS: greenhouse.MillisOf(r.At), Code: code, Source: greenhouse.Source("client/" + r.Remote.Addr().String()), Actor: r.Login,
		Detail: detail("kind", string(r.Kind), "topic", clip(r.Topic), "why", r.Detail, "count", r.Count)})
}
