package actuation

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"greenhouse"
)

// Controller holds desired levels against reported ones. Make one with [New].
type Controller struct {
	o    Options
	now  func() time.Time
	log  *slog.Logger
	wake chan struct{} // a cycle is due
	save chan struct{} // a flush is due

	flushing   chan struct{} // holds one token: one flush at a time; taken before publishing
	publishing sync.Mutex    // one publication at a time; taken before mu

	mu        sync.Mutex
	actuators []*actuator // in the order of the plant
	points    map[greenhouse.PointID]*actuator
	zones     map[greenhouse.ZoneID]*zone
	nodes     map[greenhouse.UID]*node
	orders    map[greenhouse.CommandID]*order
	loose     []*order // pulses and orders by hand, until terminal
	book      book
	recent    recent
	ghosts    State                       // equipment of points not seen yet
	unlatched map[greenhouse.ZoneID]bool  // resumed here; the registry may still say stopped
	told      map[greenhouse.UID]struct{} // nodes whose conditions were reported once
	lamps     int                         // of the plant
	lampNext  time.Time                   // no lamp lights up before, against inrush
	stopAll   latch
	closing   bool
	waiters   []chan struct{} // told when an order becomes terminal
	stats     Stats
	verdicts  []greenhouse.Verdict // to be reported after the flush
	reasons   []greenhouse.Verdict // the same, of levels that did not change
}

// book is what the next flush has to do.
type book struct {
	dirty  []*order // to be saved
	outbox []*order // to be published
	urgent []*order // stops: published before anything is saved
	events []greenhouse.Event
	acks   []func(error)
	failed bool // the last save failed
	saving bool // a save is under way
}

// latch is an emergency stop: ordered here, by the registry, or both.
type latch struct{ here, registry bool }

func (l latch) on() bool { return l.here || l.registry }

// zone is what a zone's decisions have in common.
type zone struct {
	stop    latch
	decided time.Time // of the last decision; zero: none yet
}

// node is what is known of a node.
type node struct {
	uid       greenhouse.UID
	online    bool
	boot      string
	boots     [3]time.Time // last boots seen, newest first
	away      time.Time    // since when offline
	unsure    time.Time    // back, but its boot is not known: nothing goes on before
	started   time.Time    // last start of equipment, against inrush
	spread    time.Time    // no start before: its turn after power came back
	met       bool         // it was online in this run
	fenced    time.Time    // no levels before: it knows a higher epoch
	isFenced  bool
	wasFenced bool // once, so that the alarm clears
	actuators []*actuator
}

// actuator is one driven point.
type actuator struct {
	Actuator
	spec greenhouse.ClassSpec
	zone *zone // nil: in no zone
	node *node
	eq   Equipment

	override      *greenhouse.Override
	overrideClaim greenhouse.Claim
	overrideEnd   time.Time // monotonic

	decidedAt time.Time          // of the decision the claims come from
	claims    []greenhouse.Claim // of automation
	aim       string
	inputs    []greenhouse.Input
	terms     map[string]float64
	timers    map[string]float64

	all     []greenhouse.Claim // all claims of the last arbitration
	void    bool               // there was no fresh decision
	outcome Outcome
	ruling  Ruling
	decided bool    // outcome and ruling mean something
	level   float64 // desired
	changed time.Time
	stood   standing  // as last told of
	noted   time.Time // when that was

	hold       *order // the level commanded now; nil: none
	stop       *order // stop under way
	pulse      *order // pulse under way
	halting    bool   // one stop, then decisions go on
	haltedBy   string
	stopping   bool // as of the last step
	stoppedAt  time.Time
	confirmed  bool // the stop in force was reported done
	position   position
	reported   float64
	known      bool // reported means something
	reportedAt time.Time
	differs    time.Time // since when the report differs; zero: it does not
	corrected  int       // corrections in a row
	failures   int       // failed commands in a row
	failed     greenhouse.CommandState
	jammed     float64 // where it stood when it did not move
	timeouts   int
	retryAt    time.Time
	tryStop    bool // the safe level is ordered by stop, as a set was refused
	dead       bool // no longer in the plant
	told       bool
	toldOf     map[string]time.Time // causes of levels that loops ordered: when command_issued told of them last
	raised     uint16               // conditions ever raised, by bit
}

// New returns a controller over no actuators: [Controller.Sync] brings them.
func New(o Options) (*Controller, error) {
	if o.Store == nil || o.Publisher == nil || o.Epoch == 0 {
		return nil, greenhouse.Invalid("options_invalid", "a controller needs a store, a publisher and an epoch above 0")
	}
	o = o.defaults()
	c := &Controller{
		o: o, now: o.Now, log: o.Log, wake: make(chan struct{}, 1), save: make(chan struct{}, 1), flushing: make(chan struct{}, 1),
		points: map[greenhouse.PointID]*actuator{}, zones: map[greenhouse.ZoneID]*zone{}, nodes: map[greenhouse.UID]*node{},
		orders: map[greenhouse.CommandID]*order{}, recent: newRecent(), unlatched: map[greenhouse.ZoneID]bool{},
		told: map[greenhouse.UID]struct{}{}, stopAll: latch{registry: o.StoppedAll},
	}
	for _, z := range o.Stopped {
		c.zone(z).stop.registry = true
	}
	now := c.now()
	if o.State != nil {
		c.ghosts = o.State.aged(greenhouse.MillisOf(now), o.ClockTrusted)
	}
	for _, cmd := range o.Open {
		c.settleOld(cmd, now)
	}
	return c, nil
}

