package pki

import (
	"bytes"
	"crypto/x509"
	"net"
	"os"
	"slices"
	"strings"

	"greenhouse"
)

// Machine says by what names a machine is reached. What it cannot find out is
// left out.
type Machine interface {
	// Hostname returns the name of the machine, "" if it has none.
	Hostname() string
	// Addresses returns the addresses of its interfaces.
	Addresses() []net.IP
}

// machine is the one we run on.
type machine struct{}

// Hostname implements Machine.
func (machine) Hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// Addresses implements Machine.
func (machine) Addresses() []net.IP {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var ips []net.IP
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok {
			ips = append(ips, n.IP)
		}
	}
	return ips
}

// maxAddresses bounds a certificate on a machine with a great many interfaces.
const maxAddresses = 32

// names is what a certificate is made out to.
type names struct {
	hosts     []string
	addresses []net.IP
}

// namesOf collects the names and addresses of a machine: its host name, alone
// and as multicast DNS knows it, what was configured, and localhost. Link-local
// addresses are left out, for they mean nothing without an interface.
func namesOf(m Machine, more []string) names {
	var n names
	add := func(h string) {
		if h = strings.ToLower(h); CheckHost(h) == nil && !slices.Contains(n.hosts, h) {
			n.hosts = append(n.hosts, h)
		}
	}
	if h := m.Hostname(); h != "" {
		add(h)
		if !strings.Contains(h, ".") && !strings.EqualFold(h, "localhost") {
			add(h + ".local")
		}
	}
	for _, h := range more {
		add(h)
	}
	add("localhost")
	own := slices.Clone(m.Addresses())
	slices.SortFunc(own, func(a, b net.IP) int { return bytes.Compare(b.To16(), a.To16()) })
	for _, ip := range append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, own...) {
		if v4 := ip.To4(); v4 != nil {
			ip = v4
		}
		if ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || has(n.addresses, ip) || len(n.addresses) >= maxAddresses {
			continue
		}
		n.addresses = append(n.addresses, ip)
	}
	return n
}

func has(list []net.IP, ip net.IP) bool { return slices.ContainsFunc(list, ip.Equal) }

// within reports whether a certificate carries all the names.
func (n names) within(c *x509.Certificate) bool {
	for _, h := range n.hosts {
		if !slices.Contains(c.DNSNames, h) {
			return false
		}
	}
	for _, ip := range n.addresses {
		if !has(c.IPAddresses, ip) {
			return false
		}
	}
	return true
}

// CheckHost refuses what is no name of one machine, wildcards among it.
func CheckHost(h string) error {
	bad := greenhouse.Invalid("host_invalid", "%q is no host name: it needs letters, digits, hyphens and dots, and no wildcard", h)
	if h == "" || len(h) > 253 {
		return bad
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return bad
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' {
				return bad
			}
		}
	}
	return nil
}
