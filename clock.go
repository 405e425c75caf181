package greenhouse

import "time"

// ClockState says what vouches for the wall clock of the daemon's machine.
type ClockState string

// The states of the wall clock, worst first.
const (
	ClockUnset    ClockState = "unset"    // it says what cannot be
	ClockHoldover ClockState = "holdover" // it may be right, but nothing disciplines it now
	ClockSynced   ClockState = "synced"   // it is disciplined, or people answer for it
)

// ClockStates returns all states, worst first.
func ClockStates() []ClockState { return []ClockState{ClockUnset, ClockHoldover, ClockSynced} }

// ClockWaits is how long schedules may wait for the clock before that is an
// alarm: a machine that has just booted takes a minute or two to hear of the time.
const ClockWaits = 5 * time.Minute

// Clock is what the wall clock is worth, and why.
type Clock struct {
	State      ClockState `json:"state"`
	Trusted    bool       `json:"trusted"`               // schedules follow it
	Text       string     `json:"text"`                  // what vouches for it, or why nothing does
	LastSynced Millis     `json:"last_synced,omitempty"` // when it was last known to be disciplined, in this boot or before
	For        float64    `json:"for_s"`                 // how long it has been in this state, as far as this run has seen
}
