package tui

import (
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// prompt is what the footer asks of the person. It takes every key until it
// takes itself off the model.
type prompt interface {
	key(m *Model, name, text string) tea.Cmd
	draw(m *Model) []string
}

// line is one line of text being typed.
type line struct{ text []rune }

// lineMost is how many characters a line takes.
const lineMost = 200

// key takes a key press. Control characters are no text.
func (l *line) key(name, text string) {
	switch name {
	case "backspace":
		l.text = l.text[:max(len(l.text)-1, 0)]
	case "ctrl+u":
		l.text = nil
	case "ctrl+w":
		words := strings.TrimRightFunc(string(l.text), unicode.IsSpace)
		l.text = []rune(words[:strings.LastIndexFunc(words, unicode.IsSpace)+1])
	default:
		for _, r := range text {
			if !unicode.IsControl(r) && len(l.text) < lineMost {
				l.text = append(l.text, r)
			}
		}
	}
}

func (l *line) String() string { return strings.TrimSpace(string(l.text)) }

// draw returns the end of the line that fits into n cells, with a cursor.
func (l *line) draw(n int) string {
	from := 0
	for from < len(l.text) && cells(safe(string(l.text[from:]))) > n-1 {
		from++
	}
	return safe(string(l.text[from:])) + "▏"
}

// filterPrompt filters a list while it is being typed.
type filterPrompt struct {
	line
	list lister
}

func newFilterPrompt(l lister) *filterPrompt {
	return &filterPrompt{line{[]rune(l.searched())}, l}
}

func (p *filterPrompt) key(m *Model, name, text string) tea.Cmd {
	switch name {
	case "esc":
		p.text, m.prompt = nil, nil
	case "enter":
		m.prompt = nil
	case "up", "down":
		m.scroll(name)
	default:
		p.line.key(name, text)
	}
	p.list.search(p.String())
	return nil
}

func (p *filterPrompt) draw(m *Model) []string {
	return []string{"/" + p.line.draw(m.w-40) + "  " + m.ink.dim.Render("enter keeps it, esc clears it")}
}

// goPrompt takes a destination; tab completes it.
type goPrompt struct{ line }

func (p *goPrompt) key(m *Model, name, text string) tea.Cmd {
	switch name {
	case "esc":
		m.prompt = nil
	case "enter":
		m.prompt = nil
		return m.goTo(p.String())
	case "tab":
		if found := m.places(p.String(), 1); len(found) > 0 {
			p.text = []rune(found[0])
		}
	default:
		p.line.key(name, text)
	}
	return nil
}

func (p *goPrompt) draw(m *Model) []string {
	found := m.places(p.String(), 8)
	hint := "nothing begins so; esc leaves"
	if len(found) > 0 {
		hint = "tab: " + strings.Join(found, " ")
	}
	return []string{":" + p.line.draw(m.w/2) + "  " + m.ink.dim.Render(safe(hint))}
}
