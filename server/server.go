package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/time/rate"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/automation"
	"greenhouse/journal"
	"greenhouse/store"
	"greenhouse/telemetry"
)

// Broker is what the API needs of the MQTT broker.
type Broker interface {
	// Disconnect closes the sessions of a login, if it has any.
	Disconnect(login, reason string)
	// Status returns the figures of now.
	Status() api.BrokerStatus
	// Address returns where the session of a login comes from, "" if it has none.
	Address(login string) string
}

// Presence says which nodes are there.
type Presence interface {
	// Presence returns whether a node is online and when it was last heard, 0 for never.
	Presence(uid greenhouse.UID) (online bool, lastSeen greenhouse.Millis)
}

// Health says how the daemon is.
type Health interface {
	// NotReady returns what keeps the daemon from accepting nodes; empty when it does.
	NotReady() []string
	// Clock returns what the wall clock is worth.
	Clock() greenhouse.Clock
}

// Automation is what the API needs of the control loop.
type Automation interface {
	// Control returns how the last cycle went.
	Control() api.ControlStatus
	// Decided returns when a zone was last decided, and why it fails, if it does.
	Decided(z greenhouse.ZoneID) (at greenhouse.Millis, failing string)
	// SetPoints returns the set-points of the last good decision of a zone, and
	// whether there was one.
	SetPoints(z greenhouse.ZoneID) (automation.SetPoints, bool)
	// Wake has a zone decided at once, after an edit.
	Wake(z greenhouse.ZoneID)
}

// Level is how an actuator stands.
type Level struct {
	Desired    *float64              // nil: not decided yet
	Online     bool                  // its node
	Reported   *float64              // nil: unknown
	Motor      greenhouse.MotorState // how sure the node is of Reported; "": it measures it
	LeaseUntil greenhouse.Millis
	Command    greenhouse.CommandState // of the command open now, "" for none
	Ran        time.Duration           // on in all
	Starts     uint64                  // in all
	StartsHour int                     // in the last hour
}

// Actuation is what the API needs of the room that drives equipment.
type Actuation interface {
	// Verdict returns the outcome for an actuator, and whether there is one.
	Verdict(p greenhouse.PointID) (greenhouse.Verdict, bool)
	// Obstacles returns what keeps an actuator from a level, the strongest first, and
	// whether it has been decided.
	Obstacles(p greenhouse.PointID, level float64) ([]greenhouse.Obstacle, bool)
	// Level returns how an actuator stands.
	Level(p greenhouse.PointID) Level
	// Command sends a one-time order; the safety envelope may refuse it with ErrForbidden.
	Command(ctx context.Context, c greenhouse.Command) (greenhouse.Command, error)
}

// Authority is the daemon's own certificate authority.
type Authority interface {
	// CA describes it.
	CA() api.CA
	// RotateCA replaces it; the old one stays good for the overlap.
	RotateCA(overlap time.Duration) (api.CA, error)
}

// Stopper stops equipment. A zone of "" means the whole site.
type Stopper interface {
	// Stop brings equipment to its safe levels now and holds it there until Resume.
	Stop(z greenhouse.ZoneID)
	// Resume ends a Stop; the stop in the registry has been released already.
	Resume(z greenhouse.ZoneID)
	// Halt brings equipment to its safe levels once; decisions go on.
	Halt(z greenhouse.ZoneID)
}

// Sim is the simulated greenhouse of "edged demo".
type Sim interface {
	Sim() api.Sim
	Inject(f api.SimFaultRequest) (api.SimFault, error)
	Clear(id string) error // "" clears all
}

// Deps are the rooms behind the API. Sim is nil outside the demo, Authority
// and Pending where there is none; all others are needed.
type Deps struct {
	Store      *store.Store
	Journal    *journal.Journal
	Telemetry  *telemetry.Engine
	Actuation  Actuation
	Stopper    Stopper
	Automation Automation
	Presence   Presence
	Broker     Broker
	Health     Health
	Pending    Pending
	Authority  Authority
	Sim        Sim
}

// Options say how the API is served. The zero value serves.
type Options struct {
	Version   api.Version
	DataDir   string      // for the doctor's look at the disk; "": not looked at
	Hosts     []string    // names of this machine that TLS clients may use, beside addresses and localhost
	TLS       *tls.Config // of ServeRemote's listener, for the doctor's look at its certificate; nil: no TLS
	NodeTLS   *tls.Config // the same of the listener for nodes
	Limits    Limits
	Settings  map[string]any   // the configuration in force, shown to admins; nil: none is shown
	MaxEvents int              // event streams; 0: 64
	MaxLive   int              // live streams; 0: 32
	Gauges    int              // points whose latest values are metrics, the first by id; 0: none
	Now       func() time.Time // nil: time.Now
	Log       *slog.Logger     // nil: discarded
}

// Limits bound what callers can cost. Zero fields take the default named beside them.
type Limits struct {
	Rate        float64 // requests a second of one token; 50
	Burst       int     // requests at once of one token; 200
	Connections int     // of a listener; 1024
	PerAddress  int     // connections from one address, loopback excepted; 64
}

