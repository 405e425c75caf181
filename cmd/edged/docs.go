//go:build docs

package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"greenhouse"
)

// forBuilders are the commands that only builders of the program need: they would
// cost every daemon the memory of renderers of Markdown and man pages.
func forBuilders() []*cobra.Command { return []*cobra.Command{newDocs()} }

// newDocs writes the reference of every command, for docs/cli and man pages.
func newDocs() *cobra.Command {
	c := &cobra.Command{Use: "docs DIR", Short: "Write the reference of all commands into a directory", Args: cobra.ExactArgs(1), Hidden: true}
	man := c.Flags().Bool("man", false, "as man pages instead of Markdown")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if err := os.MkdirAll(args[0], 0o755); err != nil {
			return greenhouse.Invalid("file_invalid", "%s cannot be made: %v", args[0], err)
		}
		root := cmd.Root()
		root.DisableAutoGenTag = true
		if *man {
			return doc.GenManTree(root, &doc.GenManHeader{Title: "EDGED", Section: "8"}, args[0])
		}
		return doc.GenMarkdownTree(root, args[0])
	}
	return c
}
