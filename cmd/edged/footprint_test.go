package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
	"greenhouse/wire"
)

// TestFootprint prints how much memory the daemon takes empty and with twenty
// nodes of ten channels, and how long a start takes with them. The memory has a
// bound; the time is only told.
func TestFootprint(t *testing.T) {
	const idleMB, loadedMB = 40, 64
	c := newCampaign(t)
	c.start(t)
	idle := c.rss(t)
	channels := strings.Fields("air_temp air_rh co2 ppfd leaf_temp soil_temp soil_moisture solution_temp solution_ph solution_ec")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var acked atomic.Int64
	var links []sim.Link
	var nodes []greenhouse.UID
	for i := range 20 {
		n, err := c.api.RegisterNode(ctx, api.RegisterRequest{HardwareID: fmt.Sprintf("00000000f0%02d", i), Type: greenhouse.TypeClimate}, client.Write{})
		if err != nil {
			t.Fatal(err)
		}
		link, err := (sim.MQTT{Address: c.address}).Dial(ctx, sim.Session{Login: string(n.UID), Secret: n.Secret, Acked: func(uint64) { acked.Add(1) }, Receive: func(string, []byte) {}})
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close(true)
		links, nodes = append(links, link), append(nodes, n.UID)
	}
	const rounds = 50
	for round := range rounds {
		for i, link := range links {
			m := &wire.Telemetry{}
			for _, ch := range channels {
				m.Samples = append(m.Samples, wire.Sample{Channel: greenhouse.ChannelName(ch), At: base + greenhouse.Millis(round*10_000), HasAt: true, Value: 6 + float64(round%10)/10})
			}
			msg := sim.Message{ID: uint64(round + 1), Topic: wire.NodeTopic(wire.KindTelemetry, nodes[i]).String(), Payload: wire.AppendTelemetry(nil, m), QoS: 1}
			if err := link.Publish(msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	for deadline := time.Now().Add(20 * time.Second); acked.Load() < rounds*20; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages acknowledged", acked.Load(), rounds*20)
		}
	}
	loaded := c.rss(t)
	c.kill(t)
	c.start(t)
	t.Logf("RSS idle %.1f MB, with 20 nodes and 200 points %.1f MB; ready %v after a kill", idle, loaded, c.starts[len(c.starts)-1].Round(time.Millisecond))
	if idle > idleMB || loaded > loadedMB {
		t.Errorf("RSS %.1f and %.1f MB, want at most %d and %d", idle, loaded, idleMB, loadedMB)
	}
	c.term(t)
}

// rss returns the daemon's resident memory, MB.
func (c *campaign) rss(t *testing.T) float64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.process.Process.Pid))
	if err != nil {
		t.Skipf("this system does not tell a process's memory: %v", err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(v)[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			return kb / 1024
		}
	}
	t.Skip("no VmRSS")
	return 0
}
