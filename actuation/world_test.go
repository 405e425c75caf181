package actuation_test

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"greenhouse"
	"greenhouse/actuation"
)

// clock is a wall and monotonic clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// memory is a store that can fail.
type memory struct {
	mu       sync.Mutex
	commands map[greenhouse.CommandID]greenhouse.Command
	events   []greenhouse.Event
	saves    int
	fail     error
	t        testing.TB
}

func (m *memory) SaveCommands(cmds []greenhouse.Command, events []greenhouse.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.saves++
	for _, c := range cmds {
		if old, ok := m.commands[c.ID]; ok && old.State.Terminal() && old.State != c.State {
			m.t.Errorf("command %s went from terminal %s to %s", c.ID, old.State, c.State)
		}
		m.commands[c.ID] = c
	}
	m.events = append(m.events, events...)
	return nil
}

func (m *memory) get(id greenhouse.CommandID) (greenhouse.Command, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.commands[id]
	return c, ok
}

func (m *memory) codes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, e := range m.events {
		list = append(list, e.Code)
	}
	return list
}

// channel is one output of a device.
type channel struct {
	safe     float64
	level    float64
	set      greenhouse.CommandID
	leaseEnd time.Time
	pulse    greenhouse.CommandID
	pulseEnd time.Time
	lies     bool // says done and stays where it is
}

// device is a node after page 2 of the contract: leases, dedupe, epochs.
type device struct {
	uid     greenhouse.UID
	boot    int
	epoch   uint64
	out     map[greenhouse.ChannelName]*channel
	first   map[greenhouse.CommandID]actuation.Report
	expires map[greenhouse.CommandID]greenhouse.Millis
	runs    map[greenhouse.CommandID]int // how often each pulse ran
	lost    time.Time                    // since when the link is lost; zero: it is there
	refuse  greenhouse.CommandState      // answer to every set
	mute    bool                         // hears and obeys, answers nothing
}

func newDevice(uid greenhouse.UID, channels ...greenhouse.ChannelName) *device {
	d := &device{uid: uid, out: map[greenhouse.ChannelName]*channel{}, first: map[greenhouse.CommandID]actuation.Report{},
		expires: map[greenhouse.CommandID]greenhouse.Millis{}, runs: map[greenhouse.CommandID]int{}}
	for _, c := range channels {
		d.out[c] = &channel{}
	}
	return d
}

func (d *device) bootID() string { return fmt.Sprintf("b%d", d.boot) }

// reboot forgets everything but the epoch and what it answered, which firmware
// keeps in flash, and goes safe.
func (d *device) reboot() {
	d.boot++
	for _, c := range d.out {
		c.level, c.set, c.pulse = c.safe, "", ""
	}
}

// forget is the memory of answers lost with a reboot, as cheap firmware does.
func (d *device) forget() {
	clear(d.first)
	clear(d.expires)
}

// tick lets leases, pulses and the patience with a lost link run out.
func (d *device) tick(now time.Time) (ended []actuation.Report) {
	for _, c := range d.out {
		if c.pulse != "" && !now.Before(c.pulseEnd) {
			r := actuation.Report{ID: c.pulse, Status: greenhouse.CommandDone}
			d.first[c.pulse] = r
			ended = append(ended, r)
			c.pulse, c.level = "", c.safe
		}
		if c.set != "" && (!now.Before(c.leaseEnd) || !d.lost.IsZero() && now.Sub(d.lost) >= 30*time.Second) {
			c.set, c.level = "", c.safe
		}
	}
	return ended
}

// take carries out one command and returns the report.
func (d *device) take(c greenhouse.Command, now time.Time) (actuation.Report, bool) {
	r, ok := d.execute(c, now)
	return r, ok && !d.mute
}

func (d *device) execute(c greenhouse.Command, now time.Time) (actuation.Report, bool) {
	out := d.out[c.Channel]
	r := actuation.Report{ID: c.ID, Status: greenhouse.CommandDone}
	if c.Op == greenhouse.OpStop {
		d.epoch = max(d.epoch, c.Epoch)
		if out != nil {
			out.set, out.pulse = "", ""
			if !out.lies {
				out.level = out.safe
			}
			level := out.level
			r.Value = &level
		}
		return r, true
	}
	if first, known := d.first[c.ID]; known {
		if c.Op == greenhouse.OpSet && c.ExpiresAt > d.expires[c.ID] {
			d.expires[c.ID] = c.ExpiresAt
			if out.set != c.ID {
				r.Status = greenhouse.CommandExpired
				return r, true
			}
			out.leaseEnd = now.Add(time.Duration(c.LeaseS) * time.Second)
		}
		return first, true
	}
	switch {
	case c.Epoch < d.epoch:
		r.Status = greenhouse.CommandFenced
	case c.ExpiresAt != 0 && greenhouse.MillisOf(now) > c.ExpiresAt:
		r.Status = greenhouse.CommandExpired
	case c.Op == greenhouse.OpSet && d.refuse != "":
		r.Status = d.refuse
	case c.Op == greenhouse.OpSet && out.pulse != "":
		r.Status = greenhouse.CommandBusy
	case c.Op == greenhouse.OpSet:
		out.set, out.leaseEnd = c.ID, now.Add(time.Duration(c.LeaseS)*time.Second)
		if !out.lies {
			out.level = c.Value
		}
		level := out.level
		r.Value = &level
	case c.Op == greenhouse.OpPulse:
		d.runs[c.ID]++
		out.set, out.pulse, out.level = "", c.ID, 1
		out.pulseEnd = now.Add(time.Duration(c.DurMs) * time.Millisecond)
		r.Status = greenhouse.CommandAccepted
	}
	d.epoch = max(d.epoch, c.Epoch)
	d.first[c.ID], d.expires[c.ID] = r, c.ExpiresAt
	return r, true
}

