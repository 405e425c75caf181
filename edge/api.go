package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/server"
)

func (d *Daemon) openServer() error {
	deps := server.Deps{Store: d.store, Journal: d.journal, Telemetry: d.telemetry, Actuation: drives{d}, Stopper: drives{d}, Automation: decisions{d},
		Presence: presence{d}, Broker: &sessions{d: d}, Health: health{d}, Pending: quarantine{d}, Authority: authority{d}, Sim: d.opts.Sim}
	s, err := server.New(deps, server.Options{Version: api.Version{Version: d.opts.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, API: "v1"},
		DataDir: d.opts.DataDir, Hosts: d.hosts(), TLS: shown(d.opts.APIListen, d.apiTLS), NodeTLS: shown(d.opts.MQTTSListen, d.mqttTLS), Now: d.opts.Now, Log: d.log,
		Limits: d.opts.API, Gauges: d.opts.Gauges, Settings: d.opts.Settings})
	if err != nil {
		return err
	}
	d.server = s
	d.teardown.push("api", func(ctx context.Context) error {
		for _, l := range d.opts.APIListeners { // also those that never served
			_ = l.Close()
		}
		return s.Close(ctx)
	})
	return nil
}

// listenAPI opens the socket and, if configured, the TLS address of the API.
func (d *Daemon) listenAPI() error {
	if d.opts.APISocket != "" {
		l, err := d.listenSocket()
		if err != nil {
			return err
		}
		d.serving.Go(func() { d.serveAPI("api", func() error { return d.server.ServeLocal(l) }) })
	}
	for _, l := range d.opts.APIListeners {
		d.serving.Go(func() { d.serveAPI("api", func() error { return d.server.ServeLocal(l) }) })
	}
	if d.opts.APIListen == "" {
		return nil
	}
	l, err := listen("api.listen", "tcp", d.opts.APIListen)
	if err != nil {
		return err
	}
	d.serving.Go(func() {
		d.serveAPI("api over TLS", func() error { return d.server.ServeRemote(tls.NewListener(l, d.apiTLS)) })
	})
	return nil
}

func (d *Daemon) serveAPI(name string, serve func() error) {
	if err := serve(); err != nil {
		d.log.Error("the API ended", "listener", name, "error", err)
		d.fail(err)
	}
}

// listenSocket opens the unix socket for the owner and the group. The registry's
// lock is held, so a socket that is there already is a dead one, unless another
// daemon with another data directory answers on it.
func (d *Daemon) listenSocket() (net.Listener, error) {
	path := d.opts.APISocket
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, greenhouse.Unavailable("socket_failed", "the directory of the socket %s cannot be made: %v", path, err).WithHint("choose another with --api-socket")
	}
	switch st, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, greenhouse.Unavailable("socket_failed", "the socket %s cannot be looked at: %v", path, err)
	case st.Mode()&fs.ModeSocket == 0:
		return nil, greenhouse.Unavailable("socket_failed", "%s is there and is no socket", path).WithHint("choose another with --api-socket, or move it away")
	default:
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, greenhouse.Unavailable("socket_in_use", "another daemon answers on %s", path).WithHint("stop it, or choose another with --api-socket")
		}
		if err := os.Remove(path); err != nil {
			return nil, greenhouse.Unavailable("socket_failed", "the dead socket %s cannot be removed: %v", path, err)
		}
	}
	l, err := listenPrivate(path)
	if err != nil {
		return nil, err
	}
	d.teardown.push("socket", func(context.Context) error { return os.Remove(path) })
	if g, err := user.LookupGroup(d.opts.APIGroup); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			if err := os.Chown(path, -1, gid); err != nil {
				d.log.Warn("the socket stays with its owner's group", "group", d.opts.APIGroup, "error", err)
			}
		}
	}
	return l, nil
}

// longestSocket is what the system allows for the path of a unix socket.
const longestSocket = 107

// listenPrivate opens a socket that is never open to others, not even while it is
// being made: in a directory of its own, from which it is moved into place. The
// mask of the process would do, but it also counts for every file that others
// make at that moment.
func listenPrivate(path string) (net.Listener, error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, greenhouse.Unavailable("socket_failed", "the directory of the socket %s cannot be written: %v", path, err).WithHint("choose another with --api-socket")
	}
	defer func() { _ = os.RemoveAll(dir) }()
	private := filepath.Join(dir, "s")
	if len(private) > longestSocket {
		return nil, greenhouse.Invalid("socket_path_long", "the path of the socket %s is too long: %d bytes at most", path, longestSocket-len(private)+len(path)).WithHint("choose another with --api-socket")
	}
	l, err := listen("api.socket", "unix", private)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err = os.Chmod(private, 0o660); err == nil {
		err = os.Rename(private, path)
	}
	if err != nil {
		_ = l.Close()
		return nil, greenhouse.Unavailable("socket_failed", "the socket %s cannot be made: %v", path, err)
	}
	return l, nil
}

// isInUse reports whether somebody else has the address.
func isInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
