package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"greenhouse"
	"greenhouse/api"
)

// All walks the pages of a list: fetch gets the page behind a cursor, "" first.
// It ends after the first error, which it yields.
func All[T any](fetch func(cursor string) (api.List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			page, err := fetch(cursor)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" || page.Next == cursor {
				return
			}
			cursor = page.Next
		}
	}
}

// Version says what the daemon is.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	return get[api.Version](ctx, c, api.PathVersion, nil)
}

// Ready asks whether the daemon accepts nodes; one that does not answers with
// an error of kind greenhouse.ErrUnavailable.
func (c *Client) Ready(ctx context.Context) (api.Health, error) {
	return get[api.Health](ctx, c, api.PathReady, nil)
}

// Healthz asks whether the daemon lives.
func (c *Client) Healthz(ctx context.Context) (api.Health, error) {
	return get[api.Health](ctx, c, api.PathHealthz, nil)
}

// Status returns the site at a glance.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return get[api.Status](ctx, c, api.PathStatus, nil)
}

// Doctor runs the checks of the installation.
func (c *Client) Doctor(ctx context.Context) (api.Doctor, error) {
	return get[api.Doctor](ctx, c, api.PathDoctor, nil)
}

// Config returns the configuration in force.
func (c *Client) Config(ctx context.Context) (api.Config, error) {
	return get[api.Config](ctx, c, api.PathConfig, nil)
}

// Site returns the site.
func (c *Client) Site(ctx context.Context) (api.Site, error) {
	return get[api.Site](ctx, c, api.PathSite, nil)
}

// EditSite changes the site; patch marshals to a JSON merge patch, e.g. an
// api.SitePatch.
func (c *Client) EditSite(ctx context.Context, patch any, w Write) (api.Site, error) {
	return send[api.Site](ctx, c, http.MethodPatch, api.PathSite, patch, w)
}

// NodeFilter narrows a list of nodes; empty fields do not.
type NodeFilter struct {
	Zone  greenhouse.ZoneID
	Type  greenhouse.NodeType
	State greenhouse.NodeState
	Page
}

// Nodes lists nodes by uid.
func (c *Client) Nodes(ctx context.Context, f NodeFilter) (api.List[api.Node], error) {
	q := f.into(url.Values{})
	set(q, "zone", string(f.Zone))
	set(q, "type", string(f.Type))
	set(q, "state", string(f.State))
	return get[api.List[api.Node]](ctx, c, api.PathNodes, q)
}

// Node returns one node.
func (c *Client) Node(ctx context.Context, uid greenhouse.UID) (api.Node, error) {
	return get[api.Node](ctx, c, api.Path(api.PathNode, string(uid)), nil)
}

// RegisterNode registers a node, or returns the one with that hardware id,
// then without a secret.
func (c *Client) RegisterNode(ctx context.Context, r api.RegisterRequest, w Write) (api.Registered, error) {
	return send[api.Registered](ctx, c, http.MethodPost, api.PathNodes, r, w)
}

// EditNode changes a node; patch marshals to a merge patch, e.g. an api.NodePatch.
func (c *Client) EditNode(ctx context.Context, uid greenhouse.UID, patch any, w Write) (api.Node, error) {
	return send[api.Node](ctx, c, http.MethodPatch, api.Path(api.PathNode, string(uid)), patch, w)
}

// EditChannel changes or calibrates a channel; patch marshals to a merge patch,
// e.g. an api.ChannelPatch.
func (c *Client) EditChannel(ctx context.Context, uid greenhouse.UID, ch greenhouse.ChannelName, patch any, w Write) (api.Node, error) {
	return send[api.Node](ctx, c, http.MethodPatch, api.Path(api.PathNodeChannel, string(uid), string(ch)), patch, w)
}

// AssignNode puts a node into a zone.
func (c *Client) AssignNode(ctx context.Context, uid greenhouse.UID, zone greenhouse.ZoneID, w Write) (api.Node, error) {
	return send[api.Node](ctx, c, http.MethodPost, api.Path(api.PathNodeAssign, string(uid)), api.AssignRequest{Zone: zone}, w)
}

// UnassignNode takes a node out of its zone.
func (c *Client) UnassignNode(ctx context.Context, uid greenhouse.UID, w Write) (api.Node, error) {
	return send[api.Node](ctx, c, http.MethodPost, api.Path(api.PathNodeUnassign, string(uid)), nil, w)
}

// SwapNode lets another node take over the points of uid, or undoes that.
func (c *Client) SwapNode(ctx context.Context, uid greenhouse.UID, r api.SwapRequest, w Write) (api.Swapped, error) {
	return send[api.Swapped](ctx, c, http.MethodPost, api.Path(api.PathNodeSwap, string(uid)), r, w)
}

