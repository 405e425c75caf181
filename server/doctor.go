package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/store"
)

// The bounds at which a check warns or fails.
const (
	diskWarn   = 0.85                // of the file system in use
	diskFail   = 0.95                //
	wearWarn   = 2 << 30             // bytes written a day: ten years of a 16 GB card at 500 cycles
	backupWarn = 8 * 24 * time.Hour  // since the newest snapshot
	backupFail = 31 * 24 * time.Hour //
	certWarn   = 30 * 24 * time.Hour // before the certificate ends
)

// doctor runs all checks. Each has a stable id and looks at one thing.
func (s *Server) doctor(ctx context.Context, _ *none) (*out[api.Doctor], error) {
	reg := s.Store.Registry()
	d := api.Doctor{OK: true, At: greenhouse.MillisOf(s.now()), Checks: []api.Check{
		s.checkClock(), s.checkDisk(), s.checkWear(), s.checkStore(), s.checkBackup(), s.checkBroker(), s.checkCertificate(),
		s.checkAutoOff(reg), s.checkOffline(reg), s.checkDrift(reg), s.checkCalibration(reg), s.checkSkew(reg),
	}}
	for _, c := range d.Checks {
		d.OK = d.OK && c.Status != api.CheckFail
	}
	return &out[api.Doctor]{Body: d}, ctx.Err()
}

// check makes an outcome.
func check(id string, status api.CheckStatus, format string, args ...any) api.Check {
	return api.Check{ID: id, Status: status, Text: fmt.Sprintf(format, args...)}
}

// hinted adds what to do.
func hinted(c api.Check, format string, args ...any) api.Check {
	c.Hint = fmt.Sprintf(format, args...)
	return c
}

// listed names what a check is about: a warning if there is anything.
func listed(id string, items []string, none, some, hint string) api.Check {
	if len(items) == 0 {
		return check(id, api.CheckOK, "%s", none)
	}
	slices.Sort(items)
	c := hinted(check(id, api.CheckWarn, some, len(items)), "%s", hint)
	c.Items = items
	return c
}

// checkClock fails on a clock that says what cannot be, and warns of one that
// schedules do not follow.
func (s *Server) checkClock() api.Check {
	now, clock := s.now().UTC().Format(time.RFC3339), s.Health.Clock()
	waits := s.Telemetry.Stats().Provisional
	var c api.Check
	switch {
	case clock.State == greenhouse.ClockUnset:
		c = hinted(check(api.CheckClock, api.CheckFail, "unset: schedules wait, and so do %d readings for their times: %s", waits, clock.Text),
			"timedatectl set-ntp true; without a network set it by hand and clock.trust: always in the configuration")
	case !clock.Trusted:
		c = hinted(check(api.CheckClock, api.CheckWarn, "%s: schedules wait, and so do %d readings for their times: %s", clock.State, waits, clock.Text),
			"timedatectl timesync-status; without a network a clock module (RTC) helps")
	default:
		c = check(api.CheckClock, api.CheckOK, "%s, %s: %s", clock.State, now, clock.Text)
	}
	c.Values = map[string]any{"state": clock.State, "trusted": clock.Trusted, "for_s": clock.For, "last_synced": clock.LastSynced}
	return c
}

func (s *Server) checkDisk() api.Check {
	used, free, err := diskUse(s.opts.DataDir)
	if s.opts.DataDir == "" || err != nil {
		return check(api.CheckDiskSpace, api.CheckSkip, "the disk could not be looked at")
	}
	status := api.CheckOK
	switch {
	case used >= diskFail:
		status = api.CheckFail
	case used >= diskWarn:
		status = api.CheckWarn
	}
	c := check(api.CheckDiskSpace, status, "%.0f %% of the disk is in use, %d MB are free", used*100, free>>20)
	c.Values = map[string]any{"used": used, "free_bytes": free}
	if status != api.CheckOK {
		c.Hint = "make room, or lower telemetry.retention or set telemetry.max_bytes in the configuration"
	}
	return c
}

