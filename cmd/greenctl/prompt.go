package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"greenhouse"
)

// confirm asks before something that cannot be undone. Without a terminal it
// wants --yes instead of guessing. Ctrl-C ends the question: the read of the
// terminal is left behind, for the program ends too.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(a.in) || !isTerminal(a.err) {
		return greenhouse.Invalid("confirmation_needed", "there is nobody to ask: %s?", question).WithHint("add --yes")
	}
	fmt.Fprintf(a.err, "%s? [y/N] ", question)
	answers := make(chan string, 1)
	go func() {
		answer, err := bufio.NewReader(a.in).ReadString('\n')
		if err == nil {
			answers <- strings.ToLower(strings.TrimSpace(answer))
		}
		close(answers)
	}()
	select {
	case <-ctx.Done():
		return errInterrupted
	case answer, ok := <-answers:
		switch {
		case !ok: // Ctrl-D
			return errInterrupted
		case answer == "y" || answer == "yes":
			return nil
		}
	}
	return &greenhouse.Error{Code: "declined", What: "nothing was changed"}
}
