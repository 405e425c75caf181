package client

import (
	"context"
	"net/http"
	"net/url"

	"greenhouse"
	"greenhouse/api"
)

// ZonePlan returns what the set-points of a zone do on a date, in any form that
// api.ParseTime reads; "" is today.
func (c *Client) ZonePlan(ctx context.Context, id greenhouse.ZoneID, date string) (api.ZonePlan, error) {
	q := url.Values{}
	set(q, "date", date)
	return get[api.ZonePlan](ctx, c, api.Path(api.PathZonePlan, string(id)), q)
}

// SetCurve gives a set-point of a zone a curve over the day.
func (c *Client) SetCurve(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, knots greenhouse.Curve, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPut, api.Path(api.PathZoneCurve, string(id), string(q)), api.CurveRequest{Knots: knots}, w)
}

// ClearCurve takes its curve from a set-point of a zone.
func (c *Client) ClearCurve(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodDelete, api.Path(api.PathZoneCurve, string(id), string(q)), nil, w)
}

// Adjust offsets or holds a set-point of a zone, for a time.
func (c *Client) Adjust(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, r api.AdjustRequest, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPut, api.Path(api.PathZoneAdjust, string(id), string(q)), r, w)
}

// EndAdjustment ends the offset and the hold of a set-point of a zone.
func (c *Client) EndAdjustment(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodDelete, api.Path(api.PathZoneAdjust, string(id), string(q)), nil, w)
}
