package server_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"greenhouse/server"
)

// far is a listener of connections that come from elsewhere.
type far struct {
	conns chan net.Conn
	errs  chan error
	done  chan struct{}
}

func (f *far) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case err := <-f.errs:
		return nil, err
	case <-f.done:
		return nil, net.ErrClosed
	}
}

func (f *far) Close() error {
	select {
	case <-f.done:
	default:
		close(f.done)
	}
	return nil
}

func (f *far) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }

type farConn struct {
	net.Conn
	from net.Addr
}

func (c farConn) RemoteAddr() net.Addr { return c.from }

// dial connects from an address and returns what the server answered.
func (f *far) dial(t *testing.T, ip byte) (net.Conn, string) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	f.conns <- farConn{theirs, &net.TCPAddr{IP: net.IPv4(192, 0, 2, ip), Port: 1000}}
	if _, err := io.WriteString(ours, "GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return ours, ""
	}
	buf := make([]byte, 1024)
	n, _ := ours.Read(buf)
	return ours, string(buf[:n])
}

// One address cannot take all connections; running out of files does not end
// the listener.
func TestConnectionsAreBounded(t *testing.T) {
	h := open(t, func(_ *server.Deps, o *server.Options) { o.Limits.PerAddress = 2 })
	l := &far{conns: make(chan net.Conn), errs: make(chan error), done: make(chan struct{})}
	go func() { _ = h.server.ServeRemote(l) }()
	first, answer := l.dial(t, 7)
	if !strings.Contains(answer, "200 OK") {
		t.Fatalf("first: got %q", answer)
	}
	l.dial(t, 7)
	if _, answer := l.dial(t, 7); answer != "" {
		t.Errorf("third of one address: got %q, want it closed", answer)
	}
	if _, answer := l.dial(t, 8); !strings.Contains(answer, "200 OK") {
		t.Errorf("another address: got %q", answer)
	}
	l.errs <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	_ = first.Close()
	for range 100 { // the server notices in its own time that the first has gone
		if _, answer := l.dial(t, 7); strings.Contains(answer, "200 OK") {
			return
		}
	}
	t.Error("the listener did not go on")
}

func TestNewWantsAllRooms(t *testing.T) {
	_, err := server.New(server.Deps{}, server.Options{})
	if err == nil || !strings.Contains(err.Error(), "broker") || !strings.Contains(err.Error(), "store") || errors.Unwrap(err) != nil {
		t.Errorf("got %v, want every missing room named", err)
	}
}
