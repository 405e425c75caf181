package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// teardown is a stack of named steps that take down what was built, last in,
// first out. Every step runs, whatever the others say, and one context bounds
// them all.
type teardown struct {
	mu    sync.Mutex
	steps []step
}

type step struct {
	name string
	run  func(context.Context) error
}

// push adds a step to be run before all that are there.
func (t *teardown) push(name string, run func(context.Context) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = append(t.steps, step{name, run})
}

// run takes everything down and returns all errors. A second call finds nothing
// left to do.
func (t *teardown) run(ctx context.Context, log *slog.Logger) error {
	t.mu.Lock()
	steps := t.steps
	t.steps = nil
	t.mu.Unlock()
	var all error
	for i := len(steps) - 1; i >= 0; i-- {
		log.Debug("stopping", "step", steps[i].name)
		if err := steps[i].run(ctx); err != nil {
			all = errors.Join(all, fmt.Errorf("stop %s: %w", steps[i].name, err))
		}
	}
	return all
}
