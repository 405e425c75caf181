package server

import (
	"context"
	"net"
	"strconv"
)

// peer is the process at the other end of a unix socket.
type peer struct {
	uid   uint32
	pid   int32
	known bool
}

func (p peer) actor() string {
	if !p.known {
		return "local"
	}
	return "uid:" + strconv.FormatUint(uint64(p.uid), 10)
}

func (p peer) from() string {
	if !p.known {
		return "unix"
	}
	return "unix pid " + strconv.FormatInt(int64(p.pid), 10)
}

// withPeer is http.Server.ConnContext: it asks the kernel once a connection who
// is there.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if inner, ok := c.(*counted); ok {
		c = inner.Conn
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, peerKey, peerOf(u))
}