// RotateKey gives a node a new secret and closes its session.
func (c *Client) RotateKey(ctx context.Context, uid greenhouse.UID, w Write) (api.NewSecret, error) {
	return send[api.NewSecret](ctx, c, http.MethodPost, api.Path(api.PathNodeRotateKey, string(uid)), nil, w)
}

// DecommissionNode retires a node for ever.
func (c *Client) DecommissionNode(ctx context.Context, uid greenhouse.UID, w Write) (api.Node, error) {
	return send[api.Node](ctx, c, http.MethodPost, api.Path(api.PathNodeDecommission, string(uid)), nil, w)
}

// SetMaintenance sets a node aside, or takes it back.
func (c *Client) SetMaintenance(ctx context.Context, uid greenhouse.UID, on bool, w Write) (api.Node, error) {
	return send[api.Node](ctx, c, http.MethodPost, api.Path(api.PathNodeMaintenance, string(uid)), api.MaintenanceRequest{On: on}, w)
}

// NodeConfig returns the desired configuration of a node and the reported one.
func (c *Client) NodeConfig(ctx context.Context, uid greenhouse.UID) (api.NodeConfig, error) {
	return get[api.NodeConfig](ctx, c, api.Path(api.PathNodeConfig, string(uid)), nil)
}

// ConfigHistory lists the revisions of a node's configuration that are kept,
// newest first.
func (c *Client) ConfigHistory(ctx context.Context, uid greenhouse.UID, p Page) (api.List[api.ConfigRevision], error) {
	return get[api.List[api.ConfigRevision]](ctx, c, api.Path(api.PathConfigHistory, string(uid)), p.into(url.Values{}))
}

// RollBackConfig brings an earlier configuration of a node back, as a new revision.
func (c *Client) RollBackConfig(ctx context.Context, uid greenhouse.UID, rev uint64, w Write) (api.Node, error) {
	return send[api.Node](ctx, c, http.MethodPost, api.Path(api.PathConfigRollback, string(uid)), api.RollBackRequest{Rev: rev}, w)
}

// Calibration returns what calibrating a channel needs, and the calibrations
// there were.
func (c *Client) Calibration(ctx context.Context, uid greenhouse.UID, ch greenhouse.ChannelName) (api.ChannelCal, error) {
	return get[api.ChannelCal](ctx, c, api.Path(api.PathCalibration, string(uid), string(ch)), nil)
}

// Calibrate calibrates a sensor.
func (c *Client) Calibrate(ctx context.Context, uid greenhouse.UID, ch greenhouse.ChannelName, r api.CalibrationRequest, w Write) (api.Calibration, error) {
	return send[api.Calibration](ctx, c, http.MethodPost, api.Path(api.PathCalibration, string(uid), string(ch)), r, w)
}

// SendCommand asks one thing of a node; Command tells later what became of it.
func (c *Client) SendCommand(ctx context.Context, uid greenhouse.UID, r api.CommandRequest, w Write) (api.Command, error) {
	return send[api.Command](ctx, c, http.MethodPost, api.Path(api.PathNodeCommands, string(uid)), r, w)
}

// CommandFilter narrows a list of commands; empty fields do not.
type CommandFilter struct {
	Node greenhouse.UID
	Open bool // only those not finished
	Page
}

// Commands lists commands, newest first.
func (c *Client) Commands(ctx context.Context, f CommandFilter) (api.List[api.Command], error) {
	q := f.into(url.Values{})
	set(q, "node", string(f.Node))
	if f.Open {
		q.Set("open", "true")
	}
	return get[api.List[api.Command]](ctx, c, api.PathCommands, q)
}

// Command returns one command.
func (c *Client) Command(ctx context.Context, id greenhouse.CommandID) (api.Command, error) {
	return get[api.Command](ctx, c, api.Path(api.PathCommand, string(id)), nil)
}

// Pending lists the devices that knock and are not let in.
func (c *Client) Pending(ctx context.Context, p Page) (api.List[api.Pending], error) {
	return get[api.List[api.Pending]](ctx, c, api.PathPending, p.into(url.Values{}))
}

// Adopt takes a pending device in, or accepts undeclared channels of a node.
func (c *Client) Adopt(ctx context.Context, id string, r api.AdoptRequest, w Write) (api.Registered, error) {
	return send[api.Registered](ctx, c, http.MethodPost, api.Path(api.PathPendingAdopt, id), r, w)
}

// ForgetPending takes a pending device off the list.
func (c *Client) ForgetPending(ctx context.Context, id string, w Write) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.Path(api.PathPendingDevice, id), nil, w)
	return err
}

