package broker

import (
	"errors"

	"github.com/mochi-mqtt/server/v2/packets"
)

// subscribe takes a SUBSCRIBE in front of mochi: mochi accepts filters such as
// "a+b", and refuses a packet whose id equals one that it has in flight itself.
func (b *Broker) subscribe(c *conn, pk *packets.Packet) error {
	if err := b.checkFilters(c, pk); err != nil {
		return err
	}
	c.out.cork()
	codes := make([]byte, len(pk.Filters))
	for i := range pk.Filters {
		f := &pk.Filters[i]
		var kind Kind
		var detail string
		if codes[i], kind, detail = b.judge(c.sess, f); kind != "" {
			b.refuse(c, kind, f.Filter, detail)
			continue
		}
		fresh := b.enter(c.sess, f, codes[i])
		if f.RetainHandling == 0 || f.RetainHandling == 1 && fresh {
			b.retained.answer(c.sess, f.Filter, codes[i])
		}
	}
	return c.out.uncork(appendSuback(nil, packets.Suback, c.version, pk.PacketID, codes))
}

func (b *Broker) unsubscribe(c *conn, pk *packets.Packet) error {
	if err := b.checkFilters(c, pk); err != nil {
		return err
	}
	codes := make([]byte, len(pk.Filters))
	for i := range pk.Filters {
		f := pk.Filters[i].Filter
		delete(c.sess.filters, f)
		if !b.index.remove(f, c.sess) {
			codes[i] = packets.CodeNoSubscriptionExisted.Code
		}
	}
	return c.out.writeControl(appendSuback(nil, packets.Unsuback, c.version, pk.PacketID, codes))
}

// checkFilters holds for the packet as a whole.
func (b *Broker) checkFilters(c *conn, pk *packets.Packet) error {
	kind, code, detail := RefusedProtocol, codeProtocolError, ""
	switch {
	case pk.PacketID == 0:
		detail = "packet id 0"
	case len(pk.Filters) == 0:
		detail = "no filters"
	case len(pk.Filters) > b.opts.Limits.FiltersPerPacket:
		kind, code, detail = RefusedFilter, codeQuota, "too many filters in one packet"
	case len(pk.Properties.SubscriptionIdentifier) > 0:
		code, detail = codeNoSubID, "subscription identifiers are not offered"
	case c.out.backlog() > b.opts.Limits.Queue+b.retained.len():
		kind, code, detail = RefusedFilter, codeQuota, "subscribes again without reading"
	}
	for i := range pk.Filters {
		if pk.Filters[i].RetainHandling > 2 {
			detail = "retain handling 3"
		}
	}
	if detail == "" {
		return nil
	}
	b.refuse(c, kind, "", detail)
	c.violate(code)
	return ErrViolation
}

// judge returns the granted QoS, or the reason why a filter is refused.
func (b *Broker) judge(s *session, f *packets.Subscription) (byte, Kind, string) {
	switch err := checkFilter(f.Filter, &b.opts.Limits); {
	case errors.Is(err, errTopicShared):
		return codeNoShared, RefusedFilter, err.Error()
	case err != nil:
		return codeBadFilter, RefusedFilter, err.Error()
	case !anyCovers(s.who.Subscribe, f.Filter):
		return codeNotAuthorized, RefusedSubscription, "not among the filters of this login"
	}
	if _, has := s.filters[f.Filter]; !has && len(s.filters) >= b.opts.Limits.FiltersPerSession {
		return codeQuota, RefusedFilter, "too many filters"
	}
	return min(f.Qos, 1), "", ""
}

// enter adds a subscription and reports whether it is new.
func (b *Broker) enter(s *session, f *packets.Subscription, qos byte) bool {
	sub := subscription{qos: qos, noLocal: f.NoLocal, retainAsPublished: f.RetainAsPublished}
	if s.filters == nil {
		s.filters = make(map[string]subscription, 4)
	}
	s.filters[f.Filter] = sub
	return !b.index.add(f.Filter, s, sub)
}
