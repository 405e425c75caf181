package actuation

import (
	"crypto/rand"
	"time"

	"github.com/oklog/ulid/v2"

	"greenhouse"
)

// How long an order may stay in a state, and how often it is repeated.
const (
	stopDeadline  = 30 * time.Second // a stop nobody confirmed becomes a new stop
	reportMargin  = 10 * time.Second // a report may be that late after the work should be done
	stopAgain     = 5 * time.Second  // after a stop the node could not carry out
	firstRetry    = 2 * time.Second
	longestRetry  = 15 * time.Second
	firstBackoff  = 5 * time.Second // after a failure, before a new command for the same level
	longBackoff   = time.Minute
	stuckBackoff  = 10 * time.Minute // a device that was told in vain several times
	correctEvery  = 30 * time.Second // between two corrections of a device that does not follow
	fencedPause   = time.Minute      // before a node that knows a higher epoch is asked again
	toleranceStep = 0.02             // levels nearer than this are the same
	rememberIDs   = 4096
	maxEvents     = 10000
	tellEvery     = 10 * time.Minute // between two events of one loop driving one actuator
)

// MaxOrders is how many pulses and orders by hand may be open at once.
const MaxOrders = 1024

// newULID returns a fresh ULID.
func newULID(now time.Time) greenhouse.CommandID {
	return greenhouse.CommandID(ulid.MustNew(ulid.Timestamp(now), rand.Reader).String())
}

// order is a command with what this run knows about it. The controller's mutex
// guards it.
type order struct {
	cmd greenhouse.Command
	a   *actuator // nil: an order to a node as a whole
	by  string    // who caused it, for events

	since     time.Time // in this state
	deadline  time.Time // of this state
	published time.Time // last handed over; zero: never
	nextTry   time.Time
	tries     int
	leaseEnd  time.Time // set: the node goes safe then
	basis     time.Time // set: the decision the lease rests on

	dirty   bool // differs from what is saved
	saved   bool // on disk in some state
	wanting bool // waits in the outbox
	dur     time.Duration
}

func (o *order) open() bool { return !o.cmd.State.Terminal() }

// silent reports whether nothing came back from the node yet.
func (o *order) silent() bool {
	return o.cmd.State == greenhouse.CommandQueued || o.cmd.State == greenhouse.CommandSent
}

// retryAfter returns how long to wait for a report after the nth publication.
func retryAfter(op greenhouse.Op, n int) time.Duration {
	if op == greenhouse.OpStop {
		return min(time.Duration(n)*time.Second, 5*time.Second)
	}
	return min(firstRetry<<min(n-1, 4), longestRetry)
}

// backoff returns how long to wait after the nth failure in a row.
func backoff(n int) time.Duration { return min(firstBackoff<<min(max(n, 1)-1, 6), longBackoff) }

// Delivered reports whether a pulse has to be counted as run: it was, or nobody
// can say that it was not. A pulse that is still open counts already.
func Delivered(c greenhouse.Command) bool {
	switch c.State {
	case greenhouse.CommandCancelled, greenhouse.CommandExpired, greenhouse.CommandInvalid, greenhouse.CommandBusy,
		greenhouse.CommandFenced, greenhouse.CommandSuperseded:
		return false
	}
	return c.Op == greenhouse.OpPulse
}