// checkWear looks at what is written to the card, which wears out by that, and
// at what the history has come to.
func (s *Server) checkWear() api.Check {
	up, st := s.now().Sub(s.started), s.Telemetry.Stats()
	values := map[string]any{"history_bytes": st.DayBytes + st.LogBytes + st.LevelBytes, "max_bytes": st.MaxBytes, "history_days": st.DayFiles, "oldest_day": st.OldestDay,
		"days_dropped": st.DaysDropped, "days_over_budget": st.OverBudget, "days_thinned": st.DaysThinned,
		"summary_bytes": st.LevelBytes, "summary_months": st.LevelFiles, "oldest_summary": st.OldestLevel, "months_dropped": st.LevelsDropped}
	if up < time.Hour {
		c := check(api.CheckDiskWear, api.CheckSkip, "the daemon has run for less than an hour, too short to tell")
		c.Values = values
		return c
	}
	perDay := float64(st.BytesWritten) / up.Hours() * 24
	status := api.CheckOK
	if perDay > wearWarn {
		status = api.CheckWarn
	}
	c := check(api.CheckDiskWear, status, "the history writes %.0f MB a day and occupies %.0f MB", perDay/1e6, float64(st.DayBytes+st.LogBytes+st.LevelBytes)/1e6)
	if st.MaxBytes > 0 {
		c.Text += fmt.Sprintf(" of the %.0f MB it may have", float64(st.MaxBytes)/1e6)
	}
	if st.OldestDay > 0 {
		c.Text += ", from " + st.OldestDay.Time().In(s.location()).Format(time.DateOnly) + " on"
	}
	if st.OldestLevel > 0 {
		c.Text += fmt.Sprintf("; summaries of what is older occupy %.0f MB, from %s on", float64(st.LevelBytes)/1e6, st.OldestLevel.Time().UTC().Format("2006-01"))
	}
	values["bytes_per_day"] = perDay
	if n := st.DaysDropped + st.DaysThinned; n > 0 {
		c.Text += fmt.Sprintf("; since the start %d days were dropped by age, %d for the disk budget, and the trends of %d", st.DaysDropped-st.OverBudget, st.OverBudget, st.DaysThinned)
	}
	if n := st.LevelsDropped; n > 0 {
		c.Text += fmt.Sprintf("; %d months of summaries were dropped", n)
	}
	c.Values = values
	if status != api.CheckOK {
		c.Hint = "raise telemetry.linger in the configuration, or have nodes send less often"
	}
	return c
}

func (s *Server) checkStore() api.Check {
	if err := s.Store.Check(); err != nil {
		return hinted(check(api.CheckStore, api.CheckFail, "the registry is not sound: %v", err), "stop edged and run: edged check-db; then: edged restore")
	}
	if failed := s.telemetryStatus().Failed; failed != "" {
		return hinted(check(api.CheckStore, api.CheckFail, "the history cannot be written: %s", failed), "look at the disk: dmesg, df -h")
	}
	if r := s.Store.Recovered(); r != nil {
		return hinted(check(api.CheckStore, api.CheckWarn, "the registry was restored from %s: %s", r.Snapshot, r.Reason), "look through nodes and zones for what changed since that snapshot")
	}
	return check(api.CheckStore, api.CheckOK, "the registry and the history are sound")
}

func (s *Server) checkBackup() api.Check {
	last := max(s.Store.Stats().LastSnapshot, s.lastBackup())
	if last == 0 {
		return hinted(check(api.CheckBackupAge, api.CheckWarn, "there is no backup yet"), "greenctl backup FILE, and keep it on another machine")
	}
	age := greenhouse.MillisOf(s.now()).Sub(last)
	status := api.CheckOK
	switch {
	case age > backupFail:
		status = api.CheckFail
	case age > backupWarn:
		status = api.CheckWarn
	}
	c := check(api.CheckBackupAge, status, "the newest backup is %s old", age.Round(time.Minute))
	c.Values = map[string]any{"age_s": age.Seconds()}
	if status != api.CheckOK {
		c.Hint = "greenctl backup FILE"
	}
	return c
}

// lastBackup returns when a backup was last taken, as far back as the newest
// thousand events tell; 0 if they tell of none.
func (s *Server) lastBackup() greenhouse.Millis {
	events, err := s.Journal.Latest(1000)
	if err != nil { // the check of the store says so
		return 0
	}
	for _, e := range events {
		if e.Code == eventBackup {
			return e.TS
		}
	}
	return 0
}

func (s *Server) checkBroker() api.Check {
	b := s.Broker.Status()
	if !b.Listening {
		return hinted(check(api.CheckBroker, api.CheckFail, "the MQTT broker does not listen: no node can connect"), "is the port taken? ss -ltnp; then: systemctl restart edged")
	}
	return check(api.CheckBroker, api.CheckOK, "the MQTT broker listens and has %d connections", b.Connections)
}

func (s *Server) checkCertificate() api.Check {
	cert, err := s.certificate()
	switch {
	case err != nil:
		return hinted(check(api.CheckCertificate, api.CheckFail, "the certificate cannot be read: %v", err), "look at the TLS files in the configuration")
	case cert == nil:
		return check(api.CheckCertificate, api.CheckSkip, "there is no certificate: TLS is not in use")
	}
	end := cert.NotAfter
	left := end.Sub(s.now())
	switch {
	case left <= 0:
		return hinted(check(api.CheckCertificate, api.CheckFail, "the certificate ended on %s", end.UTC().Format(time.DateOnly)), "renew it and: systemctl reload edged")
	case left < certWarn:
		return hinted(check(api.CheckCertificate, api.CheckWarn, "the certificate ends on %s", end.UTC().Format(time.DateOnly)), "renew it and: systemctl reload edged")
	}
	return check(api.CheckCertificate, api.CheckOK, "the certificate is good until %s", end.UTC().Format(time.DateOnly))
}