// world is a controller, a store, and devices on a network that delivers at once.
type world struct {
	t       testing.TB
	clock   *clock
	store   *memory
	ctl     *actuation.Controller
	devices map[greenhouse.UID]*device
	sent    []greenhouse.Command // everything published
	down    map[greenhouse.UID]bool
	options actuation.Options
	plant   actuation.Plant
	claims  map[greenhouse.PointID][]greenhouse.Claim
	silent  map[greenhouse.ZoneID]bool // zones whose loop is dead
}

var errNoSession = errors.New("no session")

func newWorld(t testing.TB, change ...func(*actuation.Options)) *world {
	w := &world{t: t, clock: newClock(), devices: map[greenhouse.UID]*device{}, down: map[greenhouse.UID]bool{},
		claims: map[greenhouse.PointID][]greenhouse.Claim{}, silent: map[greenhouse.ZoneID]bool{}}
	w.store = &memory{commands: map[greenhouse.CommandID]greenhouse.Command{}, t: t}
	w.options = actuation.Options{Store: w.store, Publisher: w, Epoch: 7, Now: w.clock.Now, Stagger: -1}
	for _, f := range change {
		f(&w.options)
	}
	w.restart()
	return w
}

// restart is a new run of the daemon over the same store.
func (w *world) restart() {
	w.t.Helper()
	ctl, err := actuation.New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ctl = ctl
	w.ctl.Sync(w.plant)
}

// Publish implements actuation.Publisher: the device answers at once.
func (w *world) Publish(c greenhouse.Command) error {
	if w.down[c.Node] {
		return errNoSession
	}
	w.sent = append(w.sent, c)
	w.ctl.Sent(c.ID)
	if d := w.devices[c.Node]; d != nil {
		if r, ok := d.take(c, w.clock.Now()); ok {
			w.ctl.Report(d.uid, r, nil)
		}
	}
	return nil
}

// add puts an actuator on a device of its own and brings it online.
func (w *world) add(point greenhouse.PointID, class greenhouse.Class) *channel {
	uid := greenhouse.UID("relay-" + string(point.Zone()) + string(point.Name()))
	d := newDevice(uid, point.Name())
	safe := class.Spec().Safe
	d.out[point.Name()].safe, d.out[point.Name()].level = safe, safe
	w.devices[uid] = d
	w.plant.Actuators = append(w.plant.Actuators, actuation.Actuator{Point: point, Zone: point.Zone(), Node: uid, Channel: point.Name(), Class: class, Safe: safe})
	w.ctl.Sync(w.plant)
	w.ctl.NodeOnline(uid, d.bootID())
	return d.out[point.Name()]
}

func (w *world) device(point greenhouse.PointID) *device {
	return w.devices[greenhouse.UID("relay-"+string(point.Zone())+string(point.Name()))]
}

// want has a loop claim a level from now on.
func (w *world) want(point greenhouse.PointID, level float64) {
	w.claims[point] = []greenhouse.Claim{{Priority: greenhouse.PriorityLoop, Owner: "heating", Value: level, Reason: "it is cold"}}
}

// decide applies a fresh decision of every zone.
func (w *world) decide() {
	zones := map[greenhouse.ZoneID][]actuation.Want{}
	for _, a := range w.plant.Actuators {
		if !w.silent[a.Zone] {
			zones[a.Zone] = append(zones[a.Zone], actuation.Want{Point: a.Point, Claims: w.claims[a.Point]})
		}
	}
	for z, wants := range zones {
		w.ctl.Apply(z, w.clock.Now(), wants)
	}
}

// run lets time pass, a second at a time, with a decision every five.
func (w *world) run(d time.Duration) {
	for i := range int(d / time.Second) {
		if i%5 == 0 {
			w.decide()
		}
		w.second()
	}
}

// second is one cycle.
func (w *world) second() {
	w.ctl.Cycle()
	w.clock.Add(time.Second)
	for uid, d := range w.devices {
		for _, r := range d.tick(w.clock.Now()) {
			if !w.down[uid] && !d.mute {
				w.ctl.Report(uid, r, nil)
			}
		}
	}
	w.ctl.Cycle()
}

// cut takes the link of a device down, and up again.
func (w *world) cut(point greenhouse.PointID, down bool) {
	d := w.device(point)
	w.down[d.uid] = down
	d.lost = time.Time{}
	if down {
		d.lost = w.clock.Now()
		w.ctl.NodeOffline(d.uid)
		return
	}
	w.ctl.NodeOnline(d.uid, d.bootID())
}

// last returns the last command published.
func (w *world) last() greenhouse.Command {
	w.t.Helper()
	if len(w.sent) == 0 {
		w.t.Fatal("nothing was published")
	}
	return w.sent[len(w.sent)-1]
}

func (w *world) condition(code string) (greenhouse.Condition, bool) {
	for _, c := range w.ctl.Conditions(nil) {
		if c.Code == code && c.Active {
			return c, true
		}
	}
	return greenhouse.Condition{}, false
}

func wantLevel(t testing.TB, got *channel, want float64, when string) {
	t.Helper()
	if math.Abs(got.level-want) > 1e-9 {
		t.Errorf("%s: got level %v, want %v", when, got.level, want)
	}
}

func ptr(v float64) *float64 { return &v }
