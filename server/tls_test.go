package server_test

import (
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

	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/server"
)

// identity makes a certificate for 127.0.0.1 that lasts so long.
func identity(t *testing.T, lasts time.Duration) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "greenhouse"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	pool := x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(der))(t))
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

func TestTLS(t *testing.T) {
	cfg, pool := identity(t, 10*24*time.Hour)
	h := open(t, func(_ *server.Deps, o *server.Options) { o.TLS = cfg })
	l := must(tls.Listen("tcp", "127.0.0.1:0", cfg))(t)
	go func() { _ = h.server.ServeRemote(l) }()
	tok := must(h.client.CreateToken(h.ctx(), api.CreateTokenRequest{Name: "phone", Role: api.RoleViewer}, client.Write{}))(t)
	address := "https://" + l.Addr().String()
	c := must(client.New(client.Options{Server: address, Token: tok.Secret, TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}))(t)
	defer c.Close()
	if _, err := c.Zones(h.ctx(), client.Page{}); err != nil {
		t.Errorf("with the right authority: %v", err)
	}
	stranger := must(client.New(client.Options{Server: address, Token: tok.Secret}))(t)
	defer stranger.Close()
	_, err := stranger.Zones(h.ctx(), client.Page{})
	if code(err) != "certificate_unknown" || !errors.Is(err, api.ErrUnreachable) {
		t.Errorf("without the authority: got %v (%s)", err, code(err))
	}
	for _, check := range must(h.client.Doctor(h.ctx()))(t).Checks {
		if check.ID == api.CheckCertificate && (check.Status != api.CheckWarn || !strings.Contains(check.Text, "ends on")) {
			t.Errorf("a certificate that ends in ten days: got %+v", check)
		}
	}
	plain := must(client.New(client.Options{Server: "https://" + h.remote, Token: tok.Secret}))(t)
	defer plain.Close()
	if _, err := plain.Zones(h.ctx(), client.Page{}); code(err) != "not_tls" {
		t.Errorf("a port without TLS: got %v (%s)", err, code(err))
	}
}
