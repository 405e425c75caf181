package tui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// Options say how the dashboard begins.
type Options struct {
	Zone     greenhouse.ZoneID // open this zone; "" for the overview
	ReadOnly bool              // refuse every action
	ASCII    bool              // for terminals without Unicode
	Now      func() time.Time  // nil is time.Now
}

// pane is one of the screens.
type pane int

const (
	paneOverview pane = iota
	paneZone
	paneNodes
	paneAlarms
	paneEvents
	paneHistory
	paneHelp
	paneWhy
)

// Model is the dashboard. The program's goroutine owns it.
type Model struct {
	ctx      context.Context
	src      Source
	opts     Options
	ink      ink
	state    *state
	w, h     int
	pane     pane
	back     []pane
	overview overview
	zone     zonePane
	nodes    nodesPane
	alarms   alarmsPane
	events   eventsPane
	history  historyPane
	why      api.Why
	dialog   *dialog
	filter   string
	typing   bool // the filter is being typed
	palette  bool // a destination is being typed
	typed    string
	flash    string
	flashBad bool
	flashAt  time.Time
	reading  bool // records are being read
	again    bool // and must be read once more
	readOnly bool
}

// The messages of the feeds and of finished work.
type (
	liveMsg   api.Live
	lostMsg   struct{ err error }
	eventMsg  api.Event
	recordMsg records
	tickMsg   time.Time
	doneMsg   struct {
		text string
		err  error
	}
	whyMsg struct {
		why api.Why
		err error
	}
)

// New returns the dashboard over src. Feeds are started by [Run].
func New(ctx context.Context, src Source, o Options) *Model {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Model{ctx: ctx, src: src, opts: o, ink: newInk(o.ASCII), state: newState(o.Now()), readOnly: o.ReadOnly, w: 80, h: 24}
	if o.Zone != "" {
		m.zone.id = o.Zone
		m.back = []pane{paneOverview}
		m.pane = paneZone
	}
	return m
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd { return tick() }

// tick redraws once a second, so that ages grow while nothing comes.
func tick() tea.Cmd { return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tickMsg(t) }) }

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	now := m.opts.Now()
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case tickMsg:
		if m.flash != "" && now.Sub(m.flashAt) > 8*time.Second {
			m.flash = ""
		}
		return m, tick()
	case liveMsg:
		if m.state.apply(api.Live(msg), now) {
			return m, m.readRecords()
		}
	case lostMsg:
		if m.state.link.up || m.state.link.why == "connecting" {
			m.state.link.since = now
		}
		m.state.link.up, m.state.link.why = false, msg.err.Error()
	case eventMsg:
		if m.state.addEvent(api.Event(msg)) {
			return m, m.readRecords()
		}
	case recordMsg:
		return m, m.tookRecords(records(msg))
	case doneMsg:
		m.say(msg.text, msg.err)
		return m, m.readRecords()
	case historyMsg:
		m.history.busy = false
		if id, _ := m.history.point(); id == msg.point {
			m.history.loaded, m.history.err = msg.h, msg.err
		}
	case whyMsg:
		if msg.err != nil {
			m.say("", msg.err)
			return m, nil
		}
		m.why = msg.why
		m.enter(paneWhy)
	}
	return m, nil
}

// readRecords reads zones, nodes and alarms again, one reading at a time.
func (m *Model) readRecords() tea.Cmd {
	if m.reading {
		m.again = true
		return nil
	}
	m.reading = true
	return func() tea.Msg { return recordMsg(read(m.ctx, m.src)) }
}

func (m *Model) tookRecords(r records) tea.Cmd {
	m.reading = false
	if r.err == nil {
		m.state.replace(r)
	}
	if m.again {
		m.again = false
		return m.readRecords()
	}
	return nil
}

// say shows what an action came to.
func (m *Model) say(text string, err error) {
	m.flash, m.flashBad, m.flashAt = text, err != nil, m.opts.Now()
	if err == nil {
		return
	}
	m.flash = err.Error()
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) && e.Hint != "" {
		m.flash += ": " + e.Hint
	}
}

// enter opens a pane; esc leads back.
func (m *Model) enter(p pane) {
	if m.pane != p {
		m.back = append(m.back, m.pane)
		m.pane = p
	}
}

func (m *Model) leave() {
	if n := len(m.back); n > 0 {
		m.pane, m.back = m.back[n-1], m.back[:n-1]
		return
	}
	m.pane = paneOverview
}

// do runs an action beside the program.
func (m *Model) do(a *action) tea.Cmd {
	if a == nil {
		return nil
	}
	if m.readOnly {
		m.say("", greenhouse.Forbidden("read_only", "the dashboard is read-only; r changes that"))
		return nil
	}
	return func() tea.Msg {
		text, err := a.run(m.ctx, m.src)
		return doneMsg{text, err}
	}
}

// askWhy asks the daemon to explain an actuator.
func (m *Model) askWhy(p greenhouse.PointID) tea.Cmd {
	return func() tea.Msg {
		w, err := m.src.Why(m.ctx, p, "")
		return whyMsg{w, err}
	}
}

func (m *Model) loadHistory() tea.Cmd {
	load := m.history.load(m.ctx, m.src, m.state.now(m.opts.Now()))
	if load == nil {
		return nil
	}
	return func() tea.Msg { return load() }
}

// Run shows the dashboard until the person leaves it or ctx ends, and leaves
// the terminal as it was.
func Run(ctx context.Context, src Source, o Options, extra ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := New(ctx, src, o)
	p := tea.NewProgram(m, append([]tea.ProgramOption{tea.WithContext(ctx)}, extra...)...)
	feeds := make(chan struct{}, 2)
	go func() { defer func() { feeds <- struct{}{} }(); feedLive(ctx, src, p.Send) }()
	go func() { defer func() { feeds <- struct{}{} }(); feedEvents(ctx, src, p.Send) }()
	_, err := p.Run()
	cancel()
	<-feeds
	<-feeds
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, tea.ErrProgramKilled) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// feedLive brings the live stream to the program; the client reconnects.
func feedLive(ctx context.Context, src Streams, send func(tea.Msg)) {
	for l, err := range src.WatchLive(ctx, client.LiveQuery{}) {
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			send(lostMsg{err})
		default:
			send(liveMsg(l))
		}
	}
}

// feedEvents brings every event from now on to the program.
func feedEvents(ctx context.Context, src Source, send func(tea.Msg)) {
	var since uint64
	for ctx.Err() == nil {
		st, err := src.Status(ctx)
		if err == nil {
			since = st.LastEvent - min(st.LastEvent, 50)
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	for e, err := range src.WatchEvents(ctx, since) {
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			send(eventMsg(e))
		}
	}
}
