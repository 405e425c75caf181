package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"time"

	"greenhouse"
)

// How long certificates last, and from when on.
const (
	authorityLife = 20 * 365 * 24 * time.Hour
	serverLife    = 2 * 365 * 24 * time.Hour
	renewBefore   = serverLife / 3 // a third of the life is left
	maxOverlap    = 5 * 365 * 24 * time.Hour
	firstYear     = 2020 // every certificate is good from its beginning
	sanestYear    = 2026 // a clock before it is wrong: lives are counted from its beginning
)

// Info describes the authority.
type Info struct {
	Fingerprint string    // SHA-256 of the certificate, as openssl writes it: AB:CD:…
	PEM         string    // the certificate
	NotAfter    time.Time // its end
	Overlap     time.Time // until when the authority before is good as well; zero: it is not
}

// authority is the key that signs, with its certificate.
type authority struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	cross *x509.Certificate // the same key, signed by the authority before; nil outside an overlap
}

// Fingerprint returns the SHA-256 of a certificate as openssl writes it.
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
	}
	return strings.Join(pairs, ":")
}

// info describes a as of now.
func (a *authority) info(now time.Time) Info {
	i := Info{Fingerprint: Fingerprint(a.cert), PEM: string(encodeCert(a.cert)), NotAfter: a.cert.NotAfter}
	if a.overlaps(now) {
		i.Overlap = a.cross.NotAfter
	}
	return i
}

// overlaps reports whether the authority before still vouches for this one.
func (a *authority) overlaps(now time.Time) bool {
	return a.cross != nil && now.Before(a.cross.NotAfter)
}

// origin is the instant from which lives are counted: now, unless the clock is
// plainly wrong.
func origin(now time.Time) time.Time {
	if now.Year() < sanestYear {
		return time.Date(sanestYear, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return now.UTC().Truncate(time.Second)
}

func validFrom() time.Time { return time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC) }

// serial returns 127 random bits.
func serial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// authorityTemplate is what an authority says of itself. Two of them must not
// have the same name, or clients mistake one for the other.
func authorityTemplate(name string, end time.Time) (*x509.Certificate, error) {
	n, err := serial()
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: n, Subject: pkix.Name{CommonName: name}, NotBefore: validFrom(), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, MaxPathLen: 1, // one below it: its successor, during an overlap
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, nil
}

// newAuthority makes an authority that stands alone.
func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	n, err := serial()
	if err != nil {
		return nil, err
	}
	t, err := authorityTemplate("edged authority "+n.Text(16)[:8], origin(now).Add(authorityLife))
	if err != nil {
		return nil, err
	}
	cert, err := sign(t, t, key, key)
	if err != nil {
		return nil, fmt.Errorf("make authority: %w", err)
	}
	return &authority{key: key, cert: cert}, nil
}

// succeed makes the authority after a, vouched for by a until the overlap ends.
func (a *authority) succeed(now time.Time, overlap time.Duration) (*authority, error) {
	next, err := newAuthority(now)
	if err != nil || overlap <= 0 {
		return next, err
	}
	end := origin(now).Add(overlap)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	t, err := authorityTemplate(next.cert.Subject.CommonName, end)
	if err != nil {
		return nil, err
	}
	t.MaxPathLen, t.MaxPathLenZero = 0, true
	t.SubjectKeyId = next.cert.SubjectKeyId
	if next.cross, err = sign(t, a.cert, next.key, a.key); err != nil {
		return nil, fmt.Errorf("vouch for the new authority: %w", err)
	}
	return next, nil
}

// sign signs t, for the key of subject, with the key of the issuer.
func sign(t, issuer *x509.Certificate, subject, by *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, issuer, &subject.PublicKey, by)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// issue makes the server's certificate.
func (a *authority) issue(names names, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	n, err := serial()
	if err != nil {
		return nil, err
	}
	end := origin(now).Add(serverLife)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	t := &x509.Certificate{
		SerialNumber: n, Subject: pkix.Name{CommonName: names.hosts[0]}, NotBefore: validFrom(), NotAfter: end,
		DNSNames: names.hosts, IPAddresses: names.addresses, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := sign(t, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return a.chain(cert, key, now), nil
}

// chain is what the server shows: its certificate, and during an overlap the
// one by which the authority before vouches for the present one.
func (a *authority) chain(cert *x509.Certificate, key *ecdsa.PrivateKey, now time.Time) *tls.Certificate {
	c := &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
	if a.overlaps(now) {
		c.Certificate = append(c.Certificate, a.cross.Raw)
	}
	return c
}

// signed reports whether the authority signed cert.
func (a *authority) signed(cert *x509.Certificate) bool {
	return cert.CheckSignatureFrom(a.cert) == nil
}

// PEM block types.
const (
	blockCert = "CERTIFICATE"
	blockKey  = "PRIVATE KEY"
)

func encodeCert(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockCert, Bytes: c.Raw})
}

// encode writes a key and certificates as PEM.
func encode(key *ecdsa.PrivateKey, certs ...*x509.Certificate) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write key: %w", err)
	}
	var b bytes.Buffer
	b.Write(pem.EncodeToMemory(&pem.Block{Type: blockKey, Bytes: der}))
	for _, c := range certs {
		if c != nil {
			b.Write(encodeCert(c))
		}
	}
	return b.Bytes(), nil
}

// decode reads what encode wrote: one key and at least one certificate, the
// first of which is the key's.
func decode(text []byte) (*ecdsa.PrivateKey, []*x509.Certificate, error) {
	var key *ecdsa.PrivateKey
	var certs []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case blockKey:
			k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("read key: %w", err)
			}
			ec, ok := k.(*ecdsa.PrivateKey)
			if !ok {
				return nil, nil, greenhouse.Invalid("key_invalid", "the key is no ECDSA key")
			}
			key = ec
		case blockCert:
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, nil, fmt.Errorf("read certificate: %w", err)
			}
			certs = append(certs, c)
		}
	}
	if key == nil || len(certs) == 0 || !key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, nil, greenhouse.Invalid("key_invalid", "there is no key with a certificate of its own")
	}
	return key, certs, nil
}
