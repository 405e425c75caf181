package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"greenhouse/api"
)

// version is set by the linker.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns its exit code.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := newApp(in, out, errs)
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.close()
	if err == nil {
		return api.ExitOK
	}
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(errs)
		return api.ExitInterrupted
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return api.ExitInterrupted
	}
	if errors.Is(err, syscall.EPIPE) {
		return api.ExitOK // the reader of our output has seen enough
	}
	printError(errs, err)
	return api.ExitCode(err)
}

// exitCode ends the command with that code and nothing more to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// errInterrupted says that a person answered a prompt with Ctrl-C.
var errInterrupted = errors.New("interrupted")
