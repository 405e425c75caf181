package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"greenhouse/client"
	"greenhouse/sim"
)

// patience is how long a script waits for something that must come. What a
// script forbids to take long has its own, shorter bound.
const patience = 30 * time.Second

// TestMain puts both programs on the path of the scripts: greenctl is this test
// binary, edged is built.
func TestMain(m *testing.M) {
	testscript.Main(programs{m}, map[string]func(){"greenctl": main})
}

// programs builds edged before the tests run.
type programs struct{ tests *testing.M }

func (p programs) Run() int {
	dir, err := os.MkdirTemp("", "greenctl-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("go", "build", "-o", dir+"/", "../edged").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build edged: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return p.tests.Run()
}

// TestScripts runs testdata/script: the command line as people and scripts use
// it, against a real daemon where one is needed. Beside testscript's own
// commands there are
//
//	exits CODE program args…      the program ends with exactly that code
//	within TIME CODE program…     as exits, and no later than that
//	poll REGEXP program args…     run it again until its output matches
//	save NAME program args…       keep its output in an environment variable
//	ready [SOCKET]                wait until the daemon accepts nodes
//	publish LOGIN SECRET TOPIC PAYLOAD…   until the PUBACK of each payload
//	knock LOGIN SECRET            a login that must be refused
//	signal NAME                   send a signal to all programs in the background
//	mode OCTAL FILE               check the permissions of a file
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setup,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "within": within, "poll": poll, "save": save, "ready": ready, "publish": publish, "knock": knock, "signal": signalAll, "mode": mode,
		},
	})
}

// setup gives each script a daemon's places of its own. MQTT takes a free port,
// which the status tells.
func setup(e *testscript.Env) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e.Setenv("FREE", l.Addr().String()) // an address that nobody listens on
	if err := l.Close(); err != nil {
		return err
	}
	for k, v := range map[string]string{
		"EDGED_CONFIG": os.DevNull, "EDGED_DATA_DIR": filepath.Join(e.WorkDir, "data"), "EDGED_API_SOCKET": filepath.Join(e.WorkDir, "s"),
		"EDGED_MQTT_LISTEN": "127.0.0.1:0", "EDGED_LOG_LEVEL": "warn", "GREENCTL_SOCKET": filepath.Join(e.WorkDir, "s"),
		"XDG_RUNTIME_DIR": e.WorkDir, "TZ": "UTC", "LC_ALL": "C.UTF-8",
	} {
		e.Setenv(k, v)
	}
	return nil
}

func usage(ts *testscript.TestScript, neg bool, ok bool, how string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", how)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "exits CODE program args…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := code(ts, args[1:]); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// code runs a program and returns its exit code; its output is for stdout and
// stderr of the script.
func code(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	ts.Fatalf("%s: %v", args[0], err)
	return -1
}

func within(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 3, "within TIME CODE program args…")
	most, err := time.ParseDuration(args[0])
	ts.Check(err)
	begun := time.Now()
	exits(ts, false, args[1:])
	if took := time.Since(begun); took > most {
		ts.Fatalf("took %v, want at most %v", took, most)
	}
}

func poll(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "poll REGEXP program args…")
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		ok := code(ts, args[1:]) == 0
		out := ts.ReadFile("stdout")
		if ok && want.MatchString(out) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no match for %q within %v; the last output was:\n%s%s", want, patience, out, ts.ReadFile("stderr"))
		}
	}
}

func save(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 2, "save NAME program args…")
	ts.Check(ts.Exec(args[1], args[2:]...))
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) <= 1, "ready [SOCKET]")
	socket := ts.Getenv("EDGED_API_SOCKET")
	if len(args) > 0 {
		socket = ts.MkAbs(args[0])
	}
	c, err := client.New(client.Options{Socket: socket, Timeout: time.Second})
	ts.Check(err)
	defer c.Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		h, err := c.Ready(context.Background())
		if err == nil && h.OK {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not ready: %v", err)
		}
	}
}

func publish(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) >= 4, "publish LOGIN SECRET TOPIC PAYLOAD…")
	broker := strings.TrimPrefix(ts.Getenv("MQTT"), "mqtt://")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	acked := make(chan uint64, len(args))
	link, err := sim.MQTT{Address: broker}.Dial(ctx, sim.Session{Login: args[0], Secret: args[1], Receive: func(string, []byte) {}, Acked: func(id uint64) { acked <- id }})
	ts.Check(err)
	defer link.Close(true)
	for i, payload := range args[3:] {
		ts.Check(link.Publish(sim.Message{ID: uint64(i) + 1, Topic: args[2], Payload: []byte(payload), QoS: 1}))
		select {
		case <-acked:
		case <-link.Done():
			ts.Fatalf("the link was lost")
		case <-ctx.Done():
			ts.Fatalf("no PUBACK within %v", patience)
		}
	}
}

func knock(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "knock LOGIN SECRET")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	link, err := sim.MQTT{Address: strings.TrimPrefix(ts.Getenv("MQTT"), "mqtt://")}.Dial(ctx, sim.Session{Login: args[0], Secret: args[1], Receive: func(string, []byte) {}, Acked: func(uint64) {}})
	if err == nil {
		link.Close(true)
		ts.Fatalf("%s was let in", args[0])
	}
}

func signalAll(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 1, "signal NAME")
	sig, ok := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "INT": syscall.SIGINT}[args[0]]
	usage(ts, false, ok, "signal TERM, HUP, KILL or INT")
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(sig))
	}
}

func mode(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, neg, len(args) == 2, "mode OCTAL FILE")
	st, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", st.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}
