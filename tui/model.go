package tui

import (
	"context"
	"errors"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse"
	"greenhouse/api"
)

// Options say how the dashboard begins. The zero value is the overview of the
// whole site.
type Options struct {
	Zone     greenhouse.ZoneID // open this zone; "": the overview
	ReadOnly bool              // refuse every action, for good
	ASCII    bool              // for terminals without Unicode
	Now      func() time.Time  // nil is time.Now
	Location *time.Location    // of the times shown; nil is time.Local
}

const (
	readPause   = time.Second      // least time between two readings of the records
	readSlowly  = 10               // and at least so many times as long as one took
	readRetry   = 3 * time.Second  // after one that went wrong
	answerLeast = time.Second      // how long an answer stays while keys are pressed
	answerShown = 8 * time.Second  // and while none are
	errorShown  = 30 * time.Second // and a refusal
)

// Model is the dashboard, a tea.Model. The program's goroutine owns it.
type Model struct {
	ctx      context.Context
	src      Source
	opts     Options
	ink      ink
	state    *state
	w, h     int
	pane     pane
	back     []pane // where esc leads, the last first
	zones    *roster[api.Zone]
	nodes    *roster[api.Node]
	alarms   *roster[api.Alarm]
	events   *roster[api.Event]
	zone     zonePane
	history  historyPane
	why      whyPane
	help     pager
	prompt   prompt // what the footer asks; nil: nothing
	answer   string
	refused  bool // the answer is an error
	answered time.Time
	stale    bool // the records have changed since they were read
	reading  bool // they are being read
	readEnd  time.Time
	readTook time.Duration
	priming  bool // traces are being read from the history
	readOnly bool
}

// The messages of the feeds and of finished work.
type (
	liveMsg   api.Live
	lostMsg   struct{ err error }
	eventsMsg []api.Event
	tickMsg   struct{}
	readMsg   struct {
		records
		err   error
		began time.Time
	}
	doneMsg struct {
		text string
		err  error
	}
)

// New returns the dashboard over src; ctx bounds what it asks of it. The feeds
// are started by [Run].
func New(ctx context.Context, src Source, o Options) *Model {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	m := &Model{
		ctx: ctx, src: src, opts: o, ink: newInk(), state: newState(o.Now()), readOnly: o.ReadOnly, w: 80, h: 24,
		zones: newZones(), nodes: newNodes(), alarms: newAlarms(), events: newEvents(),
	}
	if o.Zone != "" {
		m.openZone(o.Zone)
	}
	return m
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd { return tick() }

// tick redraws once a second, so that ages grow while nothing comes.
func tick() tea.Cmd { return tea.Tick(time.Second, func(time.Time) tea.Msg { return tickMsg{} }) }

// Update implements tea.Model.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	now := m.opts.Now()
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.key(msg.String(), msg.Text)
	case tea.PasteMsg:
		if m.prompt != nil {
			return m, m.prompt.key(m, "", msg.Content)
		}
	case tickMsg:
		m.forgetAnswer(now)
		return m, tea.Batch(tick(), m.chartAgain(now), m.readIfDue(now), m.prime())
	case liveMsg:
		return m, m.took(m.state.apply(api.Live(msg), now))
	case lostMsg:
		m.state.lost(msg.err, now)
	case eventsMsg:
		return m, m.took(m.state.addEvents(msg))
	case readMsg:
		return m, m.tookRecords(msg, now)
	case doneMsg:
		m.say(msg.text, msg.err)
		return m, m.readRecords()
	case pastMsg:
		m.tookPast(msg)
	case tracesMsg:
		return m, m.tookTraces(msg)
	case whyMsg:
		m.tookWhy(msg)
	}
	return m, nil
}

// took reads the records again if a message made them stale, and what a zone
// just shown wants charted.
func (m *Model) took(stale bool) tea.Cmd {
	shown := tea.Batch(m.chart(), m.prime())
	if !stale {
		return shown
	}
	return tea.Batch(shown, m.readRecords())
}

// readRecords reads zones, nodes and alarms again: one reading at a time, and
// on a large site seldom enough to leave the daemon alone for most of the time.
// What is not due yet is done by a later tick.
func (m *Model) readRecords() tea.Cmd {
	m.stale = true
	return m.readIfDue(m.opts.Now())
}

func (m *Model) readIfDue(now time.Time) tea.Cmd {
	pause := max(readPause, readSlowly*m.readTook)
	if m.state.readErr != nil {
		pause = readRetry
	}
	if !m.stale || m.reading || !m.readEnd.IsZero() && now.Sub(m.readEnd) < pause {
		return nil
	}
	m.stale, m.reading = false, true
	return func() tea.Msg {
		r, err := read(m.ctx, m.src)
		return readMsg{r, err, now}
	}
}

func (m *Model) tookRecords(r readMsg, now time.Time) tea.Cmd {
	m.reading, m.readEnd, m.readTook = false, now, now.Sub(r.began)
	if m.state.readErr = r.err; r.err != nil {
		m.stale = true
		return nil
	}
	m.state.replace(r.records)
	return tea.Batch(m.chart(), m.prime())
}

// say shows what an action came to.
func (m *Model) say(text string, err error) {
	m.answer, m.refused, m.answered = text, err != nil, m.opts.Now()
	if err == nil {
		return
	}
	m.answer = err.Error()
	if e := (*greenhouse.Error)(nil); errors.As(err, &e) && e.Hint != "" {
		m.answer += "; " + e.Hint
	}
}

func (m *Model) forgetAnswer(now time.Time) {
	shown := answerShown
	if m.refused {
		shown = errorShown
	}
	if now.Sub(m.answered) > shown {
		m.answer = ""
	}
}

// do runs an action beside the program.
func (m *Model) do(a *action) tea.Cmd {
	if m.readOnly {
		m.say("", errReadOnly())
		return nil
	}
	m.say("asking the daemon …", nil)
	return func() tea.Msg {
		text, err := a.run(m.ctx, m.src)
		return doneMsg{text, err}
	}
}

func errReadOnly() error {
	return greenhouse.Forbidden("read_only", "the dashboard is read-only").WithHint("r changes that, unless it was started so")
}
