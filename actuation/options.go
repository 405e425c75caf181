package actuation

import (
	"log/slog"
	"time"

	"greenhouse"
)

// Store keeps commands and the events they cause.
type Store interface {
	// SaveCommands writes all commands, new or changed, and appends all events in
	// one transaction, and returns when that is synced to disk. An error means that
	// the outcome is not known. Saving a command again replaces its record.
	SaveCommands(commands []greenhouse.Command, events []greenhouse.Event) error
}

// Publisher brings commands to nodes.
type Publisher interface {
	// Publish hands a command to the node's session and returns at once. An error
	// means that nothing was handed over. It may call [Controller.Sent] itself.
	Publish(c greenhouse.Command) error
}

// Options say how a controller works. Store and Publisher are needed.
type Options struct {
	Store     Store
	Publisher Publisher
	// Epoch is the fencing token of this run of the daemon, higher than that of
	// any run before.
	Epoch uint64
	// Open are the commands that an earlier run left unfinished. Their outcome is
	// settled at once: a pulse counts as delivered, all others have timed out.
	Open []greenhouse.Command
	// State are the equipment counters of an earlier run; nil: unknown, then every
	// device counts as switched off and started once just now.
	State *State
	// StateLost says that there were counters and nobody can read them: half of
	// every budget of time on counts as used.
	StateLost bool
	// ClockTrusted says that the wall clock is right, so that the time between the
	// saving of State and now counts. If not, none of it does: budgets are kept as
	// they were.
	ClockTrusted bool
	// SettledAt is before which nothing starts, not even for safety, as after
	// brown-outs in a row; zero: no such time.
	SettledAt time.Time
	// Stopped and StoppedAll are the emergency stops latched before the start.
	Stopped    []greenhouse.ZoneID
	StoppedAll bool

	NewID       func(now time.Time) greenhouse.CommandID // nil: ULIDs of crypto/rand
	Now         func() time.Time                         // with the monotonic clock; nil: time.Now
	Log         *slog.Logger                             // nil: discarded
	OnVerdict   func(greenhouse.Verdict)                 // a level changed; nil: nobody asks
	OnReason    func(greenhouse.Verdict)                 // a level stands for another reason, or is told anew (see reasons.go); nil: nobody asks
	OnCommand   func(greenhouse.Command)                 // a command became terminal and is saved; nil: nobody asks
	Period      time.Duration                            // between two cycles of Run; 0: 1 s
	DecisionAge time.Duration                            // a decision older than this is none: its zone goes safe; 0: 30 s
	Stagger     time.Duration                            // between two starts on one node, and a twentieth of what nodes spread theirs over after a boot, against inrush; 0: 1 s, negative: none
	Follow      time.Duration                            // how long a report may differ from the level before it is corrected; 0: 10 s
	Travel      time.Duration                            // how long a node may work on an accepted level; 0: 5 min
	// SavePatience is how long levels wait to be saved before they are published
	// all the same, as on a card that hangs for half a minute. 0: 2 s.
	SavePatience time.Duration
}

// defaults returns the options with every zero value replaced.
func (o Options) defaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Period, time.Second)
	set(&o.DecisionAge, 30*time.Second)
	set(&o.Stagger, time.Second)
	set(&o.Follow, 10*time.Second)
	set(&o.Travel, 5*time.Minute)
	set(&o.SavePatience, 2*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.NewID == nil {
		o.NewID = newULID
	}
	if o.OnVerdict == nil {
		o.OnVerdict = func(greenhouse.Verdict) {}
	}
	if o.OnCommand == nil {
		o.OnCommand = func(greenhouse.Command) {}
	}
	return o
}

// Actuator is one driven point as the registry has it.
type Actuator struct {
	Point     greenhouse.PointID
	Zone      greenhouse.ZoneID // "" while the node is in no zone: then people drive it by hand
	Node      greenhouse.UID
	Channel   greenhouse.ChannelName
	Class     greenhouse.Class
	Safe      float64       // level without a live reason
	MaxOn     time.Duration // tightens the longest run of the class; 0: as the class
	MaxOnHour time.Duration // tightens the time on within an hour; 0: as the class
	MaxOnDay  time.Duration // tightens the time on within 24 hours; 0: as the class
	MinOff    time.Duration // lengthens the shortest time off of the class
	LinkLoss  time.Duration // how long without a link before the node goes safe; 0: 30 s
}

// spec returns the protection of the actuator: its class, tightened.
func (a Actuator) spec() greenhouse.ClassSpec {
	s := a.Class.Spec()
	s.Safe = unit(a.Safe)
	s.MinOff = max(s.MinOff, a.MinOff)
	tighten := func(d *time.Duration, most time.Duration) {
		if most > 0 && (*d == 0 || most < *d) {
			*d = most
		}
	}
	tighten(&s.MaxRun, a.MaxOn)
	tighten(&s.MaxOnHour, a.MaxOnHour)
	tighten(&s.MaxOnDay, a.MaxOnDay)
	return s
}

// linkLoss returns LinkLoss or its default.
func (a Actuator) linkLoss() time.Duration {
	if a.LinkLoss <= 0 {
		return 30 * time.Second
	}
	return a.LinkLoss
}

// Plant is everything that can be driven, and what people ordered about it.
type Plant struct {
	Actuators  []Actuator
	Overrides  map[greenhouse.PointID]*greenhouse.Override
	Stopped    map[greenhouse.ZoneID]bool // emergency stops by zone
	StoppedAll bool
}

// Want is what the decision of a zone says of one actuator.
type Want struct {
	Point  greenhouse.PointID
	Claims []greenhouse.Claim // copied
	// Inputs, Terms and Timers explain the decision. They are kept until the next
	// one and must not be changed meanwhile.
	Inputs []greenhouse.Input
	Terms  map[string]float64
	Timers map[string]float64
	Aim    string // the set-point it is for; "": none
}
