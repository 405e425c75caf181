package edge

import (
	"crypto/tls"
	"path/filepath"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/pki"
)

// openTLS opens the daemon's own authority, made at the first start, and gives
// its certificate to the listeners that were given none.
func (d *Daemon) openTLS() error {
	a, err := pki.Open(pki.Options{Dir: filepath.Join(d.opts.DataDir, "tls"), Hosts: d.opts.Hosts, Now: d.opts.Now, Log: d.log, NoSync: d.opts.NoSync})
	if err != nil {
		return err
	}
	d.authority = a
	info := a.Info()
	d.log.Info("certificate authority", "fingerprint", info.Fingerprint, "until", info.NotAfter)
	d.mqttTLS, d.apiTLS = d.opts.MQTTTLS, d.opts.APITLS
	if d.mqttTLS == nil {
		d.mqttTLS = a.Config()
	}
	if d.apiTLS == nil {
		d.apiTLS = a.Config()
	}
	if d.opts.MQTTClientCA != nil {
		d.mqttTLS = d.mqttTLS.Clone()
		d.mqttTLS.ClientCAs, d.mqttTLS.ClientAuth = d.opts.MQTTClientCA, tls.RequireAndVerifyClientCert
	}
	return nil
}

// shown returns the configuration of a listener if it is open, for the doctor.
func shown(listen string, c *tls.Config) *tls.Config {
	if listen == "" {
		return nil
	}
	return c
}

// hosts returns the names by which callers of the API over TLS may call us.
func (d *Daemon) hosts() []string { return append(d.authority.Hosts(), d.opts.Hosts...) }

// renewTLS looks after the certificate. That the machine got a new name or
// address, or that it is time, shows here.
func (d *Daemon) renewTLS() {
	if _, err := d.authority.Look(); err != nil {
		d.log.Error("server certificate not renewed", "error", err)
	}
}

// authority is what the API asks of the certificate authority.
type authority struct{ d *Daemon }

// CA implements server.Authority.
func (a authority) CA() api.CA { return caOf(a.d.authority.Info()) }

// RotateCA implements server.Authority.
func (a authority) RotateCA(overlap time.Duration) (api.CA, error) {
	info, err := a.d.authority.Rotate(overlap)
	return caOf(info), err
}

func caOf(i pki.Info) api.CA {
	ca := api.CA{Fingerprint: i.Fingerprint, PEM: i.PEM, NotAfter: greenhouse.MillisOf(i.NotAfter)}
	if !i.Overlap.IsZero() {
		ca.OverlapUntil = greenhouse.MillisOf(i.Overlap)
	}
	return ca
}
