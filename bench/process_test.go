package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
	"greenhouse/sim"
	"greenhouse/wire"
)

// daemon is the real edged, with a data directory of its own.
type daemon struct {
	binary, dir, socket, address string
	cmd                          *exec.Cmd
	api                          *client.Client
}

// buildDaemon builds edged from the module beside this one.
func buildDaemon(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "edged")
	c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "./cmd/edged")
	c.Dir = ".."
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build edged: %v\n%s", err, out)
	}
	return binary
}

func newDaemon(t *testing.T, binary string) *daemon {
	t.Helper()
	dir := shortDir(t)
	d := &daemon{binary: binary, dir: filepath.Join(dir, "data"), socket: filepath.Join(dir, "s"), address: freeAddress(t)}
	var err error
	if d.api, err = client.New(client.Options{Socket: d.socket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.stop)
	return d
}

// shortDir is a temporary directory whose name fits into a socket address and
// that any user may enter.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs the daemon until it is ready, and says how long that took.
func (d *daemon) start(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	d.cmd = exec.Command(d.binary, "serve", "--config", os.DevNull, "--data-dir", d.dir, "--api-socket", d.socket, "--mqtt-listen", d.address, "--log-level", "error")
	d.cmd.Stderr = os.Stderr
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for time.Since(begun) < 30*time.Second {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		h, err := d.api.Ready(ctx)
		cancel()
		if err == nil && h.OK {
			return time.Since(begun)
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatal("edged is not ready after 30 s")
	return 0
}

// stop kills the daemon: what it acknowledged is on disk.
func (d *daemon) stop() {
	if d.cmd != nil {
		d.cmd.Process.Kill()
		d.cmd.Wait()
		d.cmd = nil
	}
}

// join lets so many nodes join by the wire contract, some at once, and returns
// their logins and how long it took.
func (d *daemon) join(t *testing.T, n int, data *table) ([]*login, time.Duration) {
	t.Helper()
	p, err := d.api.OpenPairing(t.Context(), api.PairRequest{}, client.Write{})
	if err != nil {
		t.Fatal(err)
	}
	logins, errs := make([]*login, n), make([]error, n)
	base := time.Now().Add(-3 * time.Minute).UnixMilli()
	begun := time.Now()
	gate := make(chan struct{}, 50)
	var wg sync.WaitGroup
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			w, err := sim.Join(t.Context(), sim.MQTT{Address: d.address}, p.Token, wire.Hello{HardwareID: greenhouse.HardwareID(fmt.Sprintf("%012x", 0xbe0000+i)), Type: greenhouse.TypeClimate, FW: "1"})
			if err == nil {
				logins[i] = newLogin(string(w.UID), w.Secret, i, data, base)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	took := time.Since(begun)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return logins, took
}

// mosquitto is one broker process.
type mosquitto struct {
	address string
	cmd     *exec.Cmd
}

// findMosquitto returns the program, "" if it is not installed.
func findMosquitto() string {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}

// startMosquitto runs a broker with further lines of configuration.
func startMosquitto(t *testing.T, lines ...string) *mosquitto {
	t.Helper()
	dir := shortDir(t)
	m := &mosquitto{address: freeAddress(t)}
	host, port, err := net.SplitHostPort(m.address)
	if err != nil {
		t.Fatal(err)
	}
	me := "root"
	if u, err := user.Current(); err == nil {
		me = u.Username
	}
	conf := fmt.Sprintf("listener %s %s\nallow_anonymous true\nset_tcp_nodelay true\nlog_type none\nuser %s\n", port, host, me) +
		strings.ReplaceAll(strings.Join(lines, "\n"), "DIR", dir+"/") + "\n"
	name := filepath.Join(dir, "conf")
	if err := os.WriteFile(name, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	m.cmd = exec.Command(findMosquitto(), "-c", name)
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	for range 500 {
		if c, err := net.Dial("tcp", m.address); err == nil {
			c.Close()
			return m
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("mosquitto does not listen")
	return nil
}

func (m *mosquitto) stop() {
	if m.cmd != nil {
		m.cmd.Process.Kill()
		m.cmd.Wait()
		m.cmd = nil
	}
}

// postgres is a private cluster on a unix socket.
type postgres struct {
	bin, dir string
	owner    *syscall.Credential // nil: who we are
	cmd      *exec.Cmd
}

// findPostgres returns the directory of the newest server's programs, "" if there is none.
func findPostgres() string {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(dirs) == 0 {
		return ""
	}
	return filepath.Dir(dirs[len(dirs)-1])
}

// newPostgres makes a cluster with the server's own defaults.
func newPostgres(t *testing.T) *postgres {
	t.Helper()
	p := &postgres{bin: findPostgres(), dir: shortDir(t)}
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				t.Fatal(err)
			}
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		p.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(p.dir, uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := p.command("initdb", "-D", p.dir+"/db", "-U", "bench", "--auth=trust", "-E", "UTF8", "--locale=C").CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	t.Cleanup(p.stop)
	p.start(t)
	return p
}

func (p *postgres) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(p.bin, name), args...)
	c.Dir = p.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
	return c
}

// dsn is how to connect.
func (p *postgres) dsn() string { return "host=" + p.dir + " user=bench dbname=postgres" }

// start runs the server until it answers, and says how long that took.
func (p *postgres) start(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	p.cmd = p.command("postgres", "-D", p.dir+"/db", "-k", p.dir, "-c", "listen_addresses=")
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for time.Since(begun) < 30*time.Second {
		if p.command("pg_isready", "-q", "-h", p.dir).Run() == nil {
			return time.Since(begun)
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Fatal("PostgreSQL is not ready after 30 s")
	return 0
}

// stop ends the server at once, as a power cut would.
func (p *postgres) stop() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGQUIT)
	p.cmd.Wait()
	p.cmd = nil
}

// family returns the pids of a process and its children.
func family(pid int) []int {
	pids := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, child)
		}
	}
	return pids
}

// proc adds up one figure of /proc/PID/file over processes; bytes of what is
// given in kB.
func proc(pids []int, file, key string) (sum int64) {
	for _, pid := range pids {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
		if err != nil {
			continue
		}
		for _, line := range strings.Split(string(raw), "\n") {
			if v, ok := strings.CutPrefix(line, key+":"); ok {
				f := strings.Fields(v)
				n, _ := strconv.ParseInt(f[0], 10, 64)
				if len(f) > 1 && f[1] == "kB" {
					n *= 1024
				}
				sum += n
			}
		}
	}
	return sum
}

// memory is the resident memory of processes; what they share counts once.
func memory(pids ...int) int64 { return proc(pids, "smaps_rollup", "Pss") }

// written is what processes have written to files, in bytes: databases write
// whole pages. The kernel's write_bytes would count a whole large folio of the page
// cache for every page in it.
func written(pids ...int) int64 { return proc(pids, "io", "wchar") }

// processor is how long a process and its threads have run. A tick is 10 ms on
// every Linux that Go runs on.
func processor(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// counter reads one counter of the daemon's metrics.
func (d *daemon) counter(t *testing.T, name string) float64 {
	t.Helper()
	text, err := d.api.MetricsText(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(text, "\n") {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			n, _ := strconv.ParseFloat(v, 64)
			return n
		}
	}
	t.Fatalf("the daemon has no metric %s", name)
	return 0
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

func (m *mosquitto) pid() int { return m.cmd.Process.Pid }
