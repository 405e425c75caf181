package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"
)

// action is something the person asked for: said in a sentence with its limit
// and expiry, and run only after they confirmed it.
type action struct {
	say string
	run func(ctx context.Context, src Source) (done string, err error)
}

// dialog reads one line from the person and turns it into an action, then asks.
type dialog struct {
	line
	title string
	hint  string
	parse func(text string) (*action, error)
	wrong string  // why the text was refused
	sure  *action // what waits for a yes
}

// key takes a key press.
func (d *dialog) key(m *Model, name, text string) tea.Cmd {
	switch {
	case name == "esc":
		m.prompt = nil
		m.say("nothing was changed", nil)
	case d.sure != nil:
		return d.confirm(m, name)
	case name == "enter":
		a, err := d.parse(d.String())
		if err != nil {
			d.wrong = err.Error()
			return nil
		}
		d.sure, d.wrong = a, ""
	default:
		d.wrong = ""
		d.line.key(name, text)
	}
	return nil
}

// confirm takes the answer to "are you sure".
func (d *dialog) confirm(m *Model, name string) tea.Cmd {
	switch name {
	case "enter", "y":
		m.prompt = nil
		return m.do(d.sure)
	case "n", "q":
		m.prompt = nil
		m.say("nothing was changed", nil)
	case "backspace":
		if d.parse != nil {
			d.sure = nil // back to the text
		}
	}
	return nil
}

// draw returns the lines of the dialog.
func (d *dialog) draw(m *Model) []string {
	k := m.ink
	if d.sure != nil {
		keys := k.bold.Render("enter") + " do it   " + k.bold.Render("esc") + " leave it"
		if d.parse != nil {
			keys += "   " + k.bold.Render("backspace") + " change it"
		}
		var out []string
		for _, l := range wrap(safe(d.sure.say), m.w-1, 2) {
			out = append(out, k.warn.Render(l))
		}
		return append(out, keys)
	}
	second := []string{k.dim.Render(d.hint)}
	if d.wrong != "" {
		second = second[:0]
		for _, l := range wrap(safe(d.wrong), m.w-1, 2) {
			second = append(second, k.bad.Render(l))
		}
	}
	title := safe(d.title)
	return append([]string{k.bold.Render(title) + " " + d.line.draw(max(m.w-cells(title)-2, 10))}, second...)
}
