package store

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"greenhouse"
)

// maxCalibrations is how many calibrations of a channel are kept, the newest.
const maxCalibrations = 20

// CalRecord is one calibration of one channel: of the probe, wherever it sits.
type CalRecord struct {
	Node    greenhouse.UID         `json:"node"`
	Channel greenhouse.ChannelName `json:"channel"`
	Point   greenhouse.PointID     `json:"point"` // what it was bound to then
	greenhouse.CalMark
	greenhouse.Calibration
	Points []greenhouse.CalPoint    `json:"points,omitempty"`
	Comp   *greenhouse.Compensation `json:"comp,omitempty"`
	Edge   bool                     `json:"edge,omitempty"` // applied by the daemon, for the node cannot
	Note   string                   `json:"note,omitempty"`
}

// CalRequest is a calibration to be made. Points or Linear, or Comp alone.
type CalRequest struct {
	Points    []greenhouse.CalPoint
	Linear    *greenhouse.Linear       // as somebody worked it out
	Comp      *greenhouse.Compensation // nil leaves what is there; PerK 0 takes it away
	Edge      *bool                    // nil leaves what is there
	EveryDays *int                     // until it is due again; nil: as the policy of the point says; 0: never
	Note      string
}

// Calibrate calibrates a sensor of a node: the fit is judged, goes into the
// node's configuration or is applied here, is kept as a record, and whatever
// waited for it no longer does. ifVersion is as for [Tx.EditNode].
func (tx *Tx) Calibrate(uid greenhouse.UID, channel greenhouse.ChannelName, req CalRequest, ifVersion uint64) (CalRecord, greenhouse.Node, error) {
	old, err := tx.editable(uid, ifVersion)
	if err != nil {
		return CalRecord{}, greenhouse.Node{}, err
	}
	n := cloneNode(old)
	c, ok := n.Channel(channel)
	switch {
	case !ok:
		return CalRecord{}, greenhouse.Node{}, greenhouse.NotFound("channel", string(channel)).WithHint("`greenctl node get %s` shows its channels", uid)
	case c.Kind != greenhouse.Sensor:
		return CalRecord{}, greenhouse.Node{}, greenhouse.Invalid("cal_actuator", "%s drives something: only what measures is calibrated", channel)
	}
	cal, err := req.fit(c)
	if err != nil {
		return CalRecord{}, greenhouse.Node{}, err
	}
	c.Cal = &cal.Linear
	if cal.Linear == (greenhouse.Linear{Gain: 1}) {
		c.Cal = nil
	}
	if req.Edge != nil {
		c.CalEdge = *req.Edge
	}
	if req.Comp != nil {
		if c.Comp = req.Comp; req.Comp.PerK == 0 {
			c.Comp = nil
		}
	}
	if err := firstError(checkNode(n), checkComp(n, c), checkText("note", req.Note, 256)); err != nil {
		return CalRecord{}, greenhouse.Node{}, err
	}
	record := tx.calRecord(n, c, cal, req)
	if err := tx.putCalibration(n, c, record); err != nil {
		return CalRecord{}, greenhouse.Node{}, err
	}
	saved, err := tx.edited(n)
	return record, saved, err
}

// fit works the calibration out.
func (req *CalRequest) fit(c *greenhouse.Channel) (greenhouse.Calibration, error) {
	standing := greenhouse.Calibration{Method: greenhouse.CalDirect, Linear: greenhouse.Linear{Gain: 1}}
	if c.Cal != nil {
		standing.Linear = *c.Cal
	}
	switch {
	case len(req.Points) > 0 && req.Linear != nil:
		return standing, greenhouse.Invalid("cal_twice", "a calibration is given by points, or by gain and offset")
	case len(req.Points) > 8:
		return standing, greenhouse.Invalid("cal_points_many", "%d points are more than 8", len(req.Points))
	case len(req.Points) > 0:
		return greenhouse.Calibrate(c.Name, req.Points)
	case req.Linear != nil:
		standing.Linear = *req.Linear
		return standing, nil
	case req.Comp == nil:
		return standing, greenhouse.Invalid("cal_points_missing", "a calibration needs at least one point").WithHint("--point raw=reference")
	}
	return standing, nil
}

// checkComp checks a temperature compensation of a channel of n.
func checkComp(n *greenhouse.Node, c *greenhouse.Channel) error {
	if c.Comp == nil {
		return nil
	}
	if t, ok := n.Channel(c.Comp.Channel); !ok || t.Kind != greenhouse.Sensor || t.Name == c.Name {
		return greenhouse.Invalid("comp_channel_invalid", "node %s has no other sensor %q to compensate %s with", n.UID, c.Comp.Channel, c.Name)
	}
	return firstError(checkNumber("comp.per_k", c.Comp.PerK, -0.1, 0.1), checkNumber("comp.ref_c", c.Comp.RefC, 0, 50))
}

// calRecord makes the record of a calibration and marks the channel with it.
func (tx *Tx) calRecord(n *greenhouse.Node, c *greenhouse.Channel, cal greenhouse.Calibration, req CalRequest) CalRecord {
	at := greenhouse.MillisOf(tx.at)
	days := tx.reg.CalPolicy(c.Point).EveryDays
	if req.EveryDays != nil {
		days = *req.EveryDays
	}
	mark := greenhouse.CalMark{Version: 1, At: at, By: cmp.Or(tx.actor, "edged"), Method: cal.Method}
	if c.Calibrated != nil {
		mark.Version = c.Calibrated.Version + 1
	}
	if days > 0 {
		mark.DueAt = at.Add(time.Duration(days) * 24 * time.Hour)
	}
	c.Calibrated = &mark
	return CalRecord{Node: n.UID, Channel: c.Name, Point: c.Point, CalMark: mark, Calibration: cal, Points: req.Points, Comp: c.Comp, Edge: c.CalEdge, Note: req.Note}
}

