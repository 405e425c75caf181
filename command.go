package greenhouse

// CommandID is a ULID; it names a command for ever and is never used again.
type CommandID string

// Op is what a command asks of a channel.
type Op string

// The operations of the wire contract.
const (
	OpSet       Op = "set"   // take a level, under a lease
	OpPulse     Op = "pulse" // a bounded dose or run, once
	OpStop      Op = "stop"  // to the safe level, always allowed
	OpCalibrate Op = "calibrate"
	OpIdentify  Op = "identify"
	OpReboot    Op = "reboot"
)

// CommandState is what became of a command.
type CommandState string

// The states of a command. From Done on they are terminal and never change.
const (
	CommandQueued     CommandState = "queued"
	CommandSent       CommandState = "sent"     // the broker has the node's PUBACK
	CommandAccepted   CommandState = "accepted" // the node works on it
	CommandDone       CommandState = "done"
	CommandNoEffect   CommandState = "no_effect"
	CommandInvalid    CommandState = "invalid"
	CommandBusy       CommandState = "busy"
	CommandExpired    CommandState = "expired"
	CommandFenced     CommandState = "fenced" // an older epoch, or a replaced node
	CommandError      CommandState = "error"
	CommandTimeout    CommandState = "timeout"
	CommandSuperseded CommandState = "superseded"
	CommandCancelled  CommandState = "cancelled"
)

// Terminal reports whether the state never changes again.
func (s CommandState) Terminal() bool {
	return s != CommandQueued && s != CommandSent && s != CommandAccepted
}

// CanBecome reports whether a command may go from s to t. Reports may overtake
// the PUBACK, so accepted and every terminal state may follow queued.
func (s CommandState) CanBecome(t CommandState) bool {
	if s.Terminal() || s == t {
		return false
	}
	switch t {
	case CommandQueued:
		return false
	case CommandSent:
		return s == CommandQueued
	case CommandAccepted:
		return s == CommandQueued || s == CommandSent
	}
	return t.Terminal()
}

// Command is an order to one channel of one node.
type Command struct {
	ID        CommandID    `json:"id"`
	Epoch     uint64       `json:"epoch"` // fencing token of the daemon's run that issued it
	Node      UID          `json:"node"`
	Channel   ChannelName  `json:"channel"`
	Point     PointID      `json:"point,omitempty"`
	Op        Op           `json:"op"`
	Value     float64      `json:"value"`              // set: level 0 to 1
	DurMs     int64        `json:"ms,omitempty"`       // pulse: length
	VolumeML  float64      `json:"ml,omitempty"`       // pulse: volume
	LeaseS    int          `json:"lease_s,omitempty"`  // set: how long it stands without renewal
	ExpiresAt Millis       `json:"expires_at"`         // not executed after this
	State     CommandState `json:"state"`              //
	Error     string       `json:"error,omitempty"`    // the node's words
	Reported  *float64     `json:"reported,omitempty"` // the level the node says it has
	Cause     string       `json:"cause"`              // who or what wanted it, e.g. "loop:heating", "override:anna"
	CreatedAt Millis       `json:"created_at"`
	UpdatedAt Millis       `json:"updated_at"`
}
