package security_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/edge"
)

// atOnce is how long an open session may outlive its secret.
const atOnce = time.Second

func TestRevocationActsAtOnce(t *testing.T) {
	h := open(t)
	n := h.node("00000000aaaa", greenhouse.TypePH, "")
	acc, err := h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "bridge", Subscribe: []string{"gh/#"}}, client.Write{})
	if err != nil {
		t.Fatal(err)
	}
	secret := n.Secret
	for _, c := range []struct {
		name, login string
		secret      func() string
		revoke      func() error
	}{
		{"rotate-key", string(n.UID), func() string { return secret }, func() error {
			s, err := h.client.RotateKey(h.ctx(), n.UID, client.Write{})
			secret = s.Secret
			return err
		}},
		{"account delete", "bridge", func() string { return acc.Secret }, func() error { return h.client.DeleteAccount(h.ctx(), "bridge", client.Write{}) }},
		{"decommission", string(n.UID), func() string { return secret }, func() error {
			_, err := h.client.DecommissionNode(h.ctx(), n.UID, client.Write{})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := c.secret()
			p, code, err := login(h.mqtt, nil, c.login, c.login, old, &will{"gh/n/" + c.login + "/status", true})
			if c.login == "bridge" {
				p, code, err = login(h.mqtt, nil, "any", c.login, old, nil)
			}
			if err != nil || code != 0 {
				t.Fatalf("log in before: %d %v", code, err)
			}
			begun := time.Now()
			if err := c.revoke(); err != nil {
				t.Fatal(err)
			}
			if !p.closed(atOnce) {
				t.Errorf("the session still lives after %v", atOnce)
			}
			t.Logf("closed %v after the request", time.Since(begun).Round(time.Microsecond))
			if _, code, _ := login(h.mqtt, nil, c.login, c.login, old, nil); code != 5 && code != 4 {
				t.Errorf("the old secret: got code %d, want it refused", code)
			}
		})
	}
}

