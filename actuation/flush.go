package actuation

import (
	"time"

	"greenhouse"
)

// batch is what one flush carries.
type batch struct {
	orders   []*order
	commands []greenhouse.Command
	events   []greenhouse.Event
	outbox   []*order
	acks     []func(error)
	verdicts []greenhouse.Verdict
	reasons  []greenhouse.Verdict
}

// errSaving says that a save has not come back from the disk.
func errSaving() error {
	return greenhouse.Unavailable("saving", "the disk has not answered for a while; levels are controlled without it").
		WithHint("look at greenctl doctor: a card that hangs is about to die")
}

// flush publishes the stops, saves what changed in one transaction, publishes
// the rest, and tells everybody who waited. A save that takes longer than
// SavePatience goes on by itself: levels leave without it, for they end by
// themselves; pulses and acknowledgements wait for it, and so does the next save.
func (c *Controller) flush() error {
	c.flushing <- struct{}{}
	defer func() { <-c.flushing }()
	c.publishStops()
	b, busy := c.take()
	err := errSaving()
	if !busy {
		err = c.store(b)
	}
	for _, o := range b.outbox {
		c.publish(o)
	}
	for _, v := range b.verdicts {
		c.o.OnVerdict(v)
	}
	for _, v := range b.reasons {
		c.o.OnReason(v)
	}
	return err
}

// take empties the book into a batch. While a save is under way, what is to be
// saved and who waits for that stay in the book.
func (c *Controller) take() (b batch, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b.outbox, b.verdicts, b.reasons = c.book.outbox, c.verdicts, c.reasons
	c.book.outbox, c.verdicts, c.reasons = nil, nil, nil
	if c.book.saving {
		return b, true
	}
	b.orders, b.events, b.acks = c.book.dirty, c.book.events, c.book.acks
	c.book.dirty, c.book.events, c.book.acks = nil, nil, nil
	if len(b.orders) > 0 {
		b.commands = make([]greenhouse.Command, len(b.orders))
	}
	for i, o := range b.orders {
		b.commands[i], o.dirty = o.cmd, false
	}
	c.book.saving = len(b.commands)+len(b.events) > 0
	return b, false
}

// store saves a batch and settles it, and returns early where that takes too long.
func (c *Controller) store(b batch) error {
	if len(b.commands)+len(b.events) == 0 {
		c.settle(b, nil)
		return nil
	}
	done := make(chan error, 1)
	go func() {
		err := c.o.Store.SaveCommands(b.commands, b.events)
		c.settle(b, err)
		done <- err
	}()
	patience := time.NewTimer(c.o.SavePatience)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		c.log.Warn("the disk does not answer; levels are controlled without it", "waited", c.o.SavePatience)
		return errSaving()
	}
}

// settle notes how a save went and tells who waited for it.
func (c *Controller) settle(b batch, err error) {
	ended := c.saved(b, err)
	for _, ack := range b.acks {
		ack(err)
	}
	for _, cmd := range ended {
		c.o.OnCommand(cmd)
	}
}

// saved notes how the transaction went and returns the commands that are
// finished and on disk. After an error everything is to be saved again, and no
// pulse that is not on disk leaves the house.
func (c *Controller) saved(b batch, err error) []greenhouse.Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b.commands)+len(b.events) > 0 {
		c.stats.Saves++
		c.book.failed, c.book.saving = err != nil, false
		if err == nil && len(c.book.dirty)+len(c.book.events)+len(c.book.acks) > 0 { // gathered while the disk was slow
			poke(c.save)
		}
	}
	if err != nil {
		c.stats.SaveErrors++
		c.unsaved(b)
		return nil
	}
	var ended []greenhouse.Command
	for i, o := range b.orders {
		o.saved = true
		if b.commands[i].State.Terminal() {
			ended = append(ended, b.commands[i])
		}
	}
	return ended
}

