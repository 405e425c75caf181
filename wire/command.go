package wire

import (
	"encoding/json"
	"math"

	"greenhouse"
)

// Command is an order to a node. Which fields count follows from Op: set has
// Value and LeaseS, pulse has DurMs or VolumeML, calibrate may have Value as its
// reference.
type Command struct {
	ID       greenhouse.CommandID   // 1 to 64 of A-Z a-z 0-9 - _
	Epoch    uint64                 // fencing token of the daemon's run
	Channel  greenhouse.ChannelName // "" for identify and reboot
	Op       greenhouse.Op
	Value    *float64
	LeaseS   int               // s
	DurMs    int64             // ms
	VolumeML float64           // mL
	Expires  greenhouse.Millis // not executed after this; 0 is never, for stop alone
}

// CommandOf returns a command as it goes on the wire.
func CommandOf(c greenhouse.Command) Command {
	out := Command{ID: c.ID, Epoch: c.Epoch, Channel: c.Channel, Op: c.Op, Expires: c.ExpiresAt}
	switch c.Op {
	case greenhouse.OpSet:
		value := c.Value
		out.Value, out.LeaseS = &value, c.LeaseS
	case greenhouse.OpPulse:
		out.DurMs, out.VolumeML = c.DurMs, c.VolumeML
	case greenhouse.OpCalibrate:
		value := c.Value
		out.Value = &value
	}
	return out
}

// commandJSON is the shape of a command on the wire.
type commandJSON struct {
	V       int                    `json:"v"`
	ID      greenhouse.CommandID   `json:"id"`
	Epoch   uint64                 `json:"epoch"`
	Channel greenhouse.ChannelName `json:"ch,omitempty"`
	Op      greenhouse.Op          `json:"op"`
	Value   *float64               `json:"value,omitempty"`
	LeaseS  int                    `json:"lease_s,omitempty"`
	Ms      int64                  `json:"ms,omitempty"`
	ML      float64                `json:"ml,omitempty"`
	Expires greenhouse.Millis      `json:"expires,omitempty"`
}

// Marshal returns the payload.
func (c Command) Marshal() ([]byte, error) {
	return json.Marshal(commandJSON{Version, c.ID, c.Epoch, c.Channel, c.Op, c.Value, c.LeaseS, c.DurMs, c.VolumeML, c.Expires})
}

// DecodeCommand reads the payload of a cmd topic. It checks types alone:
// whether the command makes sense says [Command.Check]. Where the id could be
// read, it is returned along with the error, so that a node can answer
// "invalid".
func DecodeCommand(payload []byte) (Command, error) {
	f := object("command", payload)
	f.require("id")
	c := Command{ID: greenhouse.CommandID(f.text("id", 64))}
	if f.err != nil || !isCommandID(string(c.ID)) {
		f.fail("field %q must be 1 to 64 of A-Z a-z 0-9 - _", "id")
		return Command{}, f.err
	}
	f.require("op")
	c.Op = greenhouse.Op(f.text("op", 32))
	c.Epoch, c.Channel = f.count("epoch"), f.channel("ch")
	if c.Op == greenhouse.OpStop {
		return c.orID(f.err) // nothing else may keep a stop from being obeyed
	}
	c.Value = f.optional("value")
	c.LeaseS = int(f.integer("lease_s", 0, math.MaxInt32))
	c.DurMs = f.integer("ms", 0, math.MaxInt32)
	c.VolumeML, _ = f.number("ml", 0, math.MaxFloat32)
	c.Expires = f.instant("expires")
	return c.orID(f.err)
}

// orID returns the command, or along with an error its id alone.
func (c Command) orID(err error) (Command, error) {
	if err != nil {
		return Command{ID: c.ID}, err
	}
	return c, nil
}

// isCommandID reports whether s is 1 to 64 of A-Z a-z 0-9 - _.
func isCommandID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// Check returns why the command cannot be carried out by any node, or nil.
func (c Command) Check() error {
	bad := func(format string, args ...any) error {
		return greenhouse.Invalid("command_invalid", "command: "+format, args...)
	}
	switch c.Op {
	case greenhouse.OpStop, greenhouse.OpIdentify, greenhouse.OpReboot:
	case greenhouse.OpSet:
		if c.Value == nil || !(*c.Value >= 0 && *c.Value <= 1) {
			return bad("set needs a value from 0 to 1")
		}
		if c.LeaseS < 1 || c.LeaseS > 86400 {
			return bad("set needs a lease_s from 1 to 86400")
		}
	case greenhouse.OpPulse:
		if (c.DurMs > 0) == (c.VolumeML > 0) {
			return bad("pulse needs either ms or ml above 0")
		}
	case greenhouse.OpCalibrate:
	default:
		return bad("op %q is unknown: it is set, pulse, stop, calibrate, identify or reboot", c.Op)
	}
	if c.Channel == "" && c.Op != greenhouse.OpIdentify && c.Op != greenhouse.OpReboot && c.Op != greenhouse.OpStop {
		return bad("%s needs a channel ch", c.Op)
	}
	if c.Expires == 0 && c.Op != greenhouse.OpStop {
		return bad("%s needs expires", c.Op)
	}
	return nil
}

// CommandReport is what became of a command on the node.
type CommandReport struct {
	ID     greenhouse.CommandID    `json:"id"`
	Status greenhouse.CommandState `json:"status"` // accepted, done, no_effect, invalid, busy, expired, fenced or error
	Value  *float64                `json:"value,omitempty"`
	Error  string                  `json:"error,omitempty"`  // at most 256 bytes
	Detail json.RawMessage         `json:"detail,omitempty"` // an object, at most 8 KiB
}

// DecodeCommandReport reads the payload of a cmd/report topic.
func DecodeCommandReport(payload []byte) (CommandReport, error) {
	f := object("command report", payload)
	f.require("id")
	f.require("status")
	r := CommandReport{ID: greenhouse.CommandID(f.text("id", 64)), Status: greenhouse.CommandState(f.text("status", 32)),
		Value: f.optional("value"), Error: f.text("error", 256), Detail: f.detail()}
	if !isCommandID(string(r.ID)) {
		f.fail("field %q must be 1 to 64 of A-Z a-z 0-9 - _", "id")
	}
	if !Reportable(r.Status) {
		f.fail("field %q must be accepted, done, no_effect, invalid, busy, expired, fenced or error", "status")
	}
	if f.err != nil {
		return CommandReport{}, f.err
	}
	return r, nil
}

// Reportable reports whether a node may report the state; the others are the
// daemon's own.
func Reportable(s greenhouse.CommandState) bool {
	switch s {
	case greenhouse.CommandAccepted, greenhouse.CommandDone, greenhouse.CommandNoEffect, greenhouse.CommandInvalid,
		greenhouse.CommandBusy, greenhouse.CommandExpired, greenhouse.CommandFenced, greenhouse.CommandError:
		return true
	}
	return false
}

// Marshal returns the payload.
func (r CommandReport) Marshal() ([]byte, error) {
	return json.Marshal(struct {
		V int `json:"v"`
		CommandReport
	}{Version, r})
}