// Pairing says whether devices may join.
func (c *Client) Pairing(ctx context.Context) (api.Pairing, error) {
	return get[api.Pairing](ctx, c, api.PathPairing, nil)
}

// OpenPairing opens pairing and returns the join token.
func (c *Client) OpenPairing(ctx context.Context, r api.PairRequest, w Write) (api.Pairing, error) {
	return send[api.Pairing](ctx, c, http.MethodPost, api.PathPairing, r, w)
}

// ClosePairing closes pairing.
func (c *Client) ClosePairing(ctx context.Context, w Write) (api.Pairing, error) {
	return send[api.Pairing](ctx, c, http.MethodDelete, api.PathPairing, nil, w)
}

// Zones lists zones by id.
func (c *Client) Zones(ctx context.Context, p Page) (api.List[api.Zone], error) {
	return get[api.List[api.Zone]](ctx, c, api.PathZones, p.into(url.Values{}))
}

// Zone returns one zone.
func (c *Client) Zone(ctx context.Context, id greenhouse.ZoneID) (api.Zone, error) {
	return get[api.Zone](ctx, c, api.Path(api.PathZone, string(id)), nil)
}

// CreateZone creates a zone.
func (c *Client) CreateZone(ctx context.Context, r api.CreateZoneRequest, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPost, api.PathZones, r, w)
}

// EditZone changes a zone; patch marshals to a merge patch, e.g. an api.ZonePatch.
func (c *Client) EditZone(ctx context.Context, id greenhouse.ZoneID, patch any, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPatch, api.Path(api.PathZone, string(id)), patch, w)
}

// DeleteZone deletes a zone that has no points bound to nodes.
func (c *Client) DeleteZone(ctx context.Context, id greenhouse.ZoneID, w Write) error {
	_, err := send[api.Done](ctx, c, http.MethodDelete, api.Path(api.PathZone, string(id)), nil, w)
	return err
}

// SetTarget sets one target of a zone.
func (c *Client) SetTarget(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, r api.TargetRequest, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPut, api.Path(api.PathZoneTarget, string(id), string(q)), r, w)
}

// ClearTarget removes one target of a zone.
func (c *Client) ClearTarget(ctx context.Context, id greenhouse.ZoneID, q greenhouse.Quantity, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodDelete, api.Path(api.PathZoneTarget, string(id), string(q)), nil, w)
}

// SetMode sets the mode of a zone.
func (c *Client) SetMode(ctx context.Context, id greenhouse.ZoneID, m greenhouse.Mode, w Write) (api.Zone, error) {
	return send[api.Zone](ctx, c, http.MethodPut, api.Path(api.PathZoneMode, string(id)), api.ModeRequest{Mode: m}, w)
}

// Stop stops a zone, or the site where the zone is empty, until [Client.Resume].
func (c *Client) Stop(ctx context.Context, r api.StopRequest, w Write) (api.Stopped, error) {
	return send[api.Stopped](ctx, c, http.MethodPost, api.PathStop, r, w)
}

// Resume releases an emergency stop of a zone, or of the site.
func (c *Client) Resume(ctx context.Context, r api.StopRequest, w Write) (api.Stopped, error) {
	return send[api.Stopped](ctx, c, http.MethodPost, api.PathResume, r, w)
}

// Events lists events after the number since.
func (c *Client) Events(ctx context.Context, since uint64, limit int) (api.List[api.Event], error) {
	q := url.Values{"since": {strconv.FormatUint(since, 10)}}
	setInt(q, "limit", limit)
	return get[api.List[api.Event]](ctx, c, api.PathEvents, q)
}

// Alarms lists open alarms, or all.
func (c *Client) Alarms(ctx context.Context, all bool, p Page) (api.List[api.Alarm], error) {
	q := p.into(url.Values{})
	if all {
		q.Set("all", "true")
	}
	return get[api.List[api.Alarm]](ctx, c, api.PathAlarms, q)
}

// Alarm returns one alarm.
func (c *Client) Alarm(ctx context.Context, id string) (api.Alarm, error) {
	return get[api.Alarm](ctx, c, api.Path(api.PathAlarm, id), nil)
}

// AckAlarm acknowledges an alarm.
func (c *Client) AckAlarm(ctx context.Context, id string, w Write) (api.Alarm, error) {
	return send[api.Alarm](ctx, c, http.MethodPost, api.Path(api.PathAlarmAck, id), nil, w)
}

// ShelveAlarm hides an alarm for a time.
func (c *Client) ShelveAlarm(ctx context.Context, id string, r api.ShelveRequest, w Write) (api.Alarm, error) {
	return send[api.Alarm](ctx, c, http.MethodPost, api.Path(api.PathAlarmShelve, id), r, w)
}
