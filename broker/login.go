package broker

import (
	"bytes"
	"context"
	"errors"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"greenhouse"
)

// maxClientID bounds a client id; the longest node login has 75 bytes.
const maxClientID = 128

// refusal is why a CONNECT is turned down.
type refusal struct {
	kind   Kind
	code   byte
	topic  string
	detail string
}

// login decides about a CONNECT, in front of mochi. When it returns nil the
// connection has a session, every older one of the same client id is gone, and
// pk is what mochi is to believe: a clean session without will, aliases and limits of its own,
// under a client id that no other login can have.
func (b *Broker) login(c *conn, pk *packets.Packet) error {
	c.version = pk.ProtocolVersion
	if r := checkConnect(c, pk); r != nil {
		return b.turnDown(c, r)
	}
	begun := b.table.begin()
	who, r := b.authenticate(c, pk)
	if r == nil {
		r = b.checkIdentity(&who, pk)
	}
	if r == nil && who.Admit != nil {
		r = b.settle(c, &who)
	}
	if r != nil {
		return b.turnDown(c, r)
	}
	c.sess = b.newSession(c, who, pk)
	c.sess.begun = begun
	c.out.window = b.opts.Limits.OutboundWindow
	if n := int(pk.Properties.ReceiveMaximum); n > 0 {
		c.out.window = min(n, c.out.window)
	}
	c.out.maxSize = int(pk.Properties.MaximumPacketSize)
	if err := b.claim(c.sess); err != nil {
		c.because(err)
		return b.noPlace(c, err)
	}
	simplify(pk, c.sess.key)
	return nil
}

// noPlace answers a login that is good but cannot have a session.
func (b *Broker) noPlace(c *conn, err error) error {
	code := codeServerUnavailable
	switch {
	case errors.Is(err, ErrTakenOver):
		code = codeTakenOver
	case errors.Is(err, errManySessions):
		return b.turnDown(c, &refusal{RefusedSessions, codeQuota, "", err.Error()})
	}
	_ = c.out.writeControl(appendConnackRefusal(nil, c.version, code))
	return err
}

// checkProtocol turns down other protocols and versions before mochi decodes
// a CONNECT whose form it can only guess.
func (b *Broker) checkProtocol(c *conn) error {
	n := 0
	if len(c.connect) >= 2 {
		n = int(c.connect[0])<<8 | int(c.connect[1])
	}
	if len(c.connect) < 2+n+1 {
		b.refuse(c, RefusedMalformed, "", "packet that cannot be decoded")
		return ErrViolation
	}
	name := string(c.connect[2 : 2+n])
	if c.version = c.connect[2+n]; name == "MQTT" && (c.version == 4 || c.version == 5) {
		return nil
	}
	return b.turnDown(c, &refusal{RefusedVersion, codeBadVersion, "", "neither MQTT 3.1.1 nor 5.0"})
}

// simplify leaves mochi only what it needs to answer.
func simplify(pk *packets.Packet, key string) {
	pk.Connect.ClientIdentifier = key
	pk.Connect.Clean = true
	pk.Connect.WillFlag, pk.Connect.WillRetain, pk.Connect.WillQos = false, false, 0
	pk.Connect.Keepalive = uint16(maxKeepAlive / time.Second)
	pk.Connect.Password = []byte("-") // mochi keeps the packet; it need not keep a secret
	pk.Properties = packets.Properties{
		RequestProblemInfo: pk.Properties.RequestProblemInfo, RequestProblemInfoFlag: pk.Properties.RequestProblemInfoFlag,
	}
}

func (b *Broker) turnDown(c *conn, r *refusal) error {
	b.refuse(c, r.kind, r.topic, r.detail)
	_ = c.out.writeControl(appendConnackRefusal(nil, c.version, r.code))
	return ErrViolation
}

// checkConnect holds for every CONNECT, whoever sends it.
func checkConnect(c *conn, pk *packets.Packet) *refusal {
	p := &pk.Connect
	switch {
	case pk.ReservedBit != 0:
		return &refusal{RefusedMalformed, codeMalformed, "", "reserved flag set"}
	case pk.ProtocolVersion >= 5 && c.receiveMaximumZero():
		return &refusal{RefusedProtocol, codeProtocolError, "", "receive maximum 0"}
	case pk.Properties.AuthenticationMethod != "":
		return &refusal{RefusedLogin, codeBadAuthMethod, "", "extended authentication is not offered"}
	case p.ClientIdentifier == "" || len(p.ClientIdentifier) > maxClientID || !plainText(p.ClientIdentifier):
		return &refusal{RefusedClientID, codeBadClientID, "", "client id is empty, too long or no plain text"}
	case len(p.Username) == 0 || !p.PasswordFlag || len(p.Password) == 0:
		return &refusal{RefusedLogin, codeBadLogin, "", "no user name and password"}
	case len(p.Username) > maxClientID || !plainText(string(p.Username)):
		return &refusal{RefusedLogin, codeBadLogin, "", "user name is too long or no plain text"}
	}
	return nil
}

// receiveMaximumZero reports whether a CONNECT of MQTT 5 carries a Receive
// Maximum of 0, which is an error; mochi cannot tell it from none at all.
func (c *conn) receiveMaximumZero() bool {
	const properties = 2 + len("MQTT") + 1 + 1 + 2 // offset behind the fixed header
	if len(c.connect) < properties {
		return false
	}
	p := packets.Properties{ReceiveMaximum: 1}
	_, err := p.Decode(packets.Connect, bytes.NewBuffer(c.connect[properties:]))
	return err == nil && p.ReceiveMaximum == 0
}

