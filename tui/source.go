package tui

import (
	"context"
	"iter"

	"greenhouse"
	"greenhouse/api"
	"greenhouse/client"
)

// Source is the daemon as the dashboard sees it. *client.Client is one. It is
// called from several goroutines at once.
type Source interface {
	Streams
	Lister
	Reader
	Actor
	Setter
}

// Streams are the two feeds. They yield an error where the connection is lost
// and go on if the caller does.
type Streams interface {
	WatchLive(ctx context.Context, q client.LiveQuery) iter.Seq2[api.Live, error]
	WatchEvents(ctx context.Context, since uint64) iter.Seq2[api.Event, error]
}

// Lister lists the records that the streams do not carry.
type Lister interface {
	Site(ctx context.Context) (api.Site, error)
	Zones(ctx context.Context, p client.Page) (api.List[api.Zone], error)
	Nodes(ctx context.Context, f client.NodeFilter) (api.List[api.Node], error)
	Alarms(ctx context.Context, all bool, p client.Page) (api.List[api.Alarm], error)
}

// Reader answers what the person asks about one thing.
type Reader interface {
	Status(ctx context.Context) (api.Status, error)
	History(ctx context.Context, id greenhouse.PointID, h client.HistoryQuery) (api.History, error)
	Why(ctx context.Context, id greenhouse.PointID, at string) (api.Why, error)
	WhyNot(ctx context.Context, id greenhouse.PointID, level *float64) (api.WhyNot, error)
}

// Actor does what an operator may: alarms and overrides.
type Actor interface {
	AckAlarm(ctx context.Context, id string, w client.Write) (api.Alarm, error)
	ShelveAlarm(ctx context.Context, id string, r api.ShelveRequest, w client.Write) (api.Alarm, error)
	SetOverride(ctx context.Context, id greenhouse.PointID, r api.OverrideRequest, w client.Write) (api.Override, error)
	ReleaseOverride(ctx context.Context, id greenhouse.PointID, w client.Write) error
}

// Setter changes what a zone is meant to do.
type Setter interface {
	SetTarget(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, r api.TargetRequest, w client.Write) (api.Zone, error)
	ClearTarget(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, w client.Write) (api.Zone, error)
	SetMode(ctx context.Context, id greenhouse.ZoneID, m greenhouse.Mode, w client.Write) (api.Zone, error)
}

var _ Source = (*client.Client)(nil)

// records is one reading of everything the streams do not carry.
type records struct {
	site   api.Site
	zones  []api.Zone
	nodes  []api.Node
	alarms []api.Alarm
}

// read gets all records, page by page.
func read(ctx context.Context, src Lister) (r records, err error) {
	if r.site, err = src.Site(ctx); err != nil {
		return records{}, err
	}
	if r.zones, err = collect(client.All(func(c string) (api.List[api.Zone], error) {
		return src.Zones(ctx, client.Page{Cursor: c, Limit: api.MaxLimit})
	})); err != nil {
		return records{}, err
	}
	if r.nodes, err = collect(client.All(func(c string) (api.List[api.Node], error) {
		return src.Nodes(ctx, client.NodeFilter{Page: client.Page{Cursor: c, Limit: api.MaxLimit}})
	})); err != nil {
		return records{}, err
	}
	if r.alarms, err = collect(client.All(func(c string) (api.List[api.Alarm], error) {
		return src.Alarms(ctx, false, client.Page{Cursor: c, Limit: api.MaxLimit})
	})); err != nil {
		return records{}, err
	}
	return r, nil
}

func collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var out []T
	for it, err := range items {
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	return out, nil
}
