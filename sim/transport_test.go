package sim_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/sim"
	"greenhouse/wire"
)

// certificate makes a certificate of loopback and a pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestTransport speaks over real sockets, plain and by TLS.
func TestTransport(t *testing.T) {
	h := newHub(t)
	h.lenient = true
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cert, pool := certificate(t)
	go h.broker.Serve(plain)
	go h.broker.ServeTLS(secure, &tls.Config{Certificates: []tls.Certificate{cert}})

	for _, d := range []sim.MQTT{
		{Address: plain.Addr().String()},
		{Address: secure.Addr().String(), TLS: &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}},
	} {
		w, err := sim.Join(t.Context(), d, "token", wire.Hello{HardwareID: "00ff", Type: "ec"})
		if err != nil || w.UID != "ec-00ff" {
			t.Fatalf("Join = %+v, %v", w, err)
		}
		acked := make(chan uint64, 1)
		link, err := d.Dial(t.Context(), sim.Session{Login: "ec-00ff", Secret: w.Secret, Receive: func(string, []byte) {}, Acked: func(id uint64) { acked <- id }})
		if err != nil {
			t.Fatal(err)
		}
		if err := link.Publish(sim.Message{ID: 9, Topic: "gh/n/ec-00ff/telemetry/solution_ec", Payload: []byte("1.9"), QoS: 1}); err != nil {
			t.Fatal(err)
		}
		select {
		case id := <-acked:
			if id != 9 {
				t.Errorf("the PUBACK of %d came, want 9", id)
			}
		case <-time.After(10 * time.Second):
			t.Error("no PUBACK came")
		}
		if err := link.Subscribe(t.Context(), "gh/n/ec-00aa/cmd"); !errors.Is(err, greenhouse.ErrForbidden) {
			t.Errorf("subscribing to another node's commands: %v, want ErrForbidden", err)
		}
		link.Close(true)
		<-link.Done()
		if err := link.Publish(sim.Message{Topic: "gh/n/ec-00ff/telemetry/solution_ec", Payload: []byte("1.9"), QoS: 1}); !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Errorf("publishing on a closed link: %v, want ErrUnavailable", err)
		}
	}

	_, otherPool := certificate(t)
	for name, d := range map[string]sim.MQTT{
		"foreign certificate": {Address: secure.Addr().String(), TLS: &tls.Config{RootCAs: otherPool, ServerName: "127.0.0.1"}},
		"nobody listens":      {Address: "127.0.0.1:1"},
		"plain to TLS":        {Address: secure.Addr().String(), Timeout: time.Second},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := d.Dial(ctx, sim.Session{Login: "ec-00ff", Secret: "s3cret"}); !errors.Is(err, greenhouse.ErrUnavailable) {
			t.Errorf("%s: %v, want ErrUnavailable", name, err)
		}
		cancel()
	}
}