// authenticate asks the owner. A wrong answer is given late to those who have
// had many.
func (b *Broker) authenticate(c *conn, pk *packets.Packet) (Principal, *refusal) {
	login := string(pk.Connect.Username)
	who, err := b.opts.Auth.Authenticate(login, string(pk.Connect.Password), c.remote)
	switch {
	case err == nil:
		if who.Login == "" {
			who.Login = login
		}
		return who, nil
	case errors.Is(err, greenhouse.ErrUnavailable):
		return who, unchecked()
	}
	return who, b.wrong(c, login)
}

func unchecked() *refusal {
	return &refusal{RefusedUnavailable, codeServerUnavailable, "", "credentials cannot be checked now"}
}

// wrong counts a failed login and holds the answer back if there were many.
func (b *Broker) wrong(c *conn, login string) *refusal {
	if l := &b.opts.Limits; !c.place.local || l.LimitLoopback {
		if d := b.throttle.failed(c.place, login, l.LoginFailures, b.opts.Now()); d > 0 {
			_ = c.wait(min(d, time.Until(c.deadline)))
			return &refusal{RefusedThrottled, codeBadLogin, "", "wrong credentials, again and again"}
		}
	}
	return &refusal{RefusedLogin, codeBadLogin, "", "wrong credentials"}
}

// settle lets the owner settle a login before it is confirmed.
func (b *Broker) settle(c *conn, who *Principal) *refusal {
	ctx, cancel := context.WithDeadline(c.ctx, c.deadline)
	defer cancel()
	switch err := who.Admit(ctx); {
	case err == nil:
		return nil
	case errors.Is(err, greenhouse.ErrForbidden):
		return b.wrong(c, who.Login)
	}
	return unchecked()
}

// checkIdentity holds the client id and the will against the login.
func (b *Broker) checkIdentity(who *Principal, pk *packets.Packet) *refusal {
	switch id := pk.Connect.ClientIdentifier; {
	case who.Node && id != who.Login:
		return &refusal{RefusedClientID, codeBadClientID, "", "the client id of a node is its login"}
	case id == mqtt.InlineClientId, id[0] == '$':
		return &refusal{RefusedClientID, codeBadClientID, "", "reserved client id"}
	}
	return b.checkWill(who, pk)
}

// checkWill refuses a will that the client could not publish itself.
func (b *Broker) checkWill(who *Principal, pk *packets.Packet) *refusal {
	p := &pk.Connect
	if !p.WillFlag {
		if p.WillRetain || p.WillQos != 0 {
			return &refusal{RefusedMalformed, codeMalformed, "", "will flags without a will"}
		}
		return nil
	}
	no := func(code byte, detail string) *refusal {
		return &refusal{RefusedWill, code, p.WillTopic, detail}
	}
	if err := checkTopic(p.WillTopic, &b.opts.Limits); err != nil {
		return no(codeBadTopic, err.Error())
	}
	switch {
	case p.WillQos > 2 || p.WillQos == 2 && pk.ProtocolVersion >= 5:
		return no(codeNoQoS2, "QoS 2 is not offered")
	case !anyMatches(who.Publish, p.WillTopic):
		return no(codeNotAuthorized, "not among the topics of this login")
	case p.WillRetain && anyMatches(b.opts.NeverRetain, p.WillTopic):
		return no(codeNoRetain, "never retained")
	case len(p.WillPayload) > b.opts.Limits.Payload:
		return no(codeTooLarge, "payload too large")
	}
	return nil
}

func (b *Broker) newSession(c *conn, who Principal, pk *packets.Packet) *session {
	keepAlive := time.Duration(pk.Connect.Keepalive) * time.Second
	if keepAlive == 0 {
		keepAlive = b.opts.Limits.KeepAlive
	}
	s := &session{
		Session: Session{
			Login: who.Login, ClientID: pk.Connect.ClientIdentifier, Node: who.Node, Remote: c.remote,
			Listener: c.listener, Secure: c.secure, Protocol: pk.ProtocolVersion,
			KeepAlive: min(keepAlive, b.opts.Limits.KeepAlive), Opened: b.opts.Now(),
		},
		c: c, who: who, key: sessionKey(who.Login, pk.Connect.ClientIdentifier), gone: make(chan struct{}),
		wantedKeepAlive: pk.Connect.Keepalive,
	}
	s.acks.room = make(chan struct{}, 1)
	if p := &pk.Connect; p.WillFlag {
		s.will = &will{topic: p.WillTopic, payload: p.WillPayload, retain: p.WillRetain, props: forwardable(&p.WillProperties)}
	}
	return s
}

// sessionKey joins login and client id by a character that neither can contain.
func sessionKey(login, id string) string { return login + "\x00" + id }

// claim makes s the session of its client id. An older one is closed, and only
// when it is wholly gone does s take its place; if meanwhile a newer connection
// comes, s gives way to it. So of any number of connections the last to come remains, alone.
func (b *Broker) claim(s *session) error {
	for {
		older, err := b.table.claim(s, b.opts.Limits.SessionsPerLogin)
		if older == nil {
			return err
		}
		s.TookOver = true
		older.c.disconnect(codeTakenOver, ErrTakenOver)
		t := time.NewTimer(time.Until(s.c.deadline))
		select {
		case <-older.gone:
			t.Stop()
		case <-s.c.ctx.Done():
			t.Stop()
			return errClosed
		case <-t.C:
			return greenhouse.Unavailable("session_busy", "the older session of this client id does not end")
		}
	}
}