// noteCal records the calibrations that an edit changed by itself, as one in which
// somebody wrote gain and offset, or brought an earlier configuration back.
func (tx *Tx) noteCal(old, n *greenhouse.Node) error {
	for i := range n.Channels {
		c := &n.Channels[i]
		was, ok := old.Channel(c.Name)
		if !ok || c.Kind != greenhouse.Sensor || sameRecord(was.Cal, c.Cal) {
			continue
		}
		cal := greenhouse.Calibration{Method: greenhouse.CalDirect, Linear: greenhouse.Linear{Gain: 1}}
		if c.Cal != nil {
			cal.Linear = *c.Cal
		}
		req := CalRequest{}
		if tx.rollback != 0 {
			req.Note = fmt.Sprintf("with revision %d of the configuration", tx.rollback)
		}
		if err := tx.putCalibration(n, c, tx.calRecord(n, c, cal, req)); err != nil {
			return err
		}
	}
	return nil
}

// calKey is the key of a calibration; those of a channel lie side by side.
func calKey(n *greenhouse.Node, c greenhouse.ChannelName, version uint64) []byte {
	return binary.BigEndian.AppendUint64(calPrefix(n, c), version)
}

func calPrefix(n *greenhouse.Node, c greenhouse.ChannelName) []byte {
	return append(append(append([]byte(n.HardwareID), 0), c...), 0)
}

// putCalibration keeps a record, drops the oldest beyond the bound, and notes that
// the point waits no longer.
func (tx *Tx) putCalibration(n *greenhouse.Node, c *greenhouse.Channel, r CalRecord) error {
	content, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode calibration of %s %s: %w", n.UID, c.Name, err)
	}
	if err := tx.put(bucketCalibrations, calKey(n, c.Name, r.Version), content); err != nil {
		return err
	}
	if r.Version > maxCalibrations {
		if err := tx.delete(bucketCalibrations, calKey(n, c.Name, r.Version-maxCalibrations)); err != nil {
			return err
		}
	}
	return tx.MarkCalibrated(c.Point)
}

// Calibrations returns the calibrations of a channel that are kept, newest first.
func (tx *Tx) Calibrations(uid greenhouse.UID, channel greenhouse.ChannelName) ([]CalRecord, error) {
	n, err := tx.reg.ruleKnown(uid)
	if err != nil {
		return nil, err
	}
	list := []CalRecord{}
	prefix := calPrefix(n, channel)
	var bad error
	tx.scan(bucketCalibrations, prefix, false, func(k, content []byte) bool {
		if len(k) != len(prefix)+8 || string(k[:len(prefix)]) != string(prefix) {
			return false
		}
		var r CalRecord
		if bad = json.Unmarshal(content, &r); bad != nil {
			return false
		}
		list = append(list, r)
		return true
	})
	if bad != nil {
		return nil, fmt.Errorf("decode calibration of %s %s: %w", uid, channel, bad)
	}
	slices.Reverse(list)
	return list, nil
}

// CalPolicy returns what a point asks of the sensor behind it: its own policy,
// else that of its name.
func (r *Registry) CalPolicy(id greenhouse.PointID) greenhouse.CalPolicy {
	if p, ok := r.Points[id]; ok {
		if p.Calibration != nil {
			return *p.Calibration
		}
		return greenhouse.DefaultCalPolicy(p.Name)
	}
	return greenhouse.DefaultCalPolicy(id.Name())
}

// CalState says how the calibration of a point stands.
type CalState struct {
	Policy   greenhouse.CalPolicy
	Required greenhouse.Millis   // since when new hardware waits for one; 0: it does not
	Last     *greenhouse.CalMark // of the probe there now, nil for none
}

// Due reports whether the last calibration is too old at now.
func (s CalState) Due(now greenhouse.Millis) bool {
	return s.Last != nil && s.Last.DueAt != 0 && s.Last.DueAt <= now
}

// CalState returns how the calibration of a point stands.
func (r *Registry) CalState(p *greenhouse.Point) CalState {
	s := CalState{Policy: r.CalPolicy(p.ID), Required: r.Uncalibrated[p.ID]}
	if n, ok := r.Nodes[p.Node]; ok {
		if c, ok := n.Channel(p.Channel); ok {
			s.Last = c.Calibrated
		}
	}
	return s
}

// newProbe notes that another sensor sits behind a point: where the policy asks for
// it and the probe brings no calibration that is still good, the point waits.
func (tx *Tx) newProbe(c *greenhouse.Channel, id greenhouse.PointID) error {
	good := c.Calibrated != nil && (c.Calibrated.DueAt == 0 || c.Calibrated.DueAt > greenhouse.MillisOf(tx.at))
	if c.Kind != greenhouse.Sensor || good || !tx.reg.CalPolicy(id).Required {
		return tx.MarkCalibrated(id)
	}
	return tx.markUncalibrated(id)
}
