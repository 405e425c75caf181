package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"greenhouse"
)

// The files of an authority.
const (
	authorityFile = "authority.pem"
	serverFile    = "server.pem"
	publicFile    = "ca.pem"
)

// reissuePause is the least time between two certificates that differ in names
// only: an address that comes and goes does not wear the card out.
const reissuePause = time.Hour

// Options say where an authority is kept and for whom it speaks. Dir is required.
type Options struct {
	Dir    string           // made with mode 0700 if absent
	Hosts  []string         // names beside those of the machine, without wildcards
	Names  Machine          // nil: the names and addresses of this machine
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: discarded
	NoSync bool             // files are not synced: for tests
}

// Authority is a certificate authority with the certificate it has issued.
type Authority struct {
	opts  Options
	shown atomic.Pointer[tls.Certificate]

	mu       sync.Mutex
	self     *authority
	reissued time.Time // when a certificate was issued for its names alone
}

// Open reads the authority in the directory, or makes one where there is none,
// and sees to it that the server has a certificate. A damaged authority, or a
// key that others may read, is an error that says what to do.
func Open(o Options) (*Authority, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Names == nil {
		o.Names = machine{}
	}
	for _, h := range o.Hosts {
		if err := CheckHost(h); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, greenhouse.Unavailable("tls_unavailable", "the directory of the certificates cannot be made: %v", err)
	}
	a := &Authority{opts: o}
	if err := a.open(); err != nil {
		return nil, err
	}
	_, err := a.Look()
	return a, err
}

// open reads the authority or makes one.
func (a *Authority) open() error {
	path := filepath.Join(a.opts.Dir, authorityFile)
	key, certs, err := readPair(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		made, err := newAuthority(a.opts.Now())
		if err != nil {
			return err
		}
		a.opts.Log.Info("certificate authority made", "file", path)
		return a.take(made)
	case err != nil:
		return unusable(path, err)
	case !certs[0].IsCA:
		return unusable(path, greenhouse.Invalid("key_invalid", "its certificate is not that of an authority"))
	}
	a.self = &authority{key: key, cert: certs[0]}
	if len(certs) > 1 {
		a.self.cross = certs[1]
	}
	a.readServer()
	return a.writePublic()
}

// unusable says why the authority cannot be used. It is never replaced without
// being asked: every node would be locked out.
func unusable(path string, err error) error {
	var e *greenhouse.Error
	if errors.As(err, &e) && e.Code == "key_exposed" {
		return err
	}
	return greenhouse.Unavailable("authority_damaged", "the certificate authority %s cannot be read: %v", path, err).
		WithHint("restore the file from a copy; or move it away, then a new authority is made and every node must be given it")
}

// readServer takes the server's certificate from its file. A missing or damaged
// one is issued again, which costs nothing.
func (a *Authority) readServer() {
	path := filepath.Join(a.opts.Dir, serverFile)
	key, certs, err := readPair(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		a.opts.Log.Warn("server certificate unusable: it is issued again", "file", path, "error", err)
	default:
		a.shown.Store(a.self.chain(certs[0], key, a.opts.Now()))
	}
}

// take makes an authority the one in force, on disk first.
func (a *Authority) take(next *authority) error {
	text, err := encode(next.key, next.cert, next.cross)
	if err != nil {
		return err
	}
	if err := a.write(authorityFile, text, 0o600); err != nil {
		return err
	}
	a.self = next
	return a.writePublic()
}

// writePublic keeps the copy for people in step.
func (a *Authority) writePublic() error {
	text := encodeCert(a.self.cert)
	if old, err := os.ReadFile(filepath.Join(a.opts.Dir, publicFile)); err == nil && string(old) == string(text) {
		return nil
	}
	return a.write(publicFile, text, 0o644)
}

// Info describes the authority in force.
func (a *Authority) Info() Info {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.self.info(a.opts.Now())
}

// Certificate returns what the server shows now. It is a [tls.Config]'s
// GetCertificate.
func (a *Authority) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return a.shown.Load(), nil
}

// Config returns a configuration for a listener whose certificate renews itself.
func (a *Authority) Config() *tls.Config { return serverConfig(a.Certificate) }

// Hosts returns the names that the certificate carries, for those who check what
// name they are called by.
func (a *Authority) Hosts() []string { return a.shown.Load().Leaf.DNSNames }

// Look issues the server's certificate again if it is due: when two thirds of
// its life are over, when the authority changed or an overlap ended, or when the machine has
// a name or address that is not in it. It reports whether it did. Call it now
// and then, once a minute will do.
func (a *Authority) Look() (renewed bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opts.Now()
	names := namesOf(a.opts.Names, a.opts.Hosts)
	why := a.due(names, now)
	if why == "" {
		return false, nil
	}
	cert, err := a.self.issue(names, now)
	if err != nil {
		return false, err
	}
	if err := a.keep(cert); err != nil {
		return false, err
	}
	a.opts.Log.Info("server certificate issued", "why", why, "until", cert.Leaf.NotAfter, "names", names.hosts, "addresses", len(names.addresses))
	return true, nil
}

// due says why a new certificate is needed, "" if it is not.
func (a *Authority) due(want names, now time.Time) string {
	c := a.shown.Load()
	switch {
	case c == nil:
		return "there is none"
	case !a.self.signed(c.Leaf):
		return "the authority is another one"
	case (len(c.Certificate) > 1) != a.self.overlaps(now):
		return "the overlap ended"
	case !now.Before(c.Leaf.NotAfter.Add(-renewBefore)) && c.Leaf.NotAfter.Before(a.self.cert.NotAfter):
		return "two thirds of its life are over"
	case !want.within(c.Leaf) && (a.reissued.IsZero() || now.Sub(a.reissued) >= reissuePause || now.Before(a.reissued)):
		a.reissued = now
		return "the machine has another name or address"
	}
	return ""
}

// keep writes the server's certificate and then shows it.
func (a *Authority) keep(c *tls.Certificate) error {
	key, certs, err := parts(c)
	if err != nil {
		return err
	}
	text, err := encode(key, certs...)
	if err != nil {
		return err
	}
	if err := a.write(serverFile, text, 0o600); err != nil {
		return err
	}
	a.shown.Store(c)
	return nil
}

// Rotate replaces the authority by a new one, which the old one vouches for
// until the overlap (0 to 5 years) is over, and issues the server's certificate
// anew. Within the overlap every node must be given the new authority.
func (a *Authority) Rotate(overlap time.Duration) (Info, error) {
	if overlap < 0 || overlap > maxOverlap {
		return Info{}, greenhouse.Invalid("overlap_invalid", "an overlap of %s is not from 0 to 5 years", overlap)
	}
	now := a.opts.Now()
	a.mu.Lock()
	next, err := a.self.succeed(now, overlap)
	if err == nil {
		err = a.take(next)
	}
	a.mu.Unlock()
	if err != nil {
		return Info{}, fmt.Errorf("rotate authority: %w", err)
	}
	a.opts.Log.Warn("certificate authority replaced", "fingerprint", Fingerprint(next.cert), "overlap", overlap)
	if _, err := a.Look(); err != nil {
		return Info{}, err
	}
	return a.Info(), nil
}

// Pool returns an authority's certificates from a PEM file, to check those of
// clients with.
func Pool(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, greenhouse.Invalid("ca_invalid", "the certificate authority cannot be read: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, greenhouse.Invalid("ca_invalid", "%s holds no certificate in PEM form", path)
	}
	return pool, nil
}
