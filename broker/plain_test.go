package broker_test

import (
	"bufio"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// fault is one thing found wrong in mochi-mqtt v2.7.9.
type fault struct {
	what   string
	closed string // the tests, against our listener, that would fail on the plain server
	// shown does to a plain server what those tests do to ours, and reports whether
	// the fault is there. Nil where it takes chance or long to show.
	shown func(p *plain) bool
	real  bool // in real time
}

// faults is the whole list: what was found, the tests that hold it closed, and the
// plain server doing it. When a newer version of the library lets one of these fail,
// the fault is mended there and what stands in front of it may go.
func faults() []fault {
	return []fault{
		{"a panic while one packet is handled ends the process", "TestTruncatedSubscribe TestFaultInHandlerCostsOneClient", plainDies, false},
		{"five bytes before login pin 256 MB", "TestHugeLengthBeforeLogin TestHugeLengthAfterLogin", plainAllocates, false},
		{"no deadline before CONNECT", "TestSilenceBeforeLogin", plainWaitsForEver, false},
		{"silent sockets are not counted", "TestConnectionsAreCountedAtAccept TestConnectionsPerAddress", plainCountsLoginsOnly, false},
		{"one error of accept ends the listener", "TestTooManyOpenFiles TestListenerThatFails", plainStopsAccepting, false},
		{"keep-alive overflows in 16 bits", "TestKeepAliveIsClamped TestPacketThatTricklesInDoesNotProlongKeepAlive", plainOverflows, false},
		{"a subscriber that stops reading blocks publishers", "TestStalledSubscriberDelaysNobody TestStalledClientCanBeTakenOver TestPingsWithoutReading TestClientThatSubscribesWithoutReading", plainBlocks, true},
		{"a recursive read lock in in-flight handling dead-locks", "TestBurstsDoNotDeadlock", nil, false},
		{"flow control never gives its quota back", "TestReceiveMaximumIsKeptAndComesBack", plainLosesQuota, false},
		{"a resumed session ignores Receive Maximum", "TestSessionsAreAlwaysClean", plainFloodsOnResume, false},
		{"an expired session leaves its subscriptions behind", "TestSessionsAreAlwaysClean TestQueuesThatAreNeverEmptyDoNotGrow", nil, false},
		{"a SUBSCRIBE is refused whose id is one of an unacknowledged message", "TestPacketIDsOfBothDirectionsAreApart TestSessionsAreAlwaysClean", nil, false},
		{"small messages wait behind one that is too large for their client", "TestMessageTooLargeForItsClientHoldsUpNoOther", nil, false},
		{"lengths of eight bytes are read", "TestHugeLengthAfterLogin", nil, false},
		{"two connects with one id leave two, or a deaf one", "TestManyConnectsWithOneID TestTakeOver TestNewestConnectionWins", nil, false},
		{"the id inline replaces the broker's own client", "TestClientIDBelongsToLogin", plainGivesItselfAway, false},
		{"any login may take any client id", "TestClientIDBelongsToLogin", plainTakesAnyID, false},
		{"the will is published without asking", "TestWillIsCheckedAtConnect", plainPublishesWill, false},
		{"the ACL is asked about an alias instead of its topic", "TestTopicAliasIsRefused", plainAsksAboutNothing, false},
		{"topics of thousands of levels hold a global lock", "TestDeepTopics", nil, false},
		{"filters that are none are taken", "TestFilters TestTooManyFilters", plainTakesBadFilters, false},
		{"what a hook refuses is acknowledged all the same", "TestFailClosesWithoutPuback TestPubacksLeaveInPublishOrderAndAfterAck TestOthersGetAMessageOnlyAfterAck", plainAcknowledges, false},
		{"an inbound publish erases an outbound message of the same packet id", "TestPacketIDsOfBothDirectionsAreApart TestAcknowledgementsForNothing", plainErases, false},
		{"QoS 2 that is refused is answered with a PUBACK", "TestQoS2IsRefused", nil, false},
		{"retained messages vanish after a day", "TestRetainedStateNeverExpires TestRetainedStateOfTheOwner", plainForgets, false},
		{"the ledger matches prefixes and allows by default", "TestWhoMayPublishWhat", nil, false},
		{"a QoS 1 publish to $SYS is never answered", "TestSysTopicsAreRefused", plainKeepsSilent, false},
		{"the first packet after resuming is not always CONNACK", "TestConnackIsFirstUnderTraffic", nil, false},
		{"closing twice panics", "TestCloseTwice", plainClosesOnce, false},
	}
}

// TestFaultsOfThePlainServer shows the faults on the plain server, and that each has
// its tests here.
func TestFaultsOfThePlainServer(t *testing.T) {
	here := testsHere(t)
	shown := 0
	for _, f := range faults() {
		t.Run(f.what, func(t *testing.T) {
			for name := range strings.FieldsSeq(f.closed) {
				if !here[name] {
					t.Errorf("there is no test %s", name)
				}
			}
			if f.shown == nil {
				return
			}
			shown++
			show := func(t *testing.T) {
				p := newPlain(t)
				defer p.close(!f.real)
				if !f.shown(p) {
					t.Error("the plain server does not do it any more")
				}
			}
			if f.real {
				show(t)
				return
			}
			synctest.Test(t, show)
		})
	}
	t.Logf("%d of %d shown", shown, len(faults()))
}

// testsHere returns the names of the tests of this room.
func testsHere(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

// plain is mochi's server as it comes, in virtual time on connections in memory,
// with a hook that lets tests answer for it.
type plain struct {
	mqtt.HookBase
	t       *testing.T
	server  *mqtt.Server
	pipes   *pipes
	acl     func(cl *mqtt.Client, topic string, write bool) bool // nil allows
	publish func(packets.Packet) error
	clients []*raw
	closed  bool
}

func newPlain(t *testing.T, wrap ...func(net.Listener) net.Listener) *plain {
	t.Helper()
	p := &plain{t: t, pipes: newPipes(), server: mqtt.New(&mqtt.Options{InlineClient: true, SysTopicResendInterval: 3600, Logger: slog.New(slog.DiscardHandler)})}
	if err := p.server.AddHook(p, nil); err != nil {
		t.Fatal(err)
	}
	var l net.Listener = p.pipes
	for _, w := range wrap {
		l = w(l)
	}
	if err := p.server.AddListener(listeners.NewNet("plain", l)); err != nil {
		t.Fatal(err)
	}
	if err := p.server.Serve(); err != nil {
		t.Fatal(err)
	}
	return p
}

// close ends everything, clients first: the plain server waits for those it writes to.
func (p *plain) close(virtual bool) {
	for _, c := range p.clients {
		c.Close()
	}
	if virtual {
		synctest.Wait()
	}
	if !p.closed {
		_ = p.server.Close()
	}
	_ = p.pipes.Close()
	if virtual {
		time.Sleep(time.Minute) // its goroutines find out by and by
	}
}

// ID, Provides and the rest make p a hook.
func (p *plain) ID() string { return "tests" }

func (p *plain) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish
}

func (p *plain) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

func (p *plain) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	return p.acl == nil || p.acl(cl, topic, write)
}