// A retired node leaves nothing behind on the broker: not its state, not its
// will, which comes when its session is cut, and not its configuration.
func TestRetiredNodesAreForgotten(t *testing.T) {
	h := open(t)
	n, stays := h.node("00000000aaaa", greenhouse.TypePH, ""), h.node("00000000bbbb", greenhouse.TypePH, "")
	for _, n := range []api.Registered{n, stays} {
		p, _, err := login(h.mqtt, nil, string(n.UID), string(n.UID), n.Secret, &will{"gh/n/" + string(n.UID) + "/status", true})
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		if err := p.publish("gh/n/"+string(n.UID)+"/status", `{"v":1,"online":true,"boot":"b1"}`, true); err != nil {
			t.Fatal(err)
		}
	}
	acc, err := h.client.CreateAccount(h.ctx(), api.CreateAccountRequest{Name: "eye", Subscribe: []string{"gh/#", "end"}, Publish: []string{"end"}}, client.Write{})
	if err != nil {
		t.Fatal(err)
	}
	kept := func() (topics map[string]bool) {
		topics = map[string]bool{}
		for _, m := range h.retained(acc.Secret) {
			topics[m.topic] = true
		}
		return topics
	}
	h.eventually(patience, "all four are retained", func() bool { return len(kept()) == 4 })
	if _, err := h.client.DecommissionNode(h.ctx(), n.UID, client.Write{}); err != nil {
		t.Fatal(err)
	}
	h.eventually(atOnce, "nothing of the retired node is retained", func() bool {
		got := kept()
		return !got["gh/n/"+string(n.UID)+"/status"] && !got["gh/n/"+string(n.UID)+"/config"]
	})
	for range 5 { // nor does anything bring it back
		if got := kept(); len(got) != 2 {
			t.Errorf("retained: %v, want the two topics of the node that stays", got)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// retained returns what the account "eye", which subscribes to gh/#, finds.
func (h *house) retained(secret string) []message {
	h.t.Helper()
	p, code, err := login(h.mqtt, nil, "eye", "eye", secret, nil)
	if err != nil || code != 0 {
		h.t.Fatalf("log in: %d %v", code, err)
	}
	defer p.close()
	for _, f := range []string{"end", "gh/#"} {
		if err := p.subscribe(f); err != nil {
			h.t.Fatal(err)
		}
	}
	p.fling("end", "x") // what was retained is queued before it
	var all []message
	for {
		select {
		case m := <-p.got:
			if m.topic == "end" {
				return all
			}
			if m.retain {
				all = append(all, m)
			}
		case <-time.After(patience):
			h.t.Fatal("the mark did not come back")
		}
	}
}

// A stream opened with a token ends with it.
func TestStreamsEndWithTheirToken(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		name string
		end  func() error
	}{
		{"revoked", func() error { return h.client.DeleteToken(h.ctx(), "eye", client.Write{}) }},
		{"expired", func() error { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := api.CreateTokenRequest{Name: "eye", Role: api.RoleViewer}
			if c.name == "expired" {
				r.ForS = 1
			}
			tok, err := h.client.CreateToken(h.ctx(), r, client.Write{})
			if err != nil {
				t.Fatal(err)
			}
			watching, ended := make(chan bool, 1), make(chan error, 1)
			go func() {
				for _, err := range h.remote(tok.Secret).WatchEvents(h.ctx(), h.last()-1) {
					if err != nil {
						ended <- err
						return
					}
					select {
					case watching <- true:
					default:
					}
				}
				ended <- nil
			}()
			<-watching
			if err := c.end(); err != nil {
				t.Fatal(err)
			}
			for { // the stream is cut, and opening it again is refused
				select {
				case err := <-ended:
					if !errors.Is(err, greenhouse.ErrForbidden) {
						t.Logf("cut with: %v", err)
					}
					return
				case <-time.After(4 * time.Second):
					t.Fatal("the stream goes on without a token")
				}
			}
		})
	}
}

func TestTLSEndToEnd(t *testing.T) {
	h := open(t)
	n := h.node("00000000aaaa", greenhouse.TypePH, "")
	p, code, err := login(h.mqtts, h.tls(), string(n.UID), string(n.UID), n.Secret, nil)
	if err != nil || code != 0 {
		t.Fatalf("a node that was given the authority: %d %v", code, err)
	}
	defer p.close()
	if err := p.publish("gh/n/"+string(n.UID)+"/telemetry", `{"v":1,"m":{"solution_ph":6}}`, false); err != nil {
		t.Error(err)
	}
	for _, address := range []string{h.mqtts, h.api} {
		if _, err := dial(address, &tls.Config{ServerName: "localhost", RootCAs: x509.NewCertPool()}); err == nil {
			t.Errorf("%s: a client that trusts another authority connects", address)
		}
		if _, err := dial(address, &tls.Config{ServerName: "localhost", RootCAs: h.roots, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
			t.Errorf("%s: TLS 1.1 is taken", address)
		}
		if _, _, err := login(address, nil, string(n.UID), string(n.UID), n.Secret, nil); err == nil {
			t.Errorf("%s: MQTT in clear is taken", address)
		}
	}
	if _, err := h.remote(h.token("eye", api.RoleViewer)).Zones(h.ctx(), client.Page{}); err != nil {
		t.Error(err)
	}

	old := h.tls()
	if _, err := h.client.RotateCA(h.ctx(), api.RotateCARequest{}, client.Write{}); err != nil {
		t.Fatal(err)
	}
	h.trust()
	for name, conf := range map[string]*tls.Config{"old": old, "new": h.tls()} {
		for _, address := range []string{h.mqtts, h.api} {
			c, err := dial(address, conf)
			if err != nil {
				t.Errorf("%s authority within the overlap on %s: %v", name, address, err)
				continue
			}
			c.Close()
		}
	}
	zero := int64(0)
	if _, err := h.client.RotateCA(h.ctx(), api.RotateCARequest{OverlapS: &zero}, client.Write{}); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(h.mqtts, h.tls()); err == nil {
		t.Error("an authority whose key was stolen is still good")
	}
	ca, err := h.client.CA(h.ctx())
	if err != nil || !strings.Contains(h.log.String(), ca.Fingerprint) {
		t.Errorf("the log does not say the fingerprint %s: %v", ca.Fingerprint, err)
	}
	d, err := h.client.Doctor(h.ctx())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Checks {
		if c.ID == api.CheckCertificate && c.Status != api.CheckOK {
			t.Errorf("the doctor says %+v", c)
		}
	}
}

// With mqtt.client_ca set, a login needs a certificate of that authority too.
func TestClientCertificates(t *testing.T) {
	pool, good := clientAuthority(t)
	_, bad := clientAuthority(t)
	h := open(t, func(o *edge.Options) { o.MQTTClientCA = pool })
	n := h.node("00000000aaaa", greenhouse.TypePH, "")
	for name, c := range map[string]struct {
		certs []tls.Certificate
		want  bool
	}{"none": {nil, false}, "of another authority": {[]tls.Certificate{bad}, false}, "right": {[]tls.Certificate{good}, true}} {
		conf := h.tls()
		conf.Certificates = c.certs
		p, code, err := login(h.mqtts, conf, string(n.UID), string(n.UID), n.Secret, nil)
		if got := err == nil && code == 0; got != c.want {
			t.Errorf("certificate %s: got %v (%d %v), want %v", name, got, code, err, c.want)
		}
		if p != nil {
			p.close()
		}
	}
	conf := h.tls()
	conf.Certificates = []tls.Certificate{good}
	if _, code, _ := login(h.mqtts, conf, string(n.UID), string(n.UID), "guess", nil); code == 0 {
		t.Error("a certificate replaces the secret")
	}
}

func clientAuthority(t *testing.T) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleet"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return pool, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A second daemon on the same data keeps the authority.
func TestTheAuthorityOutlivesTheDaemon(t *testing.T) {
	dir := t.TempDir()
	var prints []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		socket := dir + "/s"
		d, err := edge.New(t.Context(), edge.Options{DataDir: dir + "/data", MQTTListeners: []net.Listener{l}, APISocket: socket, NoSync: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		c, err := client.New(client.Options{Socket: socket})
		if err != nil {
			t.Fatal(err)
		}
		ca, err := c.CA(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		prints = append(prints, ca.Fingerprint)
		c.Close()
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if prints[0] != prints[1] {
		t.Errorf("got %v", prints)
	}
}
