package sim

import (
	"fmt"
	"time"

	"greenhouse"
	"greenhouse/wire"
)

// restoreConfig puts the configuration of the memory, or the defaults, into
// force at boot.
func (f *Firmware) restoreConfig(now time.Time) {
	f.body = wire.ConfigBody{IntervalS: wire.DefaultIntervalS, LinkLossS: wire.DefaultLinkLossS}
	if f.mem.Config == nil {
		return
	}
	if body, err := wire.DecodeConfigBody(f.mem.Config.Body); err == nil {
		f.apply(body, now)
	}
}

// configure takes a desired configuration, or says why not.
func (f *Firmware) configure(now time.Time, payload []byte) {
	c, err := wire.DecodeConfig(payload)
	if err != nil {
		f.rejectConfig(wire.Config{}, err)
		return
	}
	body, err := f.acceptable(c)
	if err != nil {
		f.rejectConfig(c, err)
		return
	}
	kept := f.mem.Config
	f.mem.Config = &c
	if err := f.save(); err != nil {
		f.mem.Config = kept
		f.rejectConfig(c, err)
		return
	}
	f.apply(body, now)
	f.reportConfig()
}

// acceptable returns the body of a configuration this node can take.
func (f *Firmware) acceptable(c wire.Config) (wire.ConfigBody, error) {
	if kept := f.mem.Config; kept != nil && c.Rev < kept.Rev {
		return wire.ConfigBody{}, fmt.Errorf("revision %d is lower than %d, which is stored", c.Rev, kept.Rev)
	}
	if !c.Intact() {
		return wire.ConfigBody{}, fmt.Errorf("the hash is not that of the body")
	}
	body, err := wire.DecodeConfigBody(c.Body)
	if err != nil {
		return wire.ConfigBody{}, err
	}
	for _, ch := range body.Channels {
		if !f.has(ch.Name, ch.Kind) {
			return wire.ConfigBody{}, fmt.Errorf("this device has no %s %q", ch.Kind, ch.Name)
		}
	}
	return body, nil
}

// has reports whether the device has a channel of that name and kind.
func (f *Firmware) has(name greenhouse.ChannelName, kind greenhouse.Kind) bool {
	if kind == greenhouse.Actuator {
		return f.output(name) != nil
	}
	return f.sensor(name) != nil
}

// sensor returns the sensor of that name, nil for none.
func (f *Firmware) sensor(name greenhouse.ChannelName) *sensor {
	for i := range f.sensors {
		if f.sensors[i].name == name {
			return &f.sensors[i]
		}
	}
	return nil
}

// apply puts a body into force. A channel it does not name keeps what it had.
func (f *Firmware) apply(body wire.ConfigBody, now time.Time) {
	f.body = body
	if at := now.Add(time.Duration(body.IntervalS) * time.Second); at.Before(f.nextSample) {
		f.nextSample = at
	}
	for _, c := range body.Channels {
		if s := f.sensor(c.Name); s != nil && c.Cal != nil {
			s.offset, s.gain = c.Cal.Offset, c.Cal.Gain
		}
		o := f.output(c.Name)
		if o == nil {
			continue
		}
		o.maxOn, o.minOff = seconds(c.MaxOnS), seconds(c.MinOffS)
		if c.Safe != nil && *c.Safe != o.safe {
			o.safe = *c.Safe
			if !o.held() {
				f.toSafe(o, now)
			}
		}
	}
}

// seconds returns n seconds.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// reportConfig says what is stored: revision 0 where nothing is.
func (f *Firmware) reportConfig() {
	r := wire.ConfigReport{Status: wire.ReportApplied}
	if f.mem.Config != nil {
		r.Rev, r.Hash = f.mem.Config.Rev, f.mem.Config.Hash
	}
	f.sendConfigReport(r)
}

// rejectConfig says which configuration was refused, and why.
func (f *Firmware) rejectConfig(c wire.Config, why error) {
	f.sendConfigReport(wire.ConfigReport{Rev: c.Rev, Hash: c.Hash, Status: wire.ReportRejected, Error: cut(why.Error())})
}

// sendConfigReport publishes a report while there is a link: without one the
// next connect brings another.
func (f *Firmware) sendConfigReport(r wire.ConfigReport) {
	if payload, err := r.Marshal(); err == nil && f.linked {
		f.out = append(f.out, f.message(wire.KindConfigReport, payload))
	}
}

// cut shortens an explanation to what a report may carry.
func cut(s string) string {
	r := []rune(s)
	for len(string(r)) > 256 {
		r = r[:len(r)-1]
	}
	return string(r)
}
