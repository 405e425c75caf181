package security_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/wire"
)

// The nodes and devices of the matrix.
const (
	ownUID    = "ph-00000000aaaa"
	otherUID  = "climate-00000000bbbb"
	retired   = "relay-00000000cccc"
	joiningHW = "00000000dddd"
	otherHW   = "00000000eeee"
)

// who is one login of the matrix, with the filters the tables give it.
type who struct {
	name, login, secret string
	publish, subscribe  []string
}

// upTopics and downTopics are the contract, written by hand from docs/wire.md.
func upTopics(uid string) []string {
	t := "gh/n/" + uid
	return []string{t + "/status", t + "/telemetry", t + "/telemetry/air_temp", t + "/event", t + "/config/report", t + "/cmd/report", t + "/time"}
}

func downTopics(uid string) []string {
	t := "gh/n/" + uid
	return []string{t + "/config", t + "/cmd", t + "/time/reply"}
}

// byHand is what each login may do, beside the tables that enforce it. What is
// not here is refused.
func byHand() map[string]map[string][]string {
	return map[string]map[string][]string{
		"joining": {"publish": {"gh/hello/" + joiningHW}, "subscribe": {"gh/welcome/" + joiningHW}},
		"node":    {"publish": upTopics(ownUID), "subscribe": append(downTopics(ownUID), "gh/n/"+ownUID+"/config")},
		"other":   {"publish": upTopics(otherUID), "subscribe": downTopics(otherUID)},
		"account": {"publish": {"home/lamp/set"}, "subscribe": {
			"home", "home/lamp/set", "home/#", "home/+/set", "gh/n/" + ownUID + "/telemetry", "gh/n/" + otherUID + "/telemetry", "gh/n/+/telemetry"}},
		"mute": {}, "nobody": {}, "guesser": {}, "retired": {}, "late": {}, "wrong door": {},
	}
}

// neverRetained is what nobody may retain.
func neverRetained(topic string) bool {
	return strings.HasPrefix(topic, "gh/n/") && strings.HasSuffix(topic, "/cmd") && strings.Count(topic, "/") == 3
}

// topics of the matrix: every kind of the contract for two nodes and two
// devices, made from the table of kinds, and what is none of them.
func matrixTopics() []string {
	var all []string
	for k := wire.KindHello; k <= wire.KindTimeReply; k++ {
		switch k {
		case wire.KindHello:
			all = append(all, wire.HelloTopic(joiningHW).String(), wire.HelloTopic(otherHW).String())
		case wire.KindWelcome:
			all = append(all, wire.WelcomeTopic(joiningHW).String(), wire.WelcomeTopic(otherHW).String())
		case wire.KindTelemetryChannel:
			all = append(all, wire.ChannelTopic(ownUID, "air_temp").String(), wire.ChannelTopic(otherUID, "air_temp").String())
		default:
			all = append(all, wire.NodeTopic(k, ownUID).String(), wire.NodeTopic(k, otherUID).String())
		}
	}
	return append(all, "gh/n/"+ownUID, "gh/n/"+ownUID+"/secret", "gh/n/"+ownUID+"/cmd/other", "gh/n/"+ownUID+"/telemetry/a/b", "home/lamp/set", "home", "$SYS/broker/version")
}

func matrixFilters() []string {
	return []string{"#", "+/#", "gh/#", "gh/n/#", "gh/n/+/cmd", "gh/n/+/telemetry", "gh/n/" + ownUID + "/#", "gh/n/" + ownUID + "/+", "gh/welcome/+", "gh/hello/#",
		"home/#", "home/+/set", "$SYS/#", "$share/g/gh/n/" + ownUID + "/cmd"}
}

// allows is the filter rule of MQTT, written once more: whether filter f lets a
// topic or a narrower filter through.
func allows(f, want string) bool {
	if strings.HasPrefix(want, "$") {
		return false
	}
	fs, ws := strings.Split(f, "/"), strings.Split(want, "/")
	for i, level := range fs {
		switch {
		case level == "#":
			return true
		case i >= len(ws) || ws[i] == "#" || ws[i] == "+" && level != "+":
			return false
		case level != "+" && level != ws[i]:
			return false
		}
	}
	return len(fs) == len(ws)
}

func anyAllows(filters []string, want string) bool {
	return slices.ContainsFunc(filters, func(f string) bool { return allows(f, want) })
}

