package sim

import (
	"context"
	"time"
)

// Run lets simulated time pass, speed simulated seconds for each real one, until
// ctx ends. It is the one to call Advance while it runs. A pause of the machine
// is not made up for: at most a second of real time passes at once.
func (w *World) Run(ctx context.Context, speed float64) {
	const beat, most = 50 * time.Millisecond, time.Second
	tick := time.NewTicker(beat)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			now := time.Now()
			w.Advance(time.Duration(speed * float64(min(now.Sub(last), most))))
			last = now
		}
	}
}
