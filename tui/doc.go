// Package tui is the live dashboard: a Bubble Tea program over a [Source],
// which is the daemon as a client sees it.
//
// One tea.Model ([Model]) owns everything. Panes are plain structs that draw
// lines from the [state] and keep nothing but their cursor; no I/O happens in
// Update or View. Two feeds run beside the program: the live stream, whose
// messages may skip values and are drawn as they come, and the events, of which
// none is skipped. What the person does becomes a command that calls the Source
// and comes back as a message.
//
// Rules of the screen: the first line says who, when and whether the connection
// stands; the last says which keys work or what the daemon answered. State is a
// word or symbol as well as a colour. A value that is not fresh shows its age.
// A lost connection is a banner and a retry, never an exit, and what it leaves
// on the screen grows visibly old. Every action shows its limit and its expiry
// and asks once. Nothing is drawn outside the terminal's width and height; under
// 60×15 the dashboard says that it needs more.
package tui
