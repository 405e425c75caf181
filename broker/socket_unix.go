//go:build unix

package broker

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// socket reads and writes a connection of the operating system without holding a
// buffer while it waits to read, and without waiting to write.
type socket struct {
	raw     syscall.RawConn
	attempt func(fd uintptr) bool // reads; made once, because closures are allocated

	// Of the reading goroutine: the buffer of the attempt and what came of it.
	buf *[]byte
	n   int
	err error
}

// newSocket returns nil for a connection that has no file descriptor.
func newSocket(b *Broker, conn net.Conn) *socket {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &socket{raw: raw}
	s.attempt = func(fd uintptr) bool { return s.try(b, int(fd)) }
	return s
}

// read waits for bytes and returns them in a buffer lent to c.
func (s *socket) read(c *conn) ([]byte, error) {
	err := s.raw.Read(s.attempt)
	buf, n, fault := s.buf, s.n, s.err
	s.buf, s.n, s.err = nil, 0, nil
	c.in.buffer = buf
	switch {
	case err != nil:
		return nil, err
	case fault != nil:
		return nil, readFault(c.raw, os.NewSyscallError("read", fault))
	case n == 0:
		return nil, io.EOF
	}
	return (*buf)[:n], nil
}

// try reads once, and reports whether there was anything to read or to tell.
func (s *socket) try(b *Broker, fd int) bool {
	s.buf = b.lend()
	for {
		s.n, s.err = syscall.Read(fd, *s.buf)
		if !errors.Is(s.err, syscall.EINTR) {
			break
		}
	}
	if !errors.Is(s.err, syscall.EAGAIN) {
		return true
	}
	b.giveBack(s.buf)
	s.buf = nil
	return false
}

// write writes what the socket takes at once, and returns how much that was.
func (s *socket) write(p []byte) (n int, err error) {
	var fault error
	err = s.raw.Write(func(fd uintptr) bool {
		for {
			n, fault = syscall.Write(int(fd), p)
			if !errors.Is(fault, syscall.EINTR) {
				return true
			}
		}
	})
	n = max(n, 0)
	if err == nil && fault != nil && !errors.Is(fault, syscall.EAGAIN) {
		err = os.NewSyscallError("write", fault)
	}
	return n, err
}