// unsaved takes a batch back into the book.
func (c *Controller) unsaved(b batch) {
	now := c.now()
	room := max(0, maxEvents-len(c.book.events))
	if lost := len(b.events) - room; lost > 0 {
		b.events = b.events[lost:]
		c.stats.EventsLost += uint64(lost)
	}
	c.book.events = append(b.events, c.book.events...)
	for _, o := range b.orders {
		c.mark(o)
		if o.cmd.Op == greenhouse.OpPulse && !o.saved && o.published.IsZero() {
			c.finish(o, greenhouse.CommandCancelled, "its intent could not be saved, so it was not sent", now)
		}
	}
}

// publishStops hands over all stops that wait.
func (c *Controller) publishStops() {
	c.mu.Lock()
	stops := c.book.urgent
	c.book.urgent = nil
	c.mu.Unlock()
	for _, o := range stops {
		c.publish(o)
	}
}

// publish hands one order to the broker, if it is still wanted at this moment.
// Publications follow each other, so that what leaves last is what holds.
func (c *Controller) publish(o *order) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	now := c.now()
	c.mu.Lock()
	o.wanting = false
	cmd, end, basis, ok := c.ready(o, now)
	before := o.published
	if ok {
		o.published = now // from here on nobody can say that it did not leave
	}
	c.mu.Unlock()
	if !ok {
		return
	}
	err := c.o.Publisher.Publish(cmd)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.refused(o, before, err, now)
		return
	}
	c.left(o, cmd, end, basis, now)
}

// ready returns the command as it has to leave now, or that it must not: it was
// superseded, its node is away, a stop came between, its lease is over.
func (c *Controller) ready(o *order, now time.Time) (cmd greenhouse.Command, end, basis time.Time, ok bool) {
	cmd, end, basis = o.cmd, o.leaseEnd, o.basis
	if !c.nodeOf(cmd.Node).online {
		return cmd, end, basis, false
	}
	switch cmd.Op {
	case greenhouse.OpStop:
		return cmd, end, basis, o.open()
	case greenhouse.OpPulse:
		ok = o.saved && o.published.IsZero() && o.cmd.State == greenhouse.CommandQueued && now.Before(o.deadline) && !now.Before(o.a.node.unsure) && !c.stopping(o.a)
	case greenhouse.OpSet:
		if o.a.hold != o || o.a.dead || c.stopping(o.a) {
			return cmd, end, basis, false
		}
		if !o.silent() {
			end, basis = c.lease(o.a, now)
			cmd.ExpiresAt = greenhouse.MillisOf(now).Add(end.Sub(now))
		}
		cmd.LeaseS = wholeSeconds(end.Sub(now))
		ok = cmd.LeaseS >= 1
	default:
		ok = o.open() && o.published.IsZero()
	}
	return cmd, end, basis, ok
}

// refused notes that nothing was handed over.
func (c *Controller) refused(o *order, before time.Time, err error, now time.Time) {
	c.stats.PublishErrors++
	o.published = before
	o.tries++
	o.nextTry = now.Add(retryAfter(o.cmd.Op, o.tries))
	if o.cmd.Op == greenhouse.OpPulse {
		c.finish(o, greenhouse.CommandCancelled, "it could not be handed to the node: "+err.Error(), now)
	}
}

// left notes that the command was handed over.
func (c *Controller) left(o *order, cmd greenhouse.Command, end, basis, now time.Time) {
	c.stats.Published++
	o.tries++
	o.nextTry = now.Add(retryAfter(o.cmd.Op, o.tries))
	a := o.a
	switch {
	case a == nil || a.dead:
	case cmd.Op == greenhouse.OpSet:
		if a.hold != o {
			return // the node's refusal was faster
		}
		if !o.silent() {
			c.stats.Renewed++
		}
		o.leaseEnd, o.basis, o.cmd.LeaseS, o.cmd.ExpiresAt = end, basis, cmd.LeaseS, cmd.ExpiresAt
		a.eq.Drive(a.spec, cmd.Value, now)
	case cmd.Op == greenhouse.OpStop:
		a.eq.Drive(a.spec, a.spec.Safe, now)
	case cmd.Op == greenhouse.OpPulse:
		a.eq.Pulse(a.spec, o.dur, now)
	}
}

// errStopping is the answer to orders after Shutdown.
func errStopping() error {
	return greenhouse.Unavailable("stopping", "the daemon is stopping: actuators take no more orders")
}
