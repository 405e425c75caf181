package proof_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"greenhouse/sim"
)

// mortal is edged as it is installed, a process of its own that is killed now and then.
type mortal struct {
	t                      *testing.T
	binary, dir            string
	socket, address, state string
	process                *exec.Cmd
}

func newMortal(t *testing.T) *mortal {
	t.Helper()
	dir, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	m := &mortal{t: t, binary: filepath.Join(dir, "edged"), dir: dir, socket: filepath.Join(dir, "s"), state: filepath.Join(dir, "data")}
	t.Cleanup(func() {
		if m.process != nil {
			m.kill()
		}
		_ = os.RemoveAll(dir)
	})
	if out, err := exec.Command("go", "build", "-o", m.binary, "greenhouse/cmd/edged").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = l.Addr().String()
	_ = l.Close()
	return m
}

// start runs the daemon and waits until it is ready.
func (m *mortal) start(h *house) {
	m.t.Helper()
	m.process = exec.Command(m.binary, "serve", "--config", os.DevNull, "--data-dir", m.state, "--api-socket", m.socket, "--mqtt-listen", m.address, "--log-level", "error")
	m.process.Stderr = os.Stderr
	if err := m.process.Start(); err != nil {
		m.t.Fatal(err)
	}
	h.eventually("the daemon is ready", func() bool {
		ctx, cancel := context.WithTimeout(h.ctx(), time.Second)
		defer cancel()
		r, err := h.client.Ready(ctx)
		return err == nil && r.OK
	})
}

func (m *mortal) kill() {
	m.t.Helper()
	if err := m.process.Process.Signal(syscall.SIGKILL); err != nil {
		m.t.Error(err)
	}
	_ = m.process.Wait() // killed: that is its error
	m.process = nil
}

// lives are the histories of one life of the daemon and what is read after its death.
func (m *mortal) lives(h *house, bridges []*bridge, round int, seed uint64) (histories [][]porcupine.Operation) {
	const towns, people = 3, 3
	chance := rand.New(rand.NewPCG(seed, 99))
	k := &crowd{people: people, calls: 1 << 20, mortal: true,
		verbs: []verb{hello, register, assign, assign, assign, unassign, edit, edit, edit, swap, undo, login, rotate, list, get}}
	var all []*authority
	for i := range towns {
		all = append(all, h.found(round*towns+i, bridges[i*people:(i+1)*people]))
	}
	zero := time.Now()
	histories = make([][]porcupine.Operation, towns)
	var live sync.WaitGroup
	for i, a := range all {
		live.Go(func() { histories[i] = k.live(a, seed+uint64(i), zero) })
	}
	<-time.After(time.Duration(chance.IntN(120)) * time.Millisecond) // the moment of the kill: any will do
	m.kill()
	live.Wait()
	m.start(h)
	up := int64(time.Since(zero)) // what was not done by now will never be
	for i, a := range all {
		for j := range histories[i] {
			if histories[i][j].Output.(answer).lost {
				histories[i][j].Return = up
			}
		}
		read := func(c call) {
			began := time.Since(zero)
			out := a.do(0, c)
			histories[i] = append(histories[i], porcupine.Operation{Input: c, Call: int64(began), Output: out, Return: int64(time.Since(zero))})
		}
		for d := range devices {
			read(call{verb: get, device: d})
		}
		for z := 1; z <= zones; z++ {
			read(call{verb: list, zone: z})
		}
	}
	return histories
}

// TestRegistryAcrossKills kills the daemon while people edit: what they were told
// before, and what is read after the next start, must be what one clerk would have
// told them, who did each unanswered call before the start or never. So no confirmed
// edit is lost, none is half done, and no zone ever has two ph nodes. KILLS
// and SEED set how often and when.
func TestRegistryAcrossKills(t *testing.T) {
	n, seed := campaign(t, "KILLS", 4)
	m := newMortal(t)
	h := reach(t, m.address, m.socket)
	h.mqtt = sim.MQTT{Address: m.address, Timeout: 5 * time.Second}
	m.start(h)
	h.pair()
	var bridges []*bridge
	for i := range 9 {
		bridges = append(bridges, h.bridge(fmt.Sprint("bridge", i)))
	}
	calls, lost := 0, 0
	for round := range n {
		for i, history := range m.lives(h, bridges, round, seed+uint64(round)) {
			calls += len(history)
			for _, o := range history {
				if o.Output.(answer).lost {
					lost++
				}
			}
			if !holds(t, mortalClerk(), history) {
				t.Fatalf("kill %d, history %d, seed %d: see %s", round, i, seed+uint64(round), keep(t, mortalClerk(), history))
			}
		}
	}
	m.kill()
	if out, err := exec.Command(m.binary, "check-db", "--config", os.DevNull, "--data-dir", m.state).CombinedOutput(); err != nil {
		t.Errorf("check-db: %v\n%s", err, out)
	}
	t.Logf("%d kills, %d calls, %d of them unanswered: all histories hold", n, calls, lost)
	if lost < n {
		t.Errorf("%d unanswered calls in %d kills: nobody was doing anything", lost, n)
	}
}

// The checker sees an edit that was confirmed and is gone after the start, and one
// that nobody confirmed and that is done only after it.
func TestCheckerCatchesALostEdit(t *testing.T) {
	op := func(from, to int64, c call, a answer) porcupine.Operation {
		return porcupine.Operation{Input: c, Call: from, Output: a, Return: to}
	}
	made := op(0, 1, call{verb: register}, answer{version: 1, name: defaultName, secret: "s"})
	named := answer{version: 2, name: "pH"}
	change := call{verb: edit, name: "pH", version: 1}
	const restart = 10
	read := func(at int64, a answer) porcupine.Operation { return op(at, at+1, call{verb: get}, a) }
	for _, tc := range []struct {
		name    string
		history []porcupine.Operation
		want    bool
	}{
		{"confirmed and kept", []porcupine.Operation{made, op(2, 3, change, named), read(11, named)}, true},
		{"confirmed and lost", []porcupine.Operation{made, op(2, 3, change, named), read(11, answer{version: 1, name: defaultName})}, false},
		{"unanswered and done", []porcupine.Operation{made, op(2, restart, change, answer{lost: true}), read(11, named)}, true},
		{"unanswered and not done", []porcupine.Operation{made, op(2, restart, change, answer{lost: true}), read(11, answer{version: 1, name: defaultName})}, true},
		{"done after the start", []porcupine.Operation{made, op(2, restart, change, answer{lost: true}), read(11, answer{version: 1, name: defaultName}), read(13, named)}, false},
		{"half done", []porcupine.Operation{made, op(2, restart, change, answer{lost: true}), read(11, answer{version: 2, name: defaultName})}, false},
	} {
		if got := holds(t, mortalClerk(), tc.history); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}
