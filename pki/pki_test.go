package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/pki"
)

// box is a machine whose names and clock a test sets.
type box struct {
	mu    sync.Mutex
	name  string
	ips   []net.IP
	clock time.Time
}

func (b *box) Hostname() string { b.mu.Lock(); defer b.mu.Unlock(); return b.name }
func (b *box) Addresses() []net.IP {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ips
}
func (b *box) now() time.Time { b.mu.Lock(); defer b.mu.Unlock(); return b.clock }

func (b *box) set(t time.Time) { b.mu.Lock(); defer b.mu.Unlock(); b.clock = t }

func newBox() *box {
	return &box{name: "Hub", ips: []net.IP{net.IPv4(192, 168, 1, 7), net.ParseIP("fe80::1"), net.ParseIP("fd00::7")}, clock: day(2026, 12, 1)}
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 12, 0, 0, 0, time.UTC) }

func open(t *testing.T, dir string, b *box) *pki.Authority {
	t.Helper()
	a, err := pki.Open(pki.Options{Dir: dir, Names: b, Now: b.now, Hosts: []string{"greenhouse.example"}, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func pool(t *testing.T, text string) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM([]byte(text)) {
		t.Fatal("no certificate in PEM")
	}
	return p
}

// shake makes a handshake with a client that trusts roots, calls the server by
// name and believes it is now.
func shake(server *tls.Config, roots *x509.CertPool, name string, now time.Time) error {
	return handshake(server, &tls.Config{RootCAs: roots, ServerName: name, Time: func() time.Time { return now }})
}

// handshake lets both sides meet over loopback; an in-memory pipe has no buffer
// for the alert of a client that refuses while the server still writes.
func handshake(server, client *tls.Config) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		far, err := l.Accept()
		if err != nil {
			return
		}
		defer far.Close()
		if c := tls.Server(far, server); c.Handshake() == nil {
			_, _ = io.Copy(io.Discard, c)
		}
	}()
	near, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
	if err != nil {
		return err
	}
	err = tls.Client(near, client).Handshake()
	near.Close()
	<-done
	return err
}

func leaf(t *testing.T, a *pki.Authority) *x509.Certificate {
	t.Helper()
	c, err := a.Certificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Leaf
}

func TestFirstStartMakesAnAuthority(t *testing.T) {
	dir, b := filepath.Join(t.TempDir(), "tls"), newBox()
	a := open(t, dir, b)
	info, c := a.Info(), leaf(t, a)
	roots := pool(t, info.PEM)
	for _, name := range []string{"hub", "hub.local", "localhost", "127.0.0.1", "::1", "192.168.1.7", "fd00::7", "greenhouse.example"} {
		if err := shake(a.Config(), roots, name, b.now()); err != nil {
			t.Errorf("called %s: %v", name, err)
		}
	}
	for _, name := range []string{"other", "fe80::1", "192.168.1.8", "x.local"} {
		if err := shake(a.Config(), roots, name, b.now()); err == nil {
			t.Errorf("called %s: it has no such name, want an error", name)
		}
	}
	if err := shake(a.Config(), x509.NewCertPool(), "hub", b.now()); err == nil {
		t.Error("a client that trusts another authority connects")
	}
	if got, want := info.NotAfter, b.now().Add(20*365*24*time.Hour); !got.Equal(want) {
		t.Errorf("the authority ends %v, want %v", got, want)
	}
	if got, want := c.NotAfter, b.now().Add(2*365*24*time.Hour); !got.Equal(want) {
		t.Errorf("the server's certificate ends %v, want %v", got, want)
	}
	if c.PublicKeyAlgorithm != x509.ECDSA || slices.ContainsFunc(c.DNSNames, func(n string) bool { return strings.Contains(n, "*") }) {
		t.Errorf("got %v for %v", c.PublicKeyAlgorithm, c.DNSNames)
	}
	for name, want := range map[string]os.FileMode{"authority.pem": 0o600, "server.pem": 0o600, "ca.pem": 0o644} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", name, st.Mode().Perm(), want)
		}
	}
	if public, _ := os.ReadFile(filepath.Join(dir, "ca.pem")); string(public) != info.PEM {
		t.Error("ca.pem is not the authority's certificate")
	}
}

func TestWrongClocksConnect(t *testing.T) {
	b := newBox()
	b.set(time.Unix(0, 0)) // a Pi without a clock, at its first boot
	a := open(t, t.TempDir(), b)
	roots := pool(t, a.Info().PEM)
	for _, now := range []time.Time{day(2020, 1, 2), day(2023, 5, 1), day(2026, 12, 1), day(2027, 12, 1)} {
		if err := shake(a.Config(), roots, "hub", now); err != nil {
			t.Errorf("a node that thinks it is %v: %v", now, err)
		}
	}
	before := leaf(t, a)
	b.set(day(2026, 12, 1)) // NTP came
	if renewed, err := a.Look(); renewed || err != nil {
		t.Errorf("after the clock was set: renewed %v, %v", renewed, err)
	}
	if leaf(t, a) != before {
		t.Error("another certificate without need")
	}
}

