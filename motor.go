package greenhouse

// MotorState is what is known of where a drive stands that has two relays and at
// most two end switches: a vent, a screen, a three-way valve. Its position is
// worked out from how long it ran, by whoever runs it.
type MotorState string

// The states of a drive. A drive that measures its position has none.
const (
	MotorKnown   MotorState = "known"
	MotorUnknown MotorState = "unknown" // since a power cut, say; an end has to be found first
	MotorSuspect MotorState = "suspect" // an end switch was off by over a tenth of the travel; it ends with one clean full travel
)

// ParseMotorState returns the state named s; "" is that of a drive that says none.
func ParseMotorState(s string) (MotorState, error) {
	switch m := MotorState(s); m {
	case "", MotorKnown, MotorUnknown, MotorSuspect:
		return m, nil
	}
	return "", Invalid("motor_state_invalid", "motor state %q is unknown: it is known, unknown or suspect", s)
}

// Note says what is not as it should be, in one clause; "" for nothing.
func (m MotorState) Note() string {
	switch m {
	case MotorUnknown:
		return "position unknown, is being found"
	case MotorSuspect:
		return "position in doubt: driven fully open or shut only, until one full travel is clean"
	}
	return ""
}