func (p *plain) OnPublish(_ *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if p.publish == nil {
		return pk, nil
	}
	return pk, p.publish(pk)
}

// raw connects.
func (p *plain) raw() *raw {
	p.t.Helper()
	c, err := p.pipes.Dial()
	if err != nil {
		p.t.Fatal(err)
	}
	r := &raw{Conn: c, t: p.t, r: bufio.NewReader(c), v: 4}
	p.clients = append(p.clients, r)
	return r
}

// login connects and logs in.
func (p *plain) login(v byte, id string, edit ...func(*hello)) *raw {
	p.t.Helper()
	c := p.raw()
	c.hello(v, id, edit...)
	if code := c.connack(); code != 0 {
		p.t.Fatalf("CONNACK of %s: %#x", id, code)
	}
	return c
}

// arrived counts the messages that come until nothing does for a while; ack
// acknowledges them. It reads while it writes: a connection in memory holds nothing.
func (c *raw) arrived(ack bool) (n int) {
	came := make(chan packet, 1000)
	go func() {
		defer close(came)
		for {
			m, err := c.read()
			if err != nil {
				return
			}
			came <- m
		}
	}()
	for m := range came {
		if m.kind != 3 {
			continue
		}
		n++
		if m.head&6 != 0 && ack {
			at := 2 + int(m.body[0])<<8 + int(m.body[1])
			c.send(0x40, 2, m.body[at], m.body[at+1])
		}
	}
	return n
}