func TestReopeningChangesNothing(t *testing.T) {
	dir, b := t.TempDir(), newBox()
	first := open(t, dir, b)
	again := open(t, dir, b)
	if got, want := again.Info(), first.Info(); got != want {
		t.Errorf("the authority changed: %+v, want %+v", got, want)
	}
	if got, want := leaf(t, again).SerialNumber, leaf(t, first).SerialNumber; got.Cmp(want) != 0 {
		t.Error("the server's certificate changed")
	}
}

func TestRenewalAtTwoThirdsReachesTheListener(t *testing.T) {
	b := newBox()
	a := open(t, t.TempDir(), b)
	config := a.Config() // the listener's, made once
	roots, start := pool(t, a.Info().PEM), b.now()
	b.set(start.Add(486 * 24 * time.Hour)) // of 730
	if renewed, err := a.Look(); renewed || err != nil {
		t.Fatalf("before two thirds: renewed %v, %v", renewed, err)
	}
	b.set(start.Add(487 * 24 * time.Hour))
	if renewed, err := a.Look(); !renewed || err != nil {
		t.Fatalf("after two thirds: renewed %v, %v", renewed, err)
	}
	late := start.Add(900 * 24 * time.Hour) // the first one is over
	if err := shake(config, roots, "hub", late); err != nil {
		t.Errorf("the listener does not show the new certificate: %v", err)
	}
}

func TestNewNamesAreTakenUp(t *testing.T) {
	b := newBox()
	a := open(t, t.TempDir(), b)
	roots := pool(t, a.Info().PEM)
	b.ips = append(b.ips, net.IPv4(10, 0, 0, 9))
	if renewed, err := a.Look(); !renewed || err != nil {
		t.Fatalf("renewed %v, %v", renewed, err)
	}
	if err := shake(a.Config(), roots, "10.0.0.9", b.now()); err != nil {
		t.Error(err)
	}
	b.ips = append(b.ips, net.IPv4(10, 0, 0, 10))
	if renewed, _ := a.Look(); renewed {
		t.Error("an address that comes and goes has the certificate issued more than once an hour")
	}
	b.set(b.now().Add(time.Hour))
	if renewed, _ := a.Look(); !renewed {
		t.Error("the address is not taken up after an hour")
	}
}

func TestRotationOverlaps(t *testing.T) {
	dir, b := t.TempDir(), newBox()
	a := open(t, dir, b)
	config, old := a.Config(), pool(t, a.Info().PEM)
	info, err := a.Rotate(365 * 24 * time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	fresh := pool(t, info.PEM)
	if want := b.now().Add(365 * 24 * time.Hour); !info.Overlap.Equal(want) {
		t.Errorf("the overlap ends %v, want %v", info.Overlap, want)
	}
	check := func(when string, roots *x509.CertPool, want bool) {
		t.Helper()
		if err := shake(config, roots, "hub", b.now()); (err == nil) != want {
			t.Errorf("%s: got %v, want success %v", when, err, want)
		}
	}
	check("old authority within the overlap", old, true)
	check("new authority within the overlap", fresh, true)
	a = open(t, dir, b)
	config = a.Config()
	check("old authority after a restart", old, true)
	b.set(b.now().Add(366 * 24 * time.Hour))
	if renewed, err := a.Look(); !renewed || err != nil {
		t.Errorf("when the overlap ended: renewed %v, %v", renewed, err)
	}
	check("old authority after the overlap", old, false)
	check("new authority after the overlap", fresh, true)

	info, err = a.Rotate(0)
	if err != nil {
		t.Fatal(err)
	}
	check("former authority after a rotation without overlap", fresh, false)
	check("newest authority", pool(t, info.PEM), true)
	if !info.Overlap.IsZero() {
		t.Errorf("an overlap of zero lasts until %v", info.Overlap)
	}
	if _, err := a.Rotate(-1); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a negative overlap: got %v", err)
	}
}

