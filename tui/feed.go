package tui

import (
	"context"
	"errors"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"greenhouse/api"
	"greenhouse/client"
)

const (
	framesMost   = 20                     // a second; the program wakes for each, changed or not: 60 take over 1 % of a core for nothing
	eventQueue   = 256                    // events on their way to the program; then the stream waits
	eventPause   = 100 * time.Millisecond // between two batches of events
	feedPause    = 5 * time.Second        // before a stream that gave up is opened again
	eventsBefore = 50                     // events shown from before the dashboard opened
)

// Run shows the dashboard until the person leaves it or ctx ends, and leaves
// the terminal as it was. Extra options go to the program, e.g. another input.
func Run(ctx context.Context, src Source, o Options, extra ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	p := tea.NewProgram(New(ctx, src, o), append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithFPS(framesMost)}, extra...)...)
	var feeds sync.WaitGroup
	feeds.Go(func() { feed(ctx, src, p.Send) })
	_, err := p.Run()
	cancel()
	feeds.Wait()
	if errors.Is(err, tea.ErrInterrupted) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// feed sends both streams until ctx ends.
func feed(ctx context.Context, src Source, send func(tea.Msg)) {
	var both sync.WaitGroup
	both.Go(func() { feedLive(ctx, src, send) })
	both.Go(func() { feedEvents(ctx, src, send) })
	both.Wait()
}

// feedLive sends the live stream. The client reconnects; where it gave up
// because it was refused, the stream is opened anew, for refusals end too.
func feedLive(ctx context.Context, src Streams, send func(tea.Msg)) {
	for ctx.Err() == nil {
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
		sleep(ctx, feedPause)
	}
}

// feedEvents sends the last events and every one from now on, in batches.
func feedEvents(ctx context.Context, src Source, send func(tea.Msg)) {
	queue := make(chan api.Event, eventQueue)
	var reader sync.WaitGroup
	reader.Go(func() { queueEvents(ctx, src, queue) })
	defer reader.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-queue:
			send(eventsMsg(drain(queue, e)))
		}
		sleep(ctx, eventPause)
	}
}

func drain(queue <-chan api.Event, first api.Event) []api.Event {
	batch := []api.Event{first}
	for {
		select {
		case e := <-queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
}

// queueEvents follows the events; a full queue holds the stream back.
func queueEvents(ctx context.Context, src Source, queue chan<- api.Event) {
	var since uint64
	for ctx.Err() == nil {
		st, err := src.Status(ctx)
		if err == nil {
			since = st.LastEvent - min(st.LastEvent, eventsBefore)
			break
		}
		sleep(ctx, feedPause)
	}
	for ctx.Err() == nil {
		for e, err := range src.WatchEvents(ctx, since) {
			if err != nil {
				continue // the live stream tells of lost connections
			}
			since = e.Seq
			select {
			case queue <- e:
			case <-ctx.Done():
				return
			}
		}
		sleep(ctx, feedPause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