// settleOld ends a command that an earlier run left open.
func (c *Controller) settleOld(cmd greenhouse.Command, now time.Time) {
	if cmd.State.Terminal() {
		return
	}
	o := &order{cmd: cmd, saved: true, by: "edged"}
	c.orders[cmd.ID] = o
	why := "the daemon restarted before the node reported"
	if cmd.Op == greenhouse.OpPulse {
		why = "the daemon restarted: the outcome is unknown and counts as delivered"
	}
	c.finish(o, greenhouse.CommandTimeout, why, now)
}

// Run calls [Controller.Cycle] every Period and whenever something urgent
// arrived, until ctx ends. It stops nothing: see [Controller.Shutdown].
func (c *Controller) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.repeatStops(ctx) })
	t := time.NewTicker(c.o.Period)
	defer t.Stop()
	for {
		work := c.Cycle
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-c.wake:
		case <-c.save:
			work = c.flush
		}
		if err := work(); err != nil {
			c.log.Error("commands not saved", "error", err)
		}
	}
}

// Wake has the next cycle run at once.
func (c *Controller) Wake() { poke(c.wake) }

// poke wakes the reader of a channel, if it is not awake already.
func poke(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Cycle brings every actuator one step towards its level, saves the commands
// that takes in one transaction, and publishes them. The error is that of the
// store; control goes on all the same, only pulses are withheld.
func (c *Controller) Cycle() error {
	now := c.now()
	c.mu.Lock()
	for _, a := range c.actuators {
		c.step(a, now)
	}
	c.tendLoose(now)
	c.mu.Unlock()
	return c.flush()
}

// step decides one actuator and acts on it.
func (c *Controller) step(a *actuator, now time.Time) {
	stopping := c.stopping(a)
	if stopping != a.stopping {
		a.stopping, a.retryAt, a.differs = stopping, time.Time{}, time.Time{}
		a.confirmed, a.stoppedAt = a.confirmed && c.closing, now
	}
	c.decide(a, now)
	if stopping {
		c.actStop(a, now)
		return
	}
	c.act(a, now)
}

// stopping reports whether the actuator is to be stopped and held there.
func (c *Controller) stopping(a *actuator) bool {
	return c.closing || a.halting || c.latched(a)
}

// latched reports whether an emergency stop holds the actuator.
func (c *Controller) latched(a *actuator) bool {
	return c.stopAll.on() || a.zone != nil && a.zone.stop.on()
}

// zone returns the record of a zone, made if it is new.
func (c *Controller) zone(id greenhouse.ZoneID) *zone {
	z := c.zones[id]
	if z == nil {
		z = &zone{}
		c.zones[id] = z
	}
	return z
}

// nodeOf returns the record of a node, made if it is new.
func (c *Controller) nodeOf(uid greenhouse.UID) *node {
	n := c.nodes[uid]
	if n == nil {
		n = &node{uid: uid}
		c.nodes[uid] = n
	}
	return n
}

// Apply takes what automation decided for a zone at that time, which has to
// carry the monotonic clock. An actuator without a want keeps the last one until
// that is too old. Wants of points of other zones are ignored. An urgent claim
// runs a cycle at once.
func (c *Controller) Apply(id greenhouse.ZoneID, at time.Time, wants []Want) {
	c.mu.Lock()
	z := c.zone(id)
	if at.Before(z.decided) { // an older decision that came late
		c.mu.Unlock()
		return
	}
	z.decided = at
	urgent := false
	for i := range wants {
		w := &wants[i]
		a := c.points[w.Point]
		if a == nil || a.zone != z {
			continue
		}
		a.claims = append(a.claims[:0], w.Claims...)
		a.inputs, a.terms, a.timers, a.aim = w.Inputs, w.Terms, w.Timers, w.Aim
		a.decidedAt = at
		for j := range w.Claims {
			urgent = urgent || w.Claims[j].Urgent
		}
	}
	c.mu.Unlock()
	if urgent {
		c.Wake()
	}
}

// Sent notes that the broker has the node's PUBACK for a command. Anything else
// than a queued command is left as it is.
func (c *Controller) Sent(id greenhouse.CommandID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.orders[id]; o != nil && o.cmd.State.CanBecome(greenhouse.CommandSent) {
		c.enter(o, greenhouse.CommandSent, c.now())
	}
}
