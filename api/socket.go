package api

import (
	"path/filepath"
	"strconv"
)

// Places says where a daemon keeps its state and its socket.
type Places struct {
	State  string // directory of the registry and the history
	Socket string // of the API
	Demo   string // socket of a running "edged demo"
}

// DefaultPlaces returns the places for a user: the system's for root and for a
// service that systemd gave directories to, else those of the XDG base
// directories. uid is the user's id; getenv reads the environment.
func DefaultPlaces(uid int, getenv func(string) string) Places {
	runtime := getenv("XDG_RUNTIME_DIR")
	if runtime == "" {
		tmp := getenv("TMPDIR")
		if tmp == "" {
			tmp = "/tmp"
		}
		runtime = filepath.Join(tmp, "edged-"+strconv.Itoa(uid))
	}
	p := Places{Socket: filepath.Join(runtime, "edged.sock"), Demo: filepath.Join(runtime, "edged-demo.sock")}
	if p.State = getenv("XDG_STATE_HOME"); p.State == "" && getenv("HOME") != "" {
		p.State = filepath.Join(getenv("HOME"), ".local", "state")
	}
	if p.State != "" {
		p.State = filepath.Join(p.State, "edged")
	}
	if uid == 0 || getenv("STATE_DIRECTORY") != "" {
		p.State, p.Socket = "/var/lib/edged", SystemSocket
	}
	return p
}

// SystemSocket is where the system's daemon listens.
const SystemSocket = "/run/edged/edged.sock"

// Sockets returns where greenctl looks for a daemon, the likeliest first.
func (p Places) Sockets() []string {
	if p.Socket == SystemSocket {
		return []string{p.Socket, p.Demo}
	}
	return []string{SystemSocket, p.Socket, p.Demo}
}
