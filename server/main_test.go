package server_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind: streams, listeners and watchers all end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
