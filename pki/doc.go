// Package pki is the daemon's own certificate authority: it makes one at the
// first start and issues the certificate that the TLS listeners show, so that a
// greenhouse is encrypted without anybody buying, copying or renewing anything.
// Nodes and greenctl are given the authority's certificate once and trust what
// it signs.
//
// # What there is
//
// The authority is an ECDSA P-256 key and a certificate for 20 years. It signs
// one certificate for two years, for the names and addresses of this machine and
// localhost, without wildcards. Both are good from 2020 on: a device that does not
// know the date, and thinks it is the day its firmware was built, still connects.
// [Authority.Look] renews the server's certificate after two thirds of its life, and when
// the machine got a name or an address that it does not carry. The listeners ask
// [Authority.Certificate] at every handshake, so no restart is needed.
//
// [Authority.Rotate] makes a new authority. For the time of the overlap the old one
// vouches for it: the chain that the server shows then ends at either, and whoever trusts the old
// authority or the new one connects. After the overlap, or at once with an overlap of
// zero (the key was stolen), only the new one counts.
//
// # Files
//
//	authority.pem  key, certificate, and while there is an overlap what the old authority signed (0600)
//	server.pem     key and chain of the server (0600)
//	ca.pem         the authority's certificate alone, to be copied (0644)
//
// Each is replaced as a whole: written under another name, synced, renamed. After
// a crash between two of them the next Open puts things right, for a server.pem
// that the authority did not sign is issued again. A damaged authority.pem is
// never replaced by a new authority, because that would lock every node out
// without a word: Open refuses and says what to do. Nor is a key taken that
// others could read.
//
// [Files] serves a certificate from elsewhere, and takes up its renewal.
//
// # Concurrency
//
// An Authority may be used from any goroutine. Certificate reads one atomic
// pointer; Look and Rotate exclude each other.
package pki
