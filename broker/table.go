package broker

import (
	"errors"
	"sync"
)

// table holds the sessions by login and client id. A session is in it from the
// moment it claims its place until nothing of it is left.
type table struct {
	mu     sync.Mutex
	by     map[string]*session
	count  map[string]int // by login
	closed bool

	// A login that was expelled while its credentials were being checked must not
	// get in on the old ones: logins begun before are turned away.
	clock    uint64            // counts expulsions
	expelled map[string]uint64 // by login, when
	floor    uint64            // when expelled was last emptied
}

// maxExpelled bounds the memory of expulsions.
const maxExpelled = 1024

// errExpelled asks a client to log in once more.
var errExpelled = errors.New("credentials changed during the login")

// errManySessions turns down an account that opens ever more connections.
var errManySessions = errors.New("too many sessions of one account")

// claim gives s its place if that is free. Else it returns the session to be
// closed first, or an error if s must give way.
func (t *table) claim(s *session, limit int) (older *session, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrShutdown
	}
	if s.begun < max(t.floor, t.expelled[s.Login]) {
		return nil, errExpelled
	}
	switch holder := t.by[s.key]; {
	case holder == nil && over(t.count[s.Login], limit):
		return nil, errManySessions
	case holder == nil:
		t.by[s.key] = s
		t.count[s.Login]++
		return nil, nil
	case holder.c.seq > s.c.seq:
		return nil, ErrTakenOver
	default:
		return holder, nil
	}
}

func (t *table) release(s *session) {
	t.mu.Lock()
	if t.by[s.key] == s {
		delete(t.by, s.key)
		if t.count[s.Login]--; t.count[s.Login] == 0 {
			delete(t.count, s.Login)
		}
	}
	t.mu.Unlock()
	close(s.gone)
}

// begin returns the time on the clock of expulsions.
func (t *table) begin() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clock
}

// expel returns the sessions of a login and turns away those on their way in.
func (t *table) expel(login string) []*session {
	t.mu.Lock()
	t.clock++
	if len(t.expelled) >= maxExpelled {
		clear(t.expelled)
		t.floor = t.clock
	}
	t.expelled[login] = t.clock
	t.mu.Unlock()
	return t.all(login)
}

// all returns the sessions, of one login or of every one.
func (t *table) all(login string) []*session {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []*session
	for _, s := range t.by {
		if login == "" || s.Login == login {
			list = append(list, s)
		}
	}
	return list
}

// close lets nobody in any more and returns who is.
func (t *table) close() []*session {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	return t.all("")
}