func TestDamagedFiles(t *testing.T) {
	for _, c := range []struct {
		name, file string
		damage     func(path string) error
		code       string // "": it mends itself
	}{
		{"authority cut off", "authority.pem", func(p string) error { return os.Truncate(p, 100) }, "authority_damaged"},
		{"authority empty", "authority.pem", func(p string) error { return os.Truncate(p, 0) }, "authority_damaged"},
		{"authority of another kind", "authority.pem", func(p string) error { return os.WriteFile(p, []byte("hello"), 0o600) }, "authority_damaged"},
		{"authority readable by others", "authority.pem", func(p string) error { return os.Chmod(p, 0o644) }, "key_exposed"},
		{"server cut off", "server.pem", func(p string) error { return os.Truncate(p, 100) }, ""},
		{"server gone", "server.pem", os.Remove, ""},
		{"server readable by others", "server.pem", func(p string) error { return os.Chmod(p, 0o644) }, ""},
		{"copy gone", "ca.pem", os.Remove, ""},
		{"left over", "authority.pem.new", func(p string) error { return os.WriteFile(p, []byte("half"), 0o600) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, b := t.TempDir(), newBox()
			roots := pool(t, open(t, dir, b).Info().PEM)
			if err := c.damage(filepath.Join(dir, c.file)); err != nil {
				t.Fatal(err)
			}
			a, err := pki.Open(pki.Options{Dir: dir, Names: b, Now: b.now, NoSync: true})
			var e *greenhouse.Error
			if c.code != "" {
				if !errors.As(err, &e) || e.Code != c.code || e.Hint == "" {
					t.Fatalf("got %v, want %s with a hint", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := shake(a.Config(), roots, "hub", b.now()); err != nil {
				t.Errorf("the nodes are locked out: %v", err)
			}
		})
	}
}

// A server.pem that belongs to another authority is what a crash in the middle
// of a rotation leaves behind.
func TestCrashWithinRotation(t *testing.T) {
	dir, b := t.TempDir(), newBox()
	a := open(t, dir, b)
	before, err := os.ReadFile(filepath.Join(dir, "server.pem"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := a.Rotate(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.pem"), before, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shake(open(t, dir, b).Config(), pool(t, info.PEM), "hub", b.now()); err != nil {
		t.Error(err)
	}
}

func TestNoWildcardsNoNonsense(t *testing.T) {
	for _, h := range []string{"*", "*.example", "a..b", "", "-a", "a-", "a b", "ä", "a/b", strings.Repeat("a", 64)} {
		if _, err := pki.Open(pki.Options{Dir: t.TempDir(), Hosts: []string{h}, NoSync: true}); !errors.Is(err, greenhouse.ErrInvalid) {
			t.Errorf("host %q: got %v, want it refused", h, err)
		}
	}
}

func TestOnlyModernTLS(t *testing.T) {
	b := newBox()
	a := open(t, t.TempDir(), b)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		err := handshake(a.Config(), &tls.Config{RootCAs: pool(t, a.Info().PEM), ServerName: "hub", Time: b.now, MinVersion: version, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("version %x: got %v, want success %v", version, err, want)
		}
	}
}

func TestForeignCertificateIsRenewedInPlace(t *testing.T) {
	b := newBox()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	split := func(from string) *x509.CertPool {
		a := open(t, from, b)
		text, err := os.ReadFile(filepath.Join(from, "server.pem"))
		if err != nil {
			t.Fatal(err)
		}
		key, rest := pem.Decode(text)
		if err := errors.Join(os.WriteFile(keyFile, pem.EncodeToMemory(key), 0o600), os.WriteFile(certFile, rest, 0o644)); err != nil {
			t.Fatal(err)
		}
		stamp := b.now()
		if err := errors.Join(os.Chtimes(keyFile, stamp, stamp), os.Chtimes(certFile, stamp, stamp)); err != nil {
			t.Fatal(err)
		}
		return pool(t, a.Info().PEM)
	}
	first := split(t.TempDir())
	config, err := pki.Files(certFile, keyFile, b.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := shake(config, first, "hub", b.now()); err != nil {
		t.Error(err)
	}
	b.set(b.now().Add(time.Minute))
	second := split(t.TempDir())
	if err := shake(config, second, "hub", b.now()); err != nil {
		t.Errorf("the renewed certificate is not shown: %v", err)
	}
	b.set(b.now().Add(time.Minute))
	if err := errors.Join(os.WriteFile(certFile, []byte("half"), 0o644), os.Chtimes(certFile, b.now(), b.now())); err != nil {
		t.Fatal(err)
	}
	if err := shake(config, second, "hub", b.now()); err != nil {
		t.Errorf("a half-written file took the listener down: %v", err)
	}
	if err := os.Chmod(keyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Files(certFile, keyFile, nil); !errors.Is(err, greenhouse.ErrInvalid) {
		t.Errorf("a key that others can read: got %v", err)
	}
}

func TestRotationWhileServing(t *testing.T) {
	b := newBox()
	a := open(t, t.TempDir(), b)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for range 20 {
				c, err := a.Certificate(nil)
				if err != nil || c == nil {
					t.Error("no certificate")
				}
				_ = a.Info()
				_ = a.Hosts()
			}
		})
	}
	work.Go(func() {
		for range 5 {
			if _, err := a.Rotate(time.Hour); err != nil {
				t.Error(err)
			}
			if _, err := a.Look(); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "authority.pem"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.Open(pki.Options{Dir: dir, Names: newBox(), NoSync: true}); err == nil {
			t.Errorf("%q passes for an authority", text)
		}
	})
}
