package main

import (
	"context"
	"time"

	"github.com/spf13/pflag"
)

// watchPeriod is the time between two looks of --watch.
const watchPeriod = 2 * time.Second

// watchFlag adds --watch to a verb that shows a list.
func (a *app) watchFlag(f *pflag.FlagSet, watch *bool) {
	f.BoolVarP(watch, "watch", "w", false, "show it again every two seconds")
}

// repeat runs show once, or again and again until interrupted: on a terminal
// over what was shown before, elsewhere below it.
func (a *app) repeat(ctx context.Context, again bool, show func() error) error {
	for first := true; ; first = false {
		if again && a.output != "json" && a.output != "yaml" {
			a.turnPage(first)
		}
		if err := show(); err != nil || !again {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchPeriod):
		}
	}
}

// turnPage makes room for the next look.
func (a *app) turnPage(first bool) {
	switch {
	case isTerminal(a.out):
		const homeAndClear = "\x1b[H\x1b[2J"
		a.print(homeAndClear)
	case !first:
		a.blank()
	}
}
