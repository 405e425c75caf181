package main

import (
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// table is what people read: rows of cells under column names. The last wide
// columns are shown with -o wide only; without column names there is no header.
type table struct {
	columns []string
	wide    int
	rows    [][]string
	empty   string // said on standard error where there are no rows
}

// gutter stands between two columns.
const gutter = "  "

func (a *app) showTable(t table) error {
	if len(t.rows) == 0 && t.empty != "" {
		a.note("%s", t.empty)
		return nil
	}
	var lines [][]string
	if !a.noHeaders && len(t.columns) > 0 {
		lines = append(lines, t.columns)
	}
	for _, r := range t.rows {
		for i := range r {
			r[i] = clean(r[i])
		}
		lines = append(lines, r)
	}
	if a.output != "wide" {
		for i := range lines {
			lines[i] = lines[i][:len(lines[i])-t.wide]
		}
	}
	return writeColumns(a.out, lines)
}

// writeColumns aligns cells by the columns they take on a terminal, which are
// neither bytes nor runes: people name things in every script.
func writeColumns(w io.Writer, lines [][]string) error {
	var widths []int
	for _, cells := range lines {
		for i, c := range cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(c))
		}
	}
	var b strings.Builder
	for _, cells := range lines {
		pad := 0
		for i, c := range cells {
			if c == "" {
				pad += widths[i] + len(gutter)
				continue
			}
			b.WriteString(strings.Repeat(" ", pad))
			b.WriteString(c)
			pad = widths[i] - ansi.StringWidth(c) + len(gutter)
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// blank parts two tables.
func (a *app) blank() { a.print("\n") }

// print writes to standard output; that nobody reads it shows at the next table.
func (a *app) print(s string) { _, _ = io.WriteString(a.out, s) }

// clean keeps what a device or a person named a thing from moving the cursor
// or breaking the table.
func clean(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r >= 0x7f && r < 0xa0: // control characters
			return '·'
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f: // these turn the direction of writing
			return '·'
		}
		return r
	}, s)
}
