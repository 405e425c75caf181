//go:build race

package broker_test

// racing says that the race detector takes memory of its own.
const racing = true