// certificate returns the certificate that ends first of those that the
// listeners show, nil for none.
func (s *Server) certificate() (*x509.Certificate, error) {
	var first *x509.Certificate
	for _, config := range []*tls.Config{s.opts.TLS, s.opts.NodeTLS} {
		c, err := certificate(config)
		if err != nil {
			return nil, err
		}
		if c != nil && (first == nil || c.NotAfter.Before(first.NotAfter)) {
			first = c
		}
	}
	return first, nil
}

// certificate returns the certificate that a listener shows, nil for none.
func certificate(c *tls.Config) (*x509.Certificate, error) {
	if c == nil {
		return nil, nil
	}
	var pair *tls.Certificate
	switch {
	case c.GetCertificate != nil: // it may be renewed while we run
		var err error
		if pair, err = c.GetCertificate(&tls.ClientHelloInfo{}); err != nil {
			return nil, fmt.Errorf("get certificate: %w", err)
		}
	case len(c.Certificates) > 0:
		pair = &c.Certificates[0]
	}
	if pair == nil || pair.Leaf != nil || len(pair.Certificate) == 0 {
		if pair == nil {
			return nil, nil
		}
		return pair.Leaf, nil
	}
	return x509.ParseCertificate(pair.Certificate[0])
}

// checkAutoOff names the hazardous actuators that have no time limit of their
// own on the device: if the daemon and the link die, nothing but the lease, kept
// by the firmware, turns them off.
func (s *Server) checkAutoOff(reg *store.Registry) api.Check {
	var items []string
	for _, n := range reg.Nodes {
		for _, c := range n.Channels {
			if n.State != greenhouse.NodeDecommissioned && c.Kind == greenhouse.Actuator && c.Class.Spec().Hazardous && c.MaxOnS == 0 {
				items = append(items, string(n.UID)+"/"+string(c.Name))
			}
		}
	}
	return listed(api.CheckAutoOff, items, "every hazardous actuator has a longest time on of its own", "hazardous actuators without a longest time on of their own: %d",
		"greenctl node edit UID --channel NAME --max-on 30m")
}

func (s *Server) checkOffline(reg *store.Registry) api.Check {
	var items []string
	for uid, n := range reg.Nodes {
		if n.Zone == "" || n.State == greenhouse.NodeMaintenance || n.State == greenhouse.NodeDecommissioned {
			continue
		}
		if online, _ := s.Presence.Presence(uid); !online {
			items = append(items, string(uid))
		}
	}
	return listed(api.CheckNodesOffline, items, "every node in a zone is online", "nodes in zones that are offline: %d", "look at their power and Wi-Fi; greenctl node describe UID")
}

func (s *Server) checkDrift(reg *store.Registry) api.Check {
	var items []string
	for uid, n := range reg.Nodes {
		if n.Config.Status == greenhouse.ConfigDrift || n.Config.Status == greenhouse.ConfigRejected {
			items = append(items, string(uid))
		}
	}
	return listed(api.CheckConfigDrift, items, "every node has the configuration it should have", "nodes with another configuration than they should have: %d", "greenctl node config UID says why")
}

func (s *Server) checkCalibration(reg *store.Registry) api.Check {
	var items []string
	now := greenhouse.MillisOf(s.now())
	for _, p := range reg.Points {
		switch st := reg.CalState(p); {
		case p.Kind != greenhouse.Sensor || p.Zone == "":
		case st.Required != 0:
			items = append(items, string(p.ID)+": since its hardware was swapped")
		case st.Due(now):
			items = append(items, string(p.ID)+": due since "+st.Last.DueAt.Time().In(s.location()).Format(time.DateOnly))
		}
	}
	return listed(api.CheckCalibration, items, "no sensor waits for a calibration", "sensors that wait for a calibration: %d", "greenctl node calibrate UID CHANNEL")
}

// checkSkew looks at nodes of one type that run different firmware.
func (s *Server) checkSkew(reg *store.Registry) api.Check {
	versions := map[greenhouse.NodeType]map[string]int{}
	for _, n := range reg.Nodes {
		if n.FW == "" || n.State == greenhouse.NodeDecommissioned {
			continue
		}
		if versions[n.Type] == nil {
			versions[n.Type] = map[string]int{}
		}
		versions[n.Type][n.FW]++
	}
	var items []string
	for typ, seen := range versions {
		for fw, count := range seen {
			if len(seen) > 1 {
				items = append(items, fmt.Sprintf("%s %s: %d", typ, fw, count))
			}
		}
	}
	return listed(api.CheckVersionSkew, items, "nodes of one type run the same firmware", "firmwares that differ among nodes of one type: %d", "update the older ones")
}
