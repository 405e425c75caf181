//go:build !docs

package main

import "github.com/spf13/cobra"

// forBuilders are the commands that only builders of the program need, see
// docs.go.
func forBuilders() []*cobra.Command { return nil }
