package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"greenhouse"
	"greenhouse/sim"
)

// dialer returns the way to the broker: the one that --broker names, else where
// the daemon says that nodes connect.
func (r *replayer) dialer(ctx context.Context) (sim.MQTT, error) {
	if r.flags.broker != "" {
		return r.app.dialMQTT(r.flags.broker)
	}
	st, err := r.client.Status(ctx)
	if err != nil {
		return sim.MQTT{}, err
	}
	if len(st.Broker.Addresses) == 0 {
		return sim.MQTT{}, greenhouse.Unavailable("broker_closed", "the daemon has no address for nodes").WithHint("--broker names one")
	}
	best := st.Broker.Addresses[0]
	for _, at := range st.Broker.Addresses {
		if strings.HasPrefix(at, "mqtt://") { // without TLS, if there is both: the node is on this network
			best = at
			break
		}
	}
	return r.app.dialMQTT(reachable(best, r.app.setting("server")))
}

// reachable returns the broker's address as it is seen from here: a broker that
// listens everywhere is on the host of the API.
func reachable(broker, server string) string {
	b, err := url.Parse(broker)
	if err != nil {
		return broker
	}
	ip, err := netip.ParseAddr(b.Hostname())
	if err != nil || !ip.IsUnspecified() {
		return broker
	}
	host := "127.0.0.1"
	if s, err := url.Parse(server); err == nil && s.Hostname() != "" {
		host = s.Hostname()
	}
	return b.Scheme + "://" + net.JoinHostPort(host, b.Port())
}

// dialMQTT returns a dialer for host:port or an mqtt or mqtts URL.
func (a *app) dialMQTT(broker string) (sim.MQTT, error) {
	text := broker
	if !strings.Contains(text, "://") {
		text = "mqtt://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Path != "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" {
		return sim.MQTT{}, greenhouse.Invalid("usage", "broker %q is no address", broker).WithHint("write host:port, mqtt://host:port or mqtts://host:port")
	}
	if u.Scheme == "mqtt" {
		return sim.MQTT{Address: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "1883"))}, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := a.setting("ca"); ca != "" {
		if conf, err = authority(ca); err != nil {
			return sim.MQTT{}, err
		}
	}
	conf.ServerName = u.Hostname()
	return sim.MQTT{Address: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "8883")), TLS: conf}, nil
}
