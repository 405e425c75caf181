package edge_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"greenhouse"
	"greenhouse/edge"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// crowd fills the registry with zones of ten points each and returns the login and
// secret of some of their nodes.
func (s *site) crowd(zones int) map[greenhouse.UID]string {
	s.t.Helper()
	secrets := map[greenhouse.UID]string{}
	for from := 0; from < zones; from += 500 { // in parts: a transaction holds what it changes in memory
		err := s.Store().Update(func(tx *store.Tx) error {
			for i := from; i < min(from+500, zones); i++ {
				z := greenhouse.Zone{ID: greenhouse.ZoneID(fmt.Sprintf("z%d", i)), Mode: greenhouse.ModeAuto, Targets: map[greenhouse.Quantity]greenhouse.Target{
					greenhouse.Heating: {Day: 18, Night: 16}, greenhouse.Venting: {Day: 22, Night: 20}, greenhouse.HumidityMax: {Day: 80, Night: 85}, greenhouse.TargetCO2: {Day: 800, Night: 800}}}
				if _, err := tx.CreateZone(z); err != nil {
					return err
				}
				r, err := tx.Register(store.JoinRequest{HardwareID: greenhouse.HardwareID(fmt.Sprintf("5500aa%06d", i)), Type: greenhouse.TypeClimate,
					Channels: channels("air_temp", "air_rh", "co2", "solar", "outside_temp", "heater", "vent", "fan", "lamp", "co2_valve")})
				if err != nil {
					return err
				}
				if _, err := tx.Assign(r.Node.UID, z.ID, 0); err != nil {
					return err
				}
				if len(secrets) < 20 {
					secrets[r.Node.UID] = r.Secret
				}
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	return secrets
}

// feed gives every sensor of the zones a reading of now.
func (s *site) feed(zones int) {
	s.t.Helper()
	now := time.Now()
	var wait sync.WaitGroup
	for i := range zones {
		z := greenhouse.ZoneID(fmt.Sprintf("z%d", i))
		b := &telemetry.Batch{Arrived: now, Done: func(error) { wait.Done() }}
		for ch, v := range map[greenhouse.ChannelName]float64{"air_temp": 17.5 + float64(i%9)/2, "air_rh": 70 + float64(i%20), "co2": 600, "solar": 150, "outside_temp": 8} {
			b.Readings = append(b.Readings, greenhouse.Reading{Point: greenhouse.ZonePoint(z, ch, 1), At: greenhouse.MillisOf(now), Value: v})
		}
		wait.Add(1)
		if err := s.History().Submit(s.t.Context(), b); err != nil {
			s.t.Fatal(err)
		}
	}
	wait.Wait()
}

// busy returns the processor time of this process.
func busy(tb testing.TB) time.Duration {
	tb.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkControlBesideIngest decides 5,000 zones of ten points every second in
// the whole daemon, first with nothing else to do and then while 10,000 durable
// messages a second come in, and prints both: how much of a core a cycle takes by
// the clock, what the whole process takes, the clients that send included, and how
// many messages had their PUBACK.
func BenchmarkControlBesideIngest(b *testing.B) {
	zones := 5000
	if testing.Short() {
		zones = 500
	}
	s := serve(b, short(b), "", func(o *edge.Options) { o.Period = time.Second })
	secrets := s.crowd(zones)
	var senders []*sender
	for uid, secret := range secrets {
		senders = append(senders, newSender(b, s.address, uid, secret))
	}
	for _, rate := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("msg/s=%d", rate), func(b *testing.B) {
			s.feed(zones)
			began, before, cpu := time.Now(), s.Loop().Stats(), busy(b)
			var took time.Duration
			sent, cycles := 0, 0
			for range max(b.N, 5) { // a second each
				next := time.Now().Add(time.Second)
				if rate > 0 {
					throughput(b, senders, rate, 100)
					sent += rate
				}
				for time.Now().Before(next) {
					time.Sleep(time.Until(next)) // the rate is part of what is measured
				}
				took += s.Loop().Last().Took
				if cycles++; cycles%10 == 0 {
					s.feed(zones)
				}
			}
			wall, after := time.Since(began).Seconds(), s.Loop().Stats()
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(100*took.Seconds()/float64(cycles), "%period/cycle")
			b.ReportMetric(100*(busy(b)-cpu).Seconds()/wall, "%core/process")
			b.ReportMetric(float64(after.Decisions-before.Decisions)/wall, "decisions/s")
			b.ReportMetric(float64(sent)/wall, "msg/s")
			b.ReportMetric(float64(after.Late-before.Late), "late")
		})
	}
}