func (l Limits) withDefaults() Limits {
	return Limits{Rate: cmp.Or(l.Rate, 50), Burst: cmp.Or(l.Burst, 200), Connections: cmp.Or(l.Connections, 1024), PerAddress: cmp.Or(l.PerAddress, 64)}
}

// Server answers the API. Make one with [New].
type Server struct {
	Deps
	opts        Options
	version     api.Version
	hosts       []string
	now         func() time.Time
	log         *slog.Logger
	started     time.Time
	metrics     *metrics
	limits      limits
	guesses     guesses
	userGuesses guesses
	hash        slots
	refusal     refusals
	streams     streams
	verify      slots
	events      slots
	lives       slots
	local       http.Handler
	remote      http.Handler

	ctx    context.Context // ends with Close: the streams' sign to end
	cancel context.CancelFunc
	mu     sync.Mutex
	open   []*http.Server
	closed bool
}

// New returns a server over the rooms. It fails only if a room is missing, or if
// a route of package api has no handler here, or the other way round.
func New(d Deps, o Options) (*Server, error) {
	if err := d.whole(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	s := &Server{Deps: d, opts: o, version: o.Version, now: o.Now, log: o.Log, started: o.Now()}
	for _, h := range o.Hosts {
		s.hosts = append(s.hosts, strings.ToLower(h))
	}
	s.limits = limits{rate: rate.Limit(o.Limits.Rate), burst: o.Limits.Burst, byKey: map[string]*rate.Limiter{}}
	s.guesses, s.userGuesses = newGuesses(guessesPerAddress), newGuesses(guessesPerUser)
	s.hash = newSlots(1)
	s.refusal = refusals{last: map[string]time.Time{}}
	s.events, s.lives, s.verify = newSlots(o.MaxEvents), newSlots(o.MaxLive), newSlots(1)
	s.streams = streams{open: map[string]map[*context.CancelFunc]struct{}{}}
	s.metrics = newMetrics(s)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	if _, err := s.mount(mux, undescribed{written()}); err != nil {
		return nil, err
	}
	s.local, s.remote = s.wrap(mux, true), s.wrap(mux, false)
	return s, nil
}

// whole reports which rooms are missing.
func (d Deps) whole() error {
	var errs []error
	for name, missing := range map[string]bool{
		"store": d.Store == nil, "journal": d.Journal == nil, "telemetry": d.Telemetry == nil, "actuation": d.Actuation == nil, "stopper": d.Stopper == nil,
		"automation": d.Automation == nil, "presence": d.Presence == nil, "broker": d.Broker == nil, "health": d.Health == nil,
	} {
		if missing {
			errs = append(errs, errors.New("open API: the room "+name+" is missing"))
		}
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	if o.MaxEvents <= 0 {
		o.MaxEvents = 64
	}
	if o.MaxLive <= 0 {
		o.MaxLive = 32
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// mount puts every operation of the access table on the mux, and describes their
// bodies in schemas.
func (s *Server) mount(mux *http.ServeMux, schemas huma.Registry) (*mount, error) {
	m := newMount(s, mux, schemas)
	s.mountSystem(m, mux)
	s.mountNodes(m)
	s.mountConfig(m)
	s.mountPending(m)
	s.mountCalibration(m)
	s.mountCommands(m)
	s.mountZones(m)
	s.mountRecipes(m)
	s.mountPoints(m)
	s.mountHistory(m)
	s.mountAlarms(m)
	s.mountStreams(m)
	s.mountAccess(m)
	s.mountUsers(m)
	s.mountSecurity(m)
	s.mountSim(m)
	for id := range m.routes {
		m.err = errors.Join(m.err, fmt.Errorf("mount %s: the route has no handler", id))
	}
	return m, m.err
}

// Handler returns the API as a handler: local, where the peer is admin, or
// behind tokens.
func (s *Server) Handler(local bool) http.Handler {
	if local {
		return s.local
	}
	return s.remote
}

// ServeLocal serves the unix socket until Close; its peers are admin, so its
// file mode is the lock on the door. It returns nil after Close.
func (s *Server) ServeLocal(l net.Listener) error { return s.serve(l, s.local) }

// ServeRemote serves a TLS listener until Close; callers need a token. It
// returns nil after Close.
func (s *Server) ServeRemote(l net.Listener) error { return s.serve(l, s.remote) }

func (s *Server) serve(l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return l.Close()
	}
	s.open = append(s.open, srv)
	s.mu.Unlock()
	if err := srv.Serve(newLimited(l, s.opts.Limits.Connections, s.opts.Limits.PerAddress)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve API on %s: %w", l.Addr(), err)
	}
	return nil
}

// Close ends the streams, lets requests under way finish until ctx ends, and
// closes the listeners. A second call does nothing.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	open := slices.Clone(s.open)
	s.open, s.closed = nil, true
	s.mu.Unlock()
	s.cancel()
	var errs []error
	for _, srv := range open {
		if err := srv.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close API: %w", err), srv.Close())
		}
	}
	return errors.Join(errs...)
}

// slots bounds how many streams of one kind are open.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

// take takes a slot; the caller gives it back with leave.
func (s slots) take(what string) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
		return greenhouse.Unavailable("streams_full", "all %d %s streams are taken", cap(s), what).WithHint("close another one and try again")
	}
}

func (s slots) leave() { <-s }
