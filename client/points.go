package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"greenhouse"
	"greenhouse/api"
)

// PointFilter narrows a list of points; empty fields do not.
type PointFilter struct {
	Zone greenhouse.ZoneID
	Node greenhouse.UID
	Kind greenhouse.Kind
	Page
}

// Points lists points by id, with their latest values.
func (c *Client) Points(ctx context.Context, f PointFilter) (api.List[api.Point], error) {
	q := f.into(url.Values{})
	set(q, "zone", string(f.Zone))
	set(q, "node", string(f.Node))
	set(q, "kind", string(f.Kind))
	return get[api.List[api.Point]](ctx, c, api.PathPoints, q)
}

// Point returns one point with its latest value.
func (c *Client) Point(ctx context.Context, id greenhouse.PointID) (api.Point, error) {
	return get[api.Point](ctx, c, api.Path(api.PathPoint, string(id)), nil)
}

// EditPoint changes a point; patch marshals to a merge patch, e.g. an api.PointPatch.
func (c *Client) EditPoint(ctx context.Context, id greenhouse.PointID, patch any, w Write) (api.Point, error) {
	return send[api.Point](ctx, c, http.MethodPatch, api.Path(api.PathPoint, string(id)), patch, w)
}

// BindPoint binds a point to another channel.
func (c *Client) BindPoint(ctx context.Context, id greenhouse.PointID, r api.BindRequest, w Write) (api.Point, error) {
	return send[api.Point](ctx, c, http.MethodPost, api.Path(api.PathPointBind, string(id)), r, w)
}

// Span is a stretch of time in any form that api.ParseTime reads; the daemon
// reads it by its own clock and the site's time zone. From is inclusive, To
// exclusive. Empty: the last day, until now.
type Span struct {
	From, To string
}

func (s Span) into(q url.Values) url.Values {
	set(q, "from", s.From)
	set(q, "to", s.To)
	return q
}

// HistoryQuery asks for readings of one point.
type HistoryQuery struct {
	Span
	Step string // raw, 1m, 1h, 1d or auto; "": auto
	Page        // Limit 0: api.MaxSamples
}

// History returns readings of a point, with the losses recorded among them.
func (c *Client) History(ctx context.Context, id greenhouse.PointID, h HistoryQuery) (api.History, error) {
	q := h.Page.into(h.Span.into(url.Values{}))
	set(q, "step", h.Step)
	return get[api.History](ctx, c, api.Path(api.PathPointHistory, string(id)), q)
}

// Gaps lists the recorded losses of a point, or of all points where id is empty.
func (c *Client) Gaps(ctx context.Context, id greenhouse.PointID, s Span, p Page) (api.List[api.Gap], error) {
	path := api.PathGaps
	if id != "" {
		path = api.Path(api.PathPointGaps, string(id))
	}
	return get[api.List[api.Gap]](ctx, c, path, p.into(s.into(url.Values{})))
}

// Export streams readings of several points in a format of package api. The
// caller closes the stream; the context bounds it, Options.Timeout does not.
// Whether all of it came is known only when reading ends with io.EOF.
func (c *Client) Export(ctx context.Context, points []greenhouse.PointID, s Span, format string) (io.ReadCloser, error) {
	q := s.into(url.Values{})
	for _, p := range points {
		q.Add("point", string(p))
	}
	set(q, "format", format)
	return c.stream(ctx, request{method: http.MethodGet, path: api.PathExport, query: q, header: http.Header{"Accept": {"*/*"}}})
}

// Backup streams a snapshot of the registry. The caller closes the stream; it
// is whole only when reading ends with io.EOF.
func (c *Client) Backup(ctx context.Context) (io.ReadCloser, error) {
	return c.stream(ctx, request{method: http.MethodGet, path: api.PathBackup, header: http.Header{"Accept": {"*/*"}}})
}

func (c *Client) stream(ctx context.Context, r request) (io.ReadCloser, error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Why explains the level of an actuator, now or, with at in a form that
// api.ParseTime reads, then.
func (c *Client) Why(ctx context.Context, id greenhouse.PointID, at string) (api.Why, error) {
	q := url.Values{}
	set(q, "at", at)
	return get[api.Why](ctx, c, api.Path(api.PathPointWhy, string(id)), q)
}

// ZoneWhy explains the levels of all actuators of a zone, as Why does.
func (c *Client) ZoneWhy(ctx context.Context, id greenhouse.ZoneID, at string) (api.List[api.Why], error) {
	q := url.Values{}
	set(q, "at", at)
	return get[api.List[api.Why]](ctx, c, api.Path(api.PathZoneWhy, string(id)), q)
}

// WhyNot says what keeps an actuator from a level; nil means the other one than
// it has.
func (c *Client) WhyNot(ctx context.Context, id greenhouse.PointID, level *float64) (api.WhyNot, error) {
	q := url.Values{}
	if level != nil {
		q.Set("level", strconv.FormatFloat(*level, 'g', -1, 64))
	}
	return get[api.WhyNot](ctx, c, api.Path(api.PathPointWhyNot, string(id)), q)
}

// SetOverride sets an actuator by hand, for a time.
func (c *Client) SetOverride(ctx context.Context, id greenhouse.PointID, r api.OverrideRequest, w Write) (api.Override, error) {
	return send[api.Override](ctx, c, http.MethodPut, api.Path(api.PathPointOverride, string(id)), r, w)
}

// ReleaseOverride gives an actuator back to automation.
func (c *Client) ReleaseOverride(ctx context.Context, id greenhouse.PointID, w Write) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.Path(api.PathPointOverride, string(id)), nil, w)
	return err
}

// Overrides lists the levels set by hand.
func (c *Client) Overrides(ctx context.Context, p Page) (api.List[api.Override], error) {
	return get[api.List[api.Override]](ctx, c, api.PathOverrides, p.into(url.Values{}))
}
