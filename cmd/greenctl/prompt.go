package main

import (
	"bufio"
	"fmt"
	"strings"

	"greenhouse"
)

// confirm asks before something that cannot be undone. Without a terminal it
// wants --yes instead of guessing.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if !isTerminal(a.in) || !isTerminal(a.err) {
		return greenhouse.Invalid("confirmation_needed", "there is nobody to ask: %s?", question).WithHint("add --yes")
	}
	fmt.Fprintf(a.err, "%s? [y/N] ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil {
		return errInterrupted
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return &greenhouse.Error{Code: "declined", What: "nothing was changed"}
}