// people makes the logins.
func (h *house) people() []who {
	h.t.Helper()
	own, other := h.node("00000000aaaa", greenhouse.TypePH, ""), h.node("00000000bbbb", greenhouse.TypeClimate, "")
	gone := h.node("00000000cccc", greenhouse.TypeRelay, "")
	if _, err := h.client.DecommissionNode(h.ctx(), gone.UID, client.Write{}); err != nil {
		h.t.Fatal(err)
	}
	account := func(name string, publish, subscribe []string) api.Account {
		a, err := h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: name, Publish: publish, Subscribe: subscribe}, client.Write{})
		if err != nil {
			h.t.Fatal(err)
		}
		return a
	}
	bridge := account("bridge", []string{"home/+/set"}, []string{"home/#", "gh/n/+/telemetry"})
	mute := account("mute", nil, nil)
	old, err := h.client.OpenPairing(h.ctx(), api.PairRequest{}, client.Write{})
	if err != nil {
		h.t.Fatal(err)
	}
	pair, err := h.client.OpenPairing(h.ctx(), api.PairRequest{}, client.Write{})
	if err != nil {
		h.t.Fatal(err)
	}
	return []who{
		{"joining", joiningHW, pair.Token, wire.JoinPublish(joiningHW), wire.JoinSubscribe(joiningHW)},
		{"node", ownUID, own.Secret, wire.NodePublish(ownUID), wire.NodeSubscribe(ownUID)},
		{"other", otherUID, other.Secret, wire.NodePublish(otherUID), wire.NodeSubscribe(otherUID)},
		{"account", "bridge", bridge.Secret, bridge.Publish, bridge.Subscribe},
		{"mute", "mute", mute.Secret, mute.Publish, mute.Subscribe},
		{name: "nobody"},
		{name: "guesser", login: ownUID, secret: "guess"},
		{name: "retired", login: retired, secret: gone.Secret},
		{name: "late", login: joiningHW, secret: old.Token},
		{name: "wrong door", login: ownUID, secret: other.Secret},
	}
}

// attempt does one thing as one login, on a connection of its own, and reports
// whether the broker let it.
func (h *house) attempt(w who, op, topic string) bool {
	var last *will
	if strings.HasPrefix(op, "will") {
		last = &will{topic, op == "will retained"}
	}
	id := w.login
	if id == "" {
		id = "x"
	}
	p, code, err := login(h.mqtt, nil, id, w.login, w.secret, last)
	if err != nil || code != 0 {
		return false
	}
	defer p.close()
	switch op {
	case "publish":
		return p.publish(topic, "x", false) == nil
	case "retained":
		return p.publish(topic, "x", true) == nil
	case "subscribe":
		return p.subscribe(topic) == nil
	}
	return true // a will is judged at the login
}

func TestWhoMayDoWhatOverMQTT(t *testing.T) {
	h := open(t)
	hand := byHand()
	tried := 0
	for _, w := range h.people() {
		mine, listed := hand[w.name]
		if !listed {
			t.Fatalf("%s is not in the list written by hand", w.name)
		}
		for _, op := range []string{"publish", "retained", "will", "will retained", "subscribe"} {
			topics, table, kind := matrixTopics(), w.publish, "publish"
			if op == "subscribe" {
				topics, table, kind = append(topics, matrixFilters()...), w.subscribe, "subscribe"
			}
			for _, topic := range topics {
				tried++
				retain := op == "retained" || op == "will retained"
				want := slices.Contains(mine[kind], topic) && !(retain && neverRetained(topic))
				enforced := anyAllows(table, topic) && !(retain && neverRetained(topic))
				if want != enforced {
					t.Errorf("%s %s %s: the tables say %v, the list written by hand %v", w.name, op, topic, enforced, want)
				}
				if got := h.attempt(w, op, topic); got != want {
					t.Errorf("%s %s %s: got %v, want %v", w.name, op, topic, got, want)
				}
			}
		}
	}
	t.Logf("%d attempts", tried)
}

// A node cannot hear another even where a wider filter would have been granted
// in part: nothing it did not ask for by name arrives.
func TestNothingOfOthersArrives(t *testing.T) {
	h := open(t)
	people := h.people()
	listener, _, err := login(h.mqtt, nil, ownUID, ownUID, people[1].secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.close()
	for _, f := range downTopics(ownUID) {
		if err := listener.subscribe(f); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
	}
	speaker, _, err := login(h.mqtt, nil, otherUID, otherUID, people[2].secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer speaker.close()
	for _, topic := range upTopics(otherUID) {
		if err := speaker.publish(topic, "1", false); err != nil {
			t.Fatalf("%s: %v", topic, err)
		}
	}
	if err := listener.publish("gh/n/"+ownUID+"/time", `{"nonce":7}`, false); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case m := <-listener.got:
			if !strings.HasPrefix(m.topic, "gh/n/"+ownUID+"/") {
				t.Errorf("heard %s", m.topic)
			}
			if strings.HasSuffix(m.topic, "/time/reply") { // the last thing that was caused
				return
			}
		case <-time.After(patience):
			t.Fatal(fmt.Errorf("no answer to the question for the time"))
		}
	}
}
