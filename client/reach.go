package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"greenhouse"
	"greenhouse/api"
)

// unanswered explains why no answer came: the caller's context as it is, and
// everything else as an error of kind api.ErrUnreachable with a hint.
func (c *Client) unanswered(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	where := c.opts.Server
	if c.opts.Socket != "" {
		where = c.opts.Socket
	}
	e := &greenhouse.Error{Kind: api.ErrUnreachable, Code: "unreachable", What: "no answer from " + where + ": " + cause(err)}
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		e.Code, e.What = "unreachable_slow", "no answer from "+where+" within "+c.opts.Timeout.Round(time.Millisecond).String()
		return e.WithHint("edged may be overloaded or its disk may hang: journalctl -u edged")
	case c.opts.Socket != "":
		return c.socketHint(e, err)
	}
	return serverHint(e, err)
}

// cause returns the innermost message of err: what the system said.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func (c *Client) socketHint(e *greenhouse.Error, err error) error {
	switch {
	case errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM):
		e.Code, e.What = "socket_denied", "you may not open "+c.opts.Socket
		group := socketGroup(c.opts.Socket)
		return e.WithHint("join the group %s: sudo usermod -aG %s $USER, then log in again", group, group)
	case errors.Is(err, syscall.ENOENT):
		e.Code, e.What = "socket_missing", "there is no socket at "+c.opts.Socket
		return e.WithHint("is edged running? sudo systemctl start edged; another daemon: --socket or --context")
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Code, e.What = "socket_refused", "nobody answers at "+c.opts.Socket
		return e.WithHint("edged is not running: sudo systemctl start edged")
	case errors.Is(err, syscall.ENOTSOCK) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR):
		return e.WithHint("that path is no socket of edged: see api-socket in its configuration")
	}
	return e.WithHint("edged closed the connection: journalctl -u edged")
}

// socketGroup returns the group that may open the socket; the socket itself
// may be unreadable, then its directory tells, else the usual one.
func socketGroup(path string) string {
	for _, p := range []string{path, dir(path)} {
		info, err := os.Stat(p)
		if err != nil {
			continue
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok || st.Gid == 0 {
			continue
		}
		id := strconv.FormatUint(uint64(st.Gid), 10)
		if g, err := user.LookupGroupId(id); err == nil {
			return g.Name
		}
		return id
	}
	return "edged"
}

func dir(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return "/"
}

func serverHint(e *greenhouse.Error, err error) error {
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		record   tls.RecordHeaderError
		dns      *net.DNSError
	)
	switch {
	case errors.As(err, &unknown):
		e.Code, e.What = "certificate_unknown", "the server's certificate is from an authority you do not trust"
		return e.WithHint("give the authority of that site to the context: greenctl context set --ca FILE")
	case errors.As(err, &hostname):
		e.Code = "certificate_hostname"
		return e.WithHint("use a name that the certificate carries")
	case errors.As(err, &invalid):
		e.Code = "certificate_invalid"
		return e.WithHint("check the clocks of both machines, and on the server: greenctl doctor")
	case errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch):
		e.Code = "not_tls"
		return e.WithHint("that port does not speak TLS: is it the address of api-listen?")
	case errors.As(err, &dns):
		e.Code = "host_unknown"
		return e.WithHint("check the name, or use the address")
	case errors.Is(err, syscall.ECONNREFUSED):
		return e.WithHint("is edged running there, with api-listen set?")
	}
	return e.WithHint("check the network and the address, and whether edged runs there")
}
