package server

import (
	"net"
	"syscall"
)

// peerOf reads SO_PEERCRED: what the kernel knew of the peer when it connected.
func peerOf(c *net.UnixConn) peer {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}
	}
	var p peer
	_ = raw.Control(func(fd uintptr) { // an error leaves the peer unknown
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			p = peer{uid: cred.Uid, pid: cred.Pid, known: true}
		}
	})
	return p
}
