package tui

import (
	tea "charm.land/bubbletea/v2"

	"greenhouse/api"
)

// Feed starts the feeds beside a program that a test drives.
var Feed = feed

// The messages of the feeds, for tests that bring them one by one.
func Live(l api.Live) tea.Msg          { return liveMsg(l) }
func Lost(err error) tea.Msg           { return lostMsg{err} }
func Events(batch []api.Event) tea.Msg { return eventsMsg(batch) }
func Tick() tea.Msg                    { return tickMsg{} }

// Safe, Fit and Ascii are how text gets onto the screen.
func Safe(s string) string       { return safe(s) }
func Fit(s string, n int) string { return fit(s, n) }
func Ascii(s string) string      { return ascii(s) }
