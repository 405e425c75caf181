//go:build !unix

package broker

import "net"

// socket is what connections have where their file descriptors can be used
// directly; elsewhere there is none.
type socket struct{}

func newSocket(*Broker, net.Conn) *socket { return nil }

func (*socket) read(*conn) ([]byte, error) { return nil, net.ErrClosed }

func (*socket) write([]byte) (int, error) { return 0, net.ErrClosed }
