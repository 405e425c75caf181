package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/fleet"
)

func TestPendingKeepsWhoKnocksAndWhy(t *testing.T) {
	p, now := fleet.NewPending(), time.Now()
	if !p.Knock(fleet.Knock{ID: "aaaa", Code: "pairing_closed", Text: "closed", Address: "192.0.2.1:9"}, now) {
		t.Error("the first knock is no news")
	}
	if p.Knock(fleet.Knock{ID: "aaaa", Code: "pairing_closed", Text: "closed"}, now.Add(time.Second)) {
		t.Error("the second knock is news")
	}
	hello := &fleet.Hello{Type: greenhouse.TypePH, FW: "1.2"}
	p.Knock(fleet.Knock{ID: "aaaa", Code: "rule_node_type_fixed", Text: "it was an ec", Hello: hello}, now.Add(2*time.Second))
	p.Knock(fleet.Knock{ID: "aaaa", Code: "pairing_closed", Text: "closed again"}, now.Add(3*time.Second))
	p.Channel("ph-bbbb", "par_top", 3, now)
	p.Channel("ph-bbbb", "par_top", 4, now.Add(time.Minute))
	list := p.List(now.Add(time.Minute))
	if len(list) != 2 || list[0].ID != "ph-bbbb" || list[1].ID != "aaaa" {
		t.Fatalf("got %+v, want both, the one heard last first", list)
	}
	if c := list[0].Channels; len(c) != 1 || c[0].Value != 4 || c[0].Count != 2 {
		t.Errorf("channels: got %+v", c)
	}
	w := list[1]
	if w.Count != 4 || !w.First.Equal(now) || !w.Last.Equal(now.Add(3*time.Second)) || w.Address != "192.0.2.1:9" || w.Hello != hello {
		t.Errorf("got %+v", w)
	}
	if e := w.Errors; len(e) != 2 || e[1].Code != "pairing_closed" || e[1].Count != 3 || e[1].Text != "closed again" || e[0].Code != "rule_node_type_fixed" {
		t.Errorf("errors: got %+v, want the newest last", e)
	}
	p.Entered("aaaa")
	p.Entered("ph-bbbb")
	if list = p.List(now); len(list) != 1 || len(list[0].Channels) != 1 {
		t.Errorf("after both were let in: got %+v, want the undeclared channel alone", list)
	}
	if !p.Forget("ph-bbbb") || p.Forget("ph-bbbb") || len(p.List(now)) != 0 {
		t.Error("forgetting does not")
	}
}

func TestPendingIsBoundedAndForgets(t *testing.T) {
	p, now := fleet.NewPending(), time.Now()
	news := 0
	for i := range 10_000 { // somebody tries names, one each ten milliseconds
		if p.Knock(fleet.Knock{ID: fmt.Sprintf("%08x", i), Code: "token_wrong"}, now.Add(time.Duration(i)*10*time.Millisecond)) {
			news++
		}
	}
	now = now.Add(100 * time.Second)
	list := p.List(now)
	if len(list) != 256 || list[0].ID != fmt.Sprintf("%08x", 9999) || list[255].ID != fmt.Sprintf("%08x", 9744) {
		t.Errorf("got %d devices, newest %s, want the 256 newest", len(list), list[0].ID)
	}
	if news < 32 || news > 40 {
		t.Errorf("told of %d, want some tens in two minutes", news)
	}
	for i := range 100 {
		p.Channel("ph-bbbb", greenhouse.ChannelName(fmt.Sprintf("x%d", i)), 1, now)
	}
	if w := p.List(now)[0]; len(w.Channels) != 32 || len(w.Errors) != 1 {
		t.Errorf("got %d channels and %v, want 32 and a word about the rest", len(w.Channels), w.Errors)
	}
	if n := p.Count(time.Hour, now); n != 256 {
		t.Errorf("got %d of the last hour", n)
	}
	if list := p.List(now.Add(25 * time.Hour)); len(list) != 0 {
		t.Errorf("got %d after a day, want none", len(list))
	}
}
