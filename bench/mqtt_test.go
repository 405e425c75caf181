package bench

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/telemetry"
)

// floodTime is how long one flood lasts.
const floodTime = 1500 * time.Millisecond

// broker is one contender of the MQTT rounds.
type broker struct {
	name   string
	fresh  func() *mosquitto // started anew for each round if set
	fixed  string
	logins []*login
	per    map[int][]float64 // messages/s by window
	pid    func() int        // of its process
	cost   map[int][]float64 // µs of processor a message
	wrote  func() float64    // bytes to the device so far, nil if unknown
	bytes  map[int][]float64 // bytes to the device a message
}

// anonymous returns the logins without their passwords.
func anonymous(logins []*login) []*login {
	out := make([]*login, len(logins))
	for i, l := range logins {
		out[i] = newLogin(l.id, "", l.node, l.data, l.base)
	}
	return out
}

// benchMQTT compares durable ingest through the daemon with mosquitto.
func benchMQTT(t *testing.T, r *report, data *table, binary string) {
	d := newDaemon(t, binary)
	cold := d.start(t)
	time.Sleep(time.Second) // the daemon's own start is over
	idle := memory(d.cmd.Process.Pid)
	logins, joinTook := d.join(t, 1000, data)
	r.budget(joinTook < 2*time.Second, "1,000 hellos, each a login, a hello and a welcome over MQTT", "< 2 s", "%.2f s", joinTook.Seconds())
	// Points exist from a node's first sample on: outside the measured time.
	if _, err := flood(t.Context(), d.address, logins, 1, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	brokers := []*broker{{name: "edged, durable", fixed: d.address, logins: logins, pid: d.pid, wrote: func() float64 { return d.counter(t, "edged_telemetry_written_bytes_total") }}}
	if findMosquitto() == "" {
		r.skip(t, "mosquitto is not installed (apt install mosquitto)")
	} else {
		m := startMosquitto(t, "persistence false")
		brokers = append(brokers,
			&broker{name: "mosquitto, nothing kept", fixed: m.address, logins: anonymous(logins), pid: m.pid},
			&broker{name: "mosquitto, persistence and autosave on every change", logins: anonymous(logins), fresh: func() *mosquitto {
				m := startMosquitto(t, "persistence true", "persistence_location DIR", "autosave_on_changes true", "autosave_interval 1", "max_queued_messages 0")
				away(t, m.address, logins[0].topic)
				return m
			}})
	}
	runFloods(t, r, brokers)
	reportFloods(r, brokers)
	benchPaced(t, r, brokers)
	benchClients(t, r, d, idle, cold, logins)
}

// away leaves a persistent session behind that wants everything, so that there
// is something to keep.
func away(t *testing.T, address, topic string) {
	t.Helper()
	l := &login{id: "reader"}
	c, err := l.dial(t.Context(), address, false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	filter := filepath.Dir(filepath.Dir(topic)) + "/#"
	body := append(appendString([]byte{0, 1}, filter), 1)
	c.Write(append(appendHeader(nil, 0x82, len(body)), body...))
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	var ack [5]byte
	if _, err := c.Read(ack[:]); err != nil || ack[0] != 0x90 || ack[4] > 1 {
		t.Fatalf("subscribe %q: %v % x", filter, err, ack)
	}
}

func runFloods(t *testing.T, r *report, brokers []*broker) {
	for round := range r.rounds {
		for k := range brokers {
			b := brokers[(k+round)%len(brokers)]
			if round%2 == 1 {
				b = brokers[(len(brokers)-k+round)%len(brokers)]
			}
			address, pid, stop := b.fixed, b.pid, func() {}
			if b.fresh != nil {
				m := b.fresh()
				address, pid, stop = m.address, m.pid, m.stop
			}
			for _, window := range []int{20, 1} {
				busy, wrote := processor(pid()), 0.0
				if b.wrote != nil {
					wrote = b.wrote()
				}
				f, err := flood(t.Context(), address, b.logins[:100], window, floodTime)
				if err != nil {
					t.Errorf("%s, %d in flight: %v", b.name, window, err)
					continue
				}
				if b.per == nil {
					b.per, b.cost, b.bytes = map[int][]float64{}, map[int][]float64{}, map[int][]float64{}
				}
				n := float64(f.Messages)
				b.per[window] = append(b.per[window], f.PerS)
				b.cost[window] = append(b.cost[window], float64((processor(pid())-busy).Microseconds())/n)
				if b.wrote != nil {
					b.bytes[window] = append(b.bytes[window], (b.wrote()-wrote)/n)
				}
			}
			stop()
		}
	}
}

func reportFloods(r *report, brokers []*broker) {
	s := r.section("Durable QoS 1 ingest, 100 clients, 2 values a message", "Messages a second until the PUBACK. The daemon decodes, validates, logs and syncs before it acknowledges; mosquitto acknowledges from memory. One generator for all, on the same cores.",
		"", "20 in flight", "edged is", "processor a message", "bytes written a message", "1 in flight", "edged is", "processor a message")
	ours := brokers[0]
	for _, b := range brokers {
		s.row(b.name, count(median(b.per[20])), ratio(median(ours.per[20]), median(b.per[20])), fmt.Sprintf("%.1f µs", median(b.cost[20])), known(b.bytes[20]), count(median(b.per[1])), ratio(median(ours.per[1]), median(b.per[1])), fmt.Sprintf("%.1f µs", median(b.cost[1])))
	}
	r.budget(median(ours.bytes[20]) <= 200, "written to the device per message, at load (20 in flight, through MQTT)", "≤ 200 B", "%.0f B", median(ours.bytes[20]))
	if len(brokers) > 1 {
		a, b := median(ours.per[20])/median(brokers[1].per[20]), median(ours.per[1])/median(brokers[1].per[1])
		r.budget(a >= 2, "durable QoS 1 ingest, 100 clients, 20 in flight, against mosquitto that keeps nothing", "≥ 2×, aim 3×", "×%.2f (%s/s)", a, count(median(ours.per[20])))
		r.budget(b >= 0.5, "the same with 1 in flight", "≥ 0.5×", "×%.2f (%s/s)", b, count(median(ours.per[1])))
	}
}

// known writes the median of bytes, a dash where none were measured.
func known(v []float64) string {
	if len(v) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f", median(v))
}

// benchPaced times publish to PUBACK at 10,000 messages a second from 1,000 clients.
func benchPaced(t *testing.T, r *report, brokers []*broker) {
	s := r.section("Publish to PUBACK, 1,000 clients, 10 messages a second each", "From the moment a message was due, so that a generator that is late counts too.", "", "messages/s", "median", "99 of 100", "longest")
	for _, b := range brokers[:min(2, len(brokers))] {
		f, err := pace(t.Context(), b.fixed, b.logins, 100*time.Millisecond, 3*time.Second)
		if err != nil {
			t.Errorf("%s, paced: %v", b.name, err)
			continue
		}
		s.row(b.name, count(f.PerS), millis(f.at(0.5)), millis(f.at(0.99)), millis(f.at(1)))
		if b == brokers[0] {
			r.budget(f.at(0.99) <= 25*time.Millisecond, "publish to durable PUBACK at 10,000 messages/s from 1,000 clients", "p99 ≤ 25 ms", "p99 %s (median %s)", millis(f.at(0.99)), millis(f.at(0.5)))
		}
	}
}

// benchClients measures memory by client, of a small site, and starts.
func benchClients(t *testing.T, r *report, d *daemon, idle int64, cold time.Duration, logins []*login) {
	s := r.section("The daemon's memory and start", "Proportional set size of the process. \"Ready\" is when it says so after a kill.", "", "memory", "ready after")
	s.row("empty", megabytes(idle), millis(cold))
	r.budget(idle <= 25e6, "memory, idle", "≤ 25 MB", "%s", megabytes(idle))
	d.stop()
	again := d.start(t)
	time.Sleep(time.Second)
	before := memory(d.cmd.Process.Pid)
	s.row("1,000 nodes and 2,000 points known, after a kill under load", megabytes(before), millis(again))
	conns, err := dialAll(t.Context(), d.address, logins)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	each := (memory(d.cmd.Process.Pid) - before) / int64(len(conns))
	hangUp(conns)
	s.row("each of 1,000 connected clients, more", fmt.Sprintf("%.1f KB", float64(each)/1e3), "")
	r.budget(each <= 30<<10, "memory by connected client", "≤ 30 KiB", "%.1f KiB", float64(each)/1024)
	d.stop()
}

// benchSite measures the daemon with 50 zones, 50 nodes, 500 points, and 30 days
// of their history.
func benchSite(t *testing.T, r *report, data *table, binary string) {
	d := newDaemon(t, binary)
	d.start(t)
	var logins []*login
	points := make([][]greenhouse.PointID, 50)
	channels := []string{"air_temp", "air_rh", "co2", "ppfd", "leaf_temp", "soil_temp", "soil_moisture", "solution_temp", "solution_ph", "solution_ec"}
	for i := range points {
		zone := greenhouse.ZoneID(fmt.Sprintf("zone-%d", i))
		if _, err := d.api.CreateZone(t.Context(), api.CreateZoneRequest{ID: zone}, client.Write{}); err != nil {
			t.Fatal(err)
		}
		reg := api.RegisterRequest{HardwareID: fmt.Sprintf("%012x", 0x50000+i), Type: greenhouse.TypeClimate, Zone: zone}
		for _, ch := range channels {
			points[i] = append(points[i], greenhouse.ZonePoint(zone, greenhouse.ChannelName(ch), 1))
			if spec, ok := greenhouse.StandardChannel(greenhouse.ChannelName(ch)); ok {
				reg.Channels = append(reg.Channels, api.DeclaredChannel{Name: greenhouse.ChannelName(ch), Kind: spec.Kind, Unit: spec.Unit})
			}
		}
		n, err := d.api.RegisterNode(t.Context(), reg, client.Write{})
		if err != nil {
			t.Fatal(err)
		}
		logins = append(logins, newLogin(string(n.UID), n.Secret, i, data, time.Now().Add(-time.Minute).UnixMilli()))
	}
	d.stop()
	if err := os.RemoveAll(filepath.Join(d.dir, "telemetry")); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := fillSite(filepath.Join(d.dir, "telemetry"), data, points); err != nil {
		t.Fatal(err)
	}
	t.Logf("30 days of 500 points, five minutes apart, made in %v", time.Since(begun).Round(time.Millisecond))
	ready := d.start(t)
	conns, err := dialAll(t.Context(), d.address, logins)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(conns)
	sendSome(t, conns, logins, 3*time.Second)
	rss := memory(d.cmd.Process.Pid)
	s := &r.sections[len(r.sections)-1]
	s.row("50 zones, 50 nodes sending, 500 points with 30 days of history (five minutes apart)", megabytes(rss), millis(ready))
	r.budget(ready < time.Second, "ready with 30 days of 500 points", "< 1 s", "%s", millis(ready))
	r.budget(rss <= 64e6, "memory with 50 zones, 500 points, 50 nodes", "≤ 64 MB", "%s", megabytes(rss))
	d.stop()
}

// sendSome lets every client send two messages a second for a while, reading
// PUBACKs away.
func sendSome(t *testing.T, conns []net.Conn, logins []*login, dur time.Duration) {
	t.Helper()
	var out []byte
	for end := time.Now().Add(dur); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		for i, c := range conns {
			out = logins[i].publish(out[:0])
			if _, err := c.Write(out); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// fillSite writes 30 days of history with the engine itself, without waiting for
// its syncs.
func fillSite(dir string, data *table, points [][]greenhouse.PointID) error {
	const step = 30 // rows of 10 s: five minutes
	end := time.Now().Truncate(time.Hour).UnixMilli()
	begin := end - 30*86_400_000
	o := ours{dir: dir, at: begin}
	if err := o.openWith(telemetry.Options{Disk: noSync{}, SegmentBytes: 8 << 20}); err != nil {
		return err
	}
	for i := 0; begin+int64(i)*sampling < end; i += step {
		for n, of := range points {
			row := data.at(n, i)
			rs := make([]greenhouse.Reading, len(of))
			for c, p := range of {
				rs[c] = greenhouse.Reading{Point: p, At: greenhouse.Millis(begin + int64(i)*sampling + int64(n*37)), Value: row[c]}
			}
			if err := o.send(n, rs); err != nil {
				return err
			}
		}
		if err := o.clock(begin + int64(i+step)*sampling); err != nil {
			return err
		}
	}
	return o.close()
}
