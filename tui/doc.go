// Package tui is the live dashboard: a Bubble Tea program over a [Source],
// which is the daemon as a client sees it.
//
// # Data flow
//
// One tea.Model ([Model]) owns everything. Two feeds run beside the program and
// send it messages: the live stream, which may skip values and is drawn as it
// comes, and the events, of which none is skipped and which come in batches, ten
// a second at most. What the streams do not carry (zones, nodes, alarms) is read
// again when they say that it changed, one reading at a time and never back to
// back. What the person does becomes a command that calls the Source and comes
// back as a message. No I/O happens in Update or View.
//
// The state is what is known of the greenhouse. Panes are plain structs that
// draw lines from it and keep nothing but their cursor, their filter and the
// rows that match; they make only the rows in sight, so that a frame costs the
// same with five zones and with five thousand.
//
// # Rules of the screen
//
//   - The first line says where, whether the connection stands, how many alarms
//     there are and what time it is; the last says which keys work, or what the
//     daemon answered.
//   - State is a word or symbol as well as a colour, of the 16 that every
//     terminal has. Without Unicode every symbol has an ASCII one of its width.
//   - A value that is not fresh shows its age, which grows while nothing comes. A
//     lost connection is a banner and a retry, never an exit.
//   - A cursor stays on its record while others come and go.
//   - Every action names what it does, with its limit and its expiry, asks once
//     and shows the answer.
//   - What devices and people named is cleaned of everything that moves a cursor
//     or turns text around. A frame has exactly the terminal's height and never
//     more than its width; under 60×15 the dashboard says that it needs more.
//
// # Concurrency and bounds
//
// A Model belongs to the goroutine of its program. [Run] starts the feeds and
// has ended them when it returns. At most 500 events, 60 values for each trace
// and 256 events on their way to the program are kept.
package tui
