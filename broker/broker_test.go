package broker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"go.uber.org/goleak"

	"greenhouse"
	"greenhouse/broker"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/eclipse/paho%2emqtt%2egolang.startIncomingComms.func1"))
}

func TestPahoPublishesAndSubscribes(t *testing.T) {
	h := start(t)
	url := pahoURL(t, h)
	got := make(chan string, 10)
	watcher := dialPaho(t, url, reader)
	if tok := watcher.Subscribe("gh/n/+/telemetry", 1, func(_ paho.Client, m paho.Message) { got <- m.Topic() + " " + string(m.Payload()) }); tok.Wait() && tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	node := dialPaho(t, url, nodeA)
	tok := node.Publish("gh/n/"+nodeA+"/telemetry", 1, false, `{"v":1}`)
	if !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		t.Fatalf("publish: %v", tok.Error())
	}
	if got, want := next(t, got), "gh/n/"+nodeA+`/telemetry {"v":1}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d := next(t, h.rec.got)
	if got, want := fmt.Sprint(d.Login, d.ClientID, d.Topic, d.QoS, d.Retain, d.Node), fmt.Sprint(nodeA, nodeA, "gh/n/"+nodeA+"/telemetry", 1, false, true); got != want {
		t.Errorf("delivery: got %s, want %s", got, want)
	}
}

func pahoURL(t *testing.T, h *house) string {
	c, err := h.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return "tcp://" + c.RemoteAddr().String()
}

func dialPaho(t *testing.T, url, login string) paho.Client {
	t.Helper()
	o := paho.NewClientOptions().AddBroker(url).SetClientID(login).SetUsername(login).SetPassword(login + "-secret").SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	c := paho.NewClient(o)
	if tok := c.Connect(); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		t.Fatalf("connect as %s: %v", login, tok.Error())
	}
	t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func TestCommandIsConfirmedByPuback(t *testing.T) {
	for _, v := range []byte{4, 5} {
		h := start(t)
		topic := "gh/n/" + nodeA + "/cmd"
		if err := h.PublishCommand(nodeA, topic, []byte("x"), nil); !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Errorf("to an absent node: got %v, want unavailable", err)
		}
		c := h.login(v, nodeA)
		if err := h.PublishCommand(nodeA, topic, []byte("x"), nil); !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Errorf("to a node that has not subscribed: got %v, want unavailable", err)
		}
		c.subscribe(topic)
		acked := make(chan int, 10)
		for i := range 3 {
			if err := h.PublishCommand(nodeA, topic, []byte{byte('a' + i)}, func() { acked <- i }); err != nil {
				t.Fatal(err)
			}
		}
		var ids []uint16
		for i := range 3 {
			_, payload, id, head := c.message()
			if got, want := payload, string(rune('a'+i)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if head != 0x32 {
				t.Errorf("first byte %#x, want QoS 1 and nothing else", head)
			}
			ids = append(ids, id)
		}
		for _, i := range []int{1, 0, 2} {
			select {
			case j := <-acked:
				t.Fatalf("command %d confirmed before its PUBACK", j)
			default:
			}
			c.send(0x40, 2, byte(ids[i]>>8), byte(ids[i]))
			if got := next(t, acked); got != i {
				t.Errorf("confirmed %d, want %d", got, i)
			}
		}
	}
}

func TestPubacksLeaveInPublishOrderAndAfterAck(t *testing.T) {
	for _, v := range []byte{4, 5} {
		h := start(t, func(_ *broker.Options, r *recorder) { r.hold = true })
		c := h.login(v, nodeA)
		topic := "gh/n/" + nodeA + "/telemetry"
		for i := uint16(1); i <= 5; i++ {
			c.send(c.pub(2, i, topic, "x")...)
		}
		c.ping() // nothing acknowledged so far
		var d []*broker.Delivery
		for range 5 {
			d = append(d, next(t, h.rec.got))
		}
		for _, i := range []int{4, 2, 1, 0, 3} {
			go d[i].Ack()
		}
		for i := byte(1); i <= 5; i++ {
			if got := c.want(4).body; got[1] != i || len(got) != 2 {
				t.Errorf("PUBACK %x, want id %d and no reason", got, i)
			}
		}
		d[0].Ack() // again: nothing
		d[0].Fail(errors.New("late"))
		c.ping()
	}
}

func TestFailClosesWithoutPuback(t *testing.T) {
	h := start(t, func(_ *broker.Options, r *recorder) { r.hold = true })
	c := h.login(4, nodeA)
	for i := uint16(1); i <= 3; i++ {
		c.send(c.pub(2, i, "gh/n/"+nodeA+"/telemetry", "x")...)
	}
	first, second, third := next(t, h.rec.got), next(t, h.rec.got), next(t, h.rec.got)
	third.Ack()
	first.Ack()
	second.Fail(errors.New("disk full"))
	var acks []int
	for _, p := range c.gone() {
		acks = append(acks, int(p.body[1]))
	}
	if got, want := fmt.Sprint(acks), "[1]"; got != want {
		t.Errorf("acknowledged %s, want %s", got, want)
	}
	if got := next(t, h.rec.closed); !errors.Is(got.Cause, broker.ErrNotStored) {
		t.Errorf("closed because of %v, want %v", got.Cause, broker.ErrNotStored)
	}
}

func TestCloseTwice(t *testing.T) {
	// Plain mochi: the second Close panics (close of closed channel).
	h := start(t)
	c := h.login(5, nodeA)
	for range 2 {
		if err := h.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := c.want(14).body[0], byte(0x8b); got != want {
		t.Errorf("DISCONNECT code %#x, want %#x", got, want)
	}
	if got := next(t, h.rec.closed); !errors.Is(got.Cause, broker.ErrShutdown) {
		t.Errorf("closed because of %v", got.Cause)
	}
	if err := h.Serve(newPipes()); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
}
