package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"greenhouse"
)

// serverConfig is how our listeners speak TLS: 1.2 with forward secrecy and
// authenticated encryption, or 1.3.
func serverConfig(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: get,
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		},
	}
}

// write replaces a file as a whole.
func (a *Authority) write(name string, text []byte, mode os.FileMode) (err error) {
	path := filepath.Join(a.opts.Dir, name)
	defer func() {
		if err != nil {
			err = greenhouse.Unavailable("tls_unavailable", "%s cannot be written: %v", path, err)
		}
	}()
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // after an error only; it has been closed otherwise
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return err
	}
	if !a.opts.NoSync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return a.syncDir()
}

// syncDir makes the new name last.
func (a *Authority) syncDir() error {
	if a.opts.NoSync {
		return nil
	}
	d, err := os.Open(a.opts.Dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // it was only read
	return d.Sync()
}

// readPair reads a key and its certificates from a file that nobody else may read.
func readPair(path string) (*ecdsa.PrivateKey, []*x509.Certificate, error) {
	if err := private(path); err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read certificate: %w", err)
	}
	return decode(text)
}

// private refuses a key that others may read.
func private(path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("look at key: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return greenhouse.Invalid("key_exposed", "the key in %s can be read by others (mode %04o)", path, st.Mode().Perm()).WithHint("chmod 600 %s", path)
	}
	return nil
}

// parts takes a certificate of ours apart.
func parts(c *tls.Certificate) (*ecdsa.PrivateKey, []*x509.Certificate, error) {
	key, ok := c.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, greenhouse.Invalid("key_invalid", "the key is no ECDSA key")
	}
	var certs []*x509.Certificate
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, nil, fmt.Errorf("read certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	return key, certs, nil
}

// lookEvery is how often the files of a foreign certificate are looked at.
const lookEvery = 10 * time.Second

// pair is a certificate from elsewhere, in files that somebody else renews.
type pair struct {
	certFile, keyFile string
	now               func() time.Time

	mu     sync.Mutex
	shown  *tls.Certificate
	stamp  [2]time.Time // when the files were changed
	looked time.Time
}

// Files returns a configuration for a listener with a certificate from
// elsewhere. When the files are replaced, handshakes from ten seconds later on
// use them; files that do not fit together leave the former certificate in force. now nil is time.Now.
func Files(certFile, keyFile string, now func() time.Time) (*tls.Config, error) {
	if now == nil {
		now = time.Now
	}
	p := &pair{certFile: certFile, keyFile: keyFile, now: now}
	if st, err := os.Stat(keyFile); err == nil && st.Mode().Perm()&0o044 != 0 {
		return nil, greenhouse.Invalid("key_exposed", "the key in %s can be read by others", keyFile).WithHint("chmod 600 %s", keyFile)
	}
	if err := p.load(); err != nil {
		return nil, err
	}
	return serverConfig(p.certificate), nil
}

// load reads both files.
func (p *pair) load() error {
	p.stamp, p.looked = p.stamps(), p.now()
	c, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return greenhouse.Invalid("certificate_invalid", "the certificate %s and the key %s do not load: %v", p.certFile, p.keyFile, err)
	}
	p.shown = &c
	return nil
}

func (p *pair) stamps() (s [2]time.Time) {
	for i, f := range []string{p.certFile, p.keyFile} {
		if st, err := os.Stat(f); err == nil {
			s[i] = st.ModTime()
		}
	}
	return s
}

// certificate returns the present one, and now and then looks for a newer one.
func (p *pair) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now().Sub(p.looked) >= lookEvery {
		p.looked = p.now()
		if p.stamps() != p.stamp {
			_ = p.load() // the former one stays in force, and the doctor tells when it ends
		}
	}
	return p.shown, nil
}
