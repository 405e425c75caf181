package tui_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/tui"
)

// colours is a change of the foreground or background colour.
var colours = regexp.MustCompile(`\x1b\[(?:[0-9;]*;)?(?:[349][0-7]|10[0-7])(?:;[0-9;]*)?m`)

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{}
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.more != nil {
		close(b.more)
		b.more = nil
	}
	return b.buf.Write(p)
}

func (b *lockedBuffer) bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.buf.Bytes())
}

// waitFor waits until the text was written.
func (b *lockedBuffer) waitFor(t *testing.T, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		b.mu.Lock()
		found := bytes.Contains(b.buf.Bytes(), []byte(text))
		if b.more == nil {
			b.more = make(chan struct{})
		}
		more := b.more
		b.mu.Unlock()
		if found {
			return
		}
		select {
		case <-more:
		case <-late:
			t.Fatalf("waited for %q, got %q", text, b.bytes())
		}
	}
}

// print runs Plain over a script of live messages and errors until it has read
// all of them.
func print(t *testing.T, f *fake, o tui.Options, script ...any) ([]string, error) {
	t.Helper()
	f.live = make(chan any, len(script))
	for _, x := range script {
		f.live <- x
	}
	close(f.live)
	o.Now, o.Location = t0, time.UTC
	var out strings.Builder
	err := tui.Plain(t.Context(), f, o, &out)
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"), err
}

func TestPlainIsALineForEveryChange(t *testing.T) {
	f, live, _ := garden()
	same := api.Live{TS: ms(time.Second), Version: 7, Alarms: live.Alarms, Points: live.Points[:1]}
	warmer := api.Live{TS: ms(2 * time.Second), Version: 7, Alarms: live.Alarms, Points: []api.LivePoint{{ID: "south/air_temp", Value: ptr(18.5), TS: ms(2 * time.Second)}}}
	got, err := print(t, f, tui.Options{}, live, same, warmer, errLost, errLost, same)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"15:09:26 north        auto      air_temp 3.85 °C  air_rh 71.00 %  co2 1540 ppm  heating 20  fan off  heater ON  vent off  2 alarms",
		"15:09:26 propagation  manual    air_temp 21.40 °C  air_rh 64.00 % (held)  co2 410.0 ppm (suspect)  heating 20  fan off  heater off  vent 35%",
		"15:09:26 south        auto      air_temp 18.26 °C  air_rh 93.00 %  co2 655.0 ppm  heating 20/16  fan off  heater off  vent 10%",
		"15:09:28 south        auto      air_temp 18.50 °C  air_rh 93.00 %  co2 655.0 ppm  heating 20/16  fan off  heater off  vent 10%",
		"15:09:28 connection lost, trying again: the daemon closed the stream",
		"15:09:27 connected again",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if f.reads != 1 {
		t.Errorf("got %d readings of the records, want 1", f.reads)
	}
}

func TestPlainOfOneZone(t *testing.T) {
	f, live, _ := garden()
	got, err := print(t, f, tui.Options{Zone: "south"}, live)
	if err != nil || len(got) != 1 || !strings.Contains(got[0], "south") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPlainReadsAgainWhatFailed(t *testing.T) {
	f, live, _ := garden()
	f.down = errLost
	f.live = make(chan any)
	var out lockedBuffer
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tui.Plain(ctx, f, tui.Options{Now: t0, Location: time.UTC}, &out) }()
	f.live <- live
	f.live <- api.Live{TS: ms(0), Version: 7, Alarms: live.Alarms} // the first is done with
	f.mu.Lock()
	f.down = nil
	f.mu.Unlock()
	f.live <- api.Live{TS: ms(0), Version: 7, Alarms: live.Alarms}
	out.waitFor(t, "propagation")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPlainEndsWithARefusal(t *testing.T) {
	f, live, _ := garden()
	if _, err := print(t, f, tui.Options{}, live, greenhouse.Forbidden("token_expired", "the token has expired")); !errors.Is(err, greenhouse.ErrForbidden) {
		t.Errorf("got %v, want forbidden", err)
	}
}

// full is a disk with no room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errLost }

func TestPlainEndsWhenNobodyReads(t *testing.T) {
	f, live, _ := garden()
	f.live <- live
	if err := tui.Plain(t.Context(), f, tui.Options{}, full{}); !errors.Is(err, errLost) {
		t.Errorf("got %v, want the writer's error", err)
	}
}