// closedWithin reports whether the server closes the connection within d.
func (c *raw) closedWithin(d time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(d))
	_, err := io.Copy(io.Discard, c.r)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// plainChild, in the environment, makes this test program the one that dies.
const plainChild = "BROKER_PLAIN_CHILD"

func plainDies(p *plain) bool {
	if os.Getenv(plainChild) != "" {
		p.login(5, nodeA).send(0x82, 6, 0, 1, 0, 0, 1, 'a')
		time.Sleep(time.Minute)
		return false // it lives
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestFaultsOfThePlainServer$/^a_panic")
	cmd.Env = append(os.Environ(), plainChild+"=1")
	out, err := cmd.CombinedOutput()
	return err != nil && strings.Contains(string(out), "index out of range") && strings.Contains(string(out), "SubscribeDecode")
}

func plainAllocates(p *plain) bool {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p.raw().send(0x10, 0xff, 0xff, 0xff, 0x7f)
	synctest.Wait()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc-before.TotalAlloc > 200<<20
}

func plainWaitsForEver(p *plain) bool { return !p.raw().closedWithin(time.Hour) }

func plainCountsLoginsOnly(p *plain) bool {
	p.server.Options.Capabilities.MaximumClients = 1
	silent := []*raw{p.raw(), p.raw(), p.raw()}
	open := true
	for _, c := range silent {
		open = open && !c.closedWithin(time.Minute)
	}
	return open
}

func plainStopsAccepting(p *plain) bool {
	q := newPlain(p.t, func(l net.Listener) net.Listener { return &scarce{l, 1} })
	defer q.close(true)
	accepted := make(chan *net.Conn, 1)
	go func() {
		if c, err := q.pipes.Dial(); err == nil {
			accepted <- &c
		}
	}()
	select {
	case <-accepted:
		return false
	case <-time.After(time.Hour):
		return true
	}
}

func plainOverflows(p *plain) bool {
	c := p.raw()
	c.hello(4, nodeA, func(h *hello) { h.keepAlive = 43691 })
	return c.closedWithin(time.Minute) // it asked for twelve hours
}

// plainBlocks runs in real time: who waits for a mutex holds virtual time up.
func plainBlocks(p *plain) bool {
	stuck := p.login(4, nodeB)
	stuck.subscribe("t")
	node := p.login(4, nodeA)
	for i := range 100 { // one of them is being written, for ever
		go func() { _, _ = node.Write(node.pub(2, uint16(i+1), "t", strings.Repeat("x", 5000))) }()
		_ = node.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := node.r.Peek(4); err != nil {
			return true // no PUBACK
		}
		node.want(4)
	}
	return false
}

// plainLosesQuota tries a few times: a message that finds quota again just in time
// does not wait in the queue that forgets.
func plainLosesQuota(p *plain) bool {
	for try := range 50 {
		topic := fmt.Sprint("t", try)
		c := p.login(5, topic, func(h *hello) { h.props = []byte{0x21, 0, 5} })
		c.subscribe(topic)
		go func() { // each waits until the one before is written
			for range 40 {
				_ = p.server.Publish(topic, []byte("x"), false, 1)
			}
		}()
		if c.arrived(true) < 40 {
			return true
		}
	}
	return false
}

func plainFloodsOnResume(p *plain) bool {
	keep := func(h *hello) {
		h.clean, h.props = false, []byte{0x21, 0, 3, 0x11, 0, 0, 1, 0} // Receive Maximum 3, session kept
	}
	c := p.login(5, nodeA, keep)
	c.subscribe("t")
	c.Close()
	synctest.Wait()
	for range 20 {
		if err := p.server.Publish("t", []byte("x"), false, 1); err != nil {
			return false
		}
	}
	return p.login(5, nodeA, keep).arrived(false) > 3
}

func plainGivesItselfAway(p *plain) bool {
	before, _ := p.server.Clients.Get("inline")
	p.login(4, "inline")
	after, _ := p.server.Clients.Get("inline")
	return before != nil && after != before
}

func plainTakesAnyID(p *plain) bool {
	victim, out := p.login(4, nodeA), make(chan bool, 1)
	go func() { out <- victim.closedWithin(time.Minute) }()
	thief := p.raw()
	thief.hello(4, nodeB, func(h *hello) { h.id = nodeA })
	return thief.connack() == 0 && <-out
}

func plainPublishesWill(p *plain) bool {
	p.acl = func(cl *mqtt.Client, _ string, write bool) bool { return !write || cl.ID != nodeA } // nodeA may write nothing
	pump := p.login(4, nodeB)
	pump.subscribe("pump")
	c := p.login(4, nodeA, func(h *hello) { h.will, h.willTopic, h.willText = true, "pump", "on" })
	c.Close()
	return pump.arrived(false) == 1
}

func plainAsksAboutNothing(p *plain) bool {
	asked := ""
	p.acl = func(_ *mqtt.Client, topic string, write bool) bool {
		if write && topic == "" {
			asked = "nothing"
		}
		return topic != ""
	}
	c := p.login(5, nodeA)
	c.send(frame(0x30, append(text("t"), 3, 0x23, 0, 1, 'x'))...) // alias 1 is t
	c.send(frame(0x30, append(text(""), 3, 0x23, 0, 1, 'x'))...)  // by alias
	synctest.Wait()
	return asked != ""
}

func plainTakesBadFilters(p *plain) bool {
	codes := p.login(4, nodeA).subscribe("a+b", "x#")
	return len(codes) == 2 && codes[0] < 0x80 && codes[1] < 0x80
}

func plainAcknowledges(p *plain) bool {
	p.publish = func(packets.Packet) error { return syscall.ENOSPC }
	c := p.login(4, nodeA)
	c.send(c.pub(2, 1, "t", "x")...)
	return c.want(4).body[1] == 1
}

func plainErases(p *plain) bool {
	c := p.login(4, nodeA)
	c.subscribe("down")
	if err := p.server.Publish("down", []byte("a command"), false, 1); err != nil {
		return false
	}
	_, _, id, _ := c.message()
	cl, _ := p.server.Clients.Get(nodeA)
	waiting := cl.State.Inflight.Len()
	c.send(c.pub(2, id, "up", "a reading")...)
	c.want(4)
	synctest.Wait()
	return waiting == 1 && cl.State.Inflight.Len() == 0 // and it was never acknowledged
}

func plainForgets(p *plain) bool {
	if err := p.server.Publish("config", []byte("x"), true, 1); err != nil {
		return false
	}
	kept := p.server.Topics.Messages("config")
	time.Sleep(25 * time.Hour)
	return len(kept) == 1 && len(p.server.Topics.Messages("config")) == 0
}

func plainKeepsSilent(p *plain) bool {
	c := p.login(4, nodeA, func(h *hello) { h.keepAlive = 0 })
	c.send(c.pub(2, 1, "$SYS/x", "x")...)
	return !c.closedWithin(time.Hour)
}

func plainClosesOnce(p *plain) (panicked bool) {
	p.closed = true
	_ = p.server.Close()
	defer func() { panicked = recover() != nil }()
	_ = p.server.Close()
	return false
}
