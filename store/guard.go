package store

import "runtime/debug"

// guard runs a piece of bbolt and turns what it does on damaged pages, panics
// and memory faults in its map, into an error. Only bbolt runs in here: a panic
// of a caller's own function stays a panic.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damagef("%v", p)
		}
	}()
	return fn()
}
