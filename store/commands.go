package store

import (
	"greenhouse"
)

// PutCommand stores a command, new or changed. A change of state must be one
// that a command can make; a terminal state never changes.
func (tx *Tx) PutCommand(c greenhouse.Command) error {
	if c.ID == "" || len(c.ID) > 64 {
		return greenhouse.Invalid("command_id_invalid", "command id %q is not one: it needs 1 to 64 characters", c.ID)
	}
	if content := tx.get(bucketCommands, []byte(c.ID)); content != nil {
		old, err := decode[greenhouse.Command](bucketCommands, []byte(c.ID), content)
		if err != nil {
			return err
		}
		if err := ruleCommandState(old, c.State); err != nil {
			return err
		}
	}
	c.UpdatedAt = greenhouse.MillisOf(tx.at)
	if c.CreatedAt == 0 {
		c.CreatedAt = c.UpdatedAt
	}
	if err := tx.putJSON(bucketCommands, string(c.ID), c); err != nil {
		return err
	}
	if c.State.Terminal() {
		return tx.delete(bucketOpen, []byte(c.ID))
	}
	return tx.put(bucketOpen, []byte(c.ID), nil)
}

// Command returns a command.
func (tx *Tx) Command(id greenhouse.CommandID) (greenhouse.Command, error) {
	content := tx.get(bucketCommands, []byte(id))
	if content == nil {
		return greenhouse.Command{}, greenhouse.NotFound("command", string(id))
	}
	c, err := decode[greenhouse.Command](bucketCommands, []byte(id), content)
	if err != nil {
		return greenhouse.Command{}, err
	}
	return *c, nil
}

// OpenCommands returns the commands that are not terminal, oldest first.
func (tx *Tx) OpenCommands() ([]greenhouse.Command, error) {
	var ids []greenhouse.CommandID
	tx.scan(bucketOpen, nil, false, func(k, _ []byte) bool {
		ids = append(ids, greenhouse.CommandID(k))
		return true
	})
	open := make([]greenhouse.Command, 0, len(ids))
	for _, id := range ids {
		c, err := tx.Command(id)
		if err != nil {
			return nil, err
		}
		open = append(open, c)
	}
	return open, tx.err
}

// CommandFilter chooses commands; an empty field chooses all.
type CommandFilter struct {
	Node   greenhouse.UID
	Point  greenhouse.PointID
	State  greenhouse.CommandState
	Before greenhouse.CommandID // only older ones: the last of the page before
	Limit  int                  // 0 means 100
}

// matches reports whether a command is chosen.
func (f CommandFilter) matches(c *greenhouse.Command) bool {
	return (f.Node == "" || f.Node == c.Node) && (f.Point == "" || f.Point == c.Point) &&
		(f.State == "" || f.State == c.State) && (f.Before == "" || c.ID < f.Before)
}

// Commands returns the chosen commands, newest first.
func (tx *Tx) Commands(f CommandFilter) ([]greenhouse.Command, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	list := []greenhouse.Command{}
	var err error
	tx.scan(bucketCommands, []byte(f.Before), true, func(k, content []byte) bool {
		var c *greenhouse.Command
		if c, err = decode[greenhouse.Command](bucketCommands, k, content); err != nil {
			return false
		}
		if f.matches(c) {
			list = append(list, *c)
		}
		return len(list) < f.Limit
	})
	return list, firstError(err, tx.err)
}

// PruneCommands removes at most limit terminal commands that last changed before
// an instant, oldest first, and returns how many. It never removes an open one.
func (tx *Tx) PruneCommands(before greenhouse.Millis, limit int) (int, error) {
	var gone [][]byte
	var err error
	tx.scan(bucketCommands, nil, false, func(k, content []byte) bool {
		var c *greenhouse.Command
		if c, err = decode[greenhouse.Command](bucketCommands, k, content); err != nil {
			return false
		}
		if c.CreatedAt >= before { // ids rise with time: all others are younger
			return false
		}
		if c.State.Terminal() && c.UpdatedAt < before {
			gone = append(gone, []byte(c.ID))
		}
		return len(gone) < limit
	})
	if err := firstError(err, tx.err); err != nil {
		return 0, err
	}
	for _, id := range gone {
		if err := tx.delete(bucketCommands, id); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}
