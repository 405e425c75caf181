package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"greenhouse"
)

// savePoint stores a point of a zone; each save is a new version.
func (tx *Tx) savePoint(p *greenhouse.Point) error {
	p.Version++
	p.UpdatedAt = greenhouse.MillisOf(tx.at)
	if err := tx.putJSON(bucketPoints, string(p.ID), p); err != nil {
		return err
	}
	tx.setPoint(p)
	return nil
}

// Point returns a copy of a point; @uid/channel and a node's diagnostics are points too.
func (tx *Tx) Point(id greenhouse.PointID) (greenhouse.Point, error) {
	p, ok := tx.reg.Point(id)
	if !ok {
		return greenhouse.Point{}, noPoint(id)
	}
	return *clonePoint(p), nil
}

// noPoint is the error for a point that does not exist.
func noPoint(id greenhouse.PointID) error {
	return greenhouse.NotFound("point", string(id)).WithHint("`greenctl point list` shows the points there are")
}

// Points returns copies of the points in Registry.Points in the order of their ids.
func (tx *Tx) Points() []greenhouse.Point {
	points := make([]greenhouse.Point, 0, len(tx.reg.Points))
	for _, p := range tx.reg.Points {
		points = append(points, *clonePoint(p))
	}
	slices.SortFunc(points, func(a, b greenhouse.Point) int { return cmp.Compare(a.ID, b.ID) })
	return points
}

// EditPoint changes unit, plausible range, class or safe level of a point of a
// zone by fn, which gets a copy; the node bound to it learns of its class and
// safe level through its configuration. ifVersion is as for [Tx.EditNode].
// Points @uid/channel are not edited: their node is.
func (tx *Tx) EditPoint(id greenhouse.PointID, ifVersion uint64, fn func(*greenhouse.Point) error) (greenhouse.Point, error) {
	old, ok := tx.reg.Point(id)
	if !ok {
		return greenhouse.Point{}, noPoint(id)
	}
	if old.Zone == "" {
		return greenhouse.Point{}, greenhouse.Invalid("point_implicit", "point %s belongs to a node in no zone and is not edited", id).
			WithHint("edit the channel: `greenctl node edit %s`, or assign the node to a zone", old.Node)
	}
	if err := stale("point", string(id), ifVersion, old.Version, *clonePoint(old)); err != nil {
		return greenhouse.Point{}, err
	}
	p := clonePoint(old)
	if err := fn(p); err != nil {
		return greenhouse.Point{}, err
	}
	if p.ID != old.ID || p.Zone != old.Zone || p.Name != old.Name || p.Kind != old.Kind || p.Node != old.Node || p.Channel != old.Channel {
		return greenhouse.Point{}, greenhouse.Invalid("point_fixed", "id, zone, name, kind and binding of point %s are not edited", id)
	}
	p.Meta = old.Meta
	if err := checkPoint(p); err != nil {
		return greenhouse.Point{}, err
	}
	if sameRecord(old, p) {
		return *p, nil
	}
	if err := tx.savePoint(p); err != nil {
		return greenhouse.Point{}, err
	}
	return *clonePoint(p), tx.pushToChannel(p)
}

// pushToChannel takes class and safe level of a point over to the channel bound to it.
func (tx *Tx) pushToChannel(p *greenhouse.Point) error {
	old, ok := tx.reg.Nodes[p.Node]
	if !ok || p.Kind != greenhouse.Actuator {
		return nil
	}
	n := cloneNode(old)
	c, ok := n.Channel(p.Channel)
	if !ok || c.Class == p.Class && c.Safe == p.Safe {
		return nil
	}
	c.Class, c.Safe = p.Class, p.Safe
	return tx.saveEdit(n)
}

// DeletePoint removes a point of a zone that no node holds, and its override.
// Its history stays until it is too old.
func (tx *Tx) DeletePoint(id greenhouse.PointID) error {
	p, ok := tx.reg.Points[id]
	if !ok || p.Zone == "" {
		return noPoint(id)
	}
	if err := ruleOneHolder(p, ""); err != nil {
		return err
	}
	if _, err := tx.ReleaseOverride(id); err != nil {
		return err
	}
	if err := tx.MarkCalibrated(id); err != nil {
		return err
	}
	if err := tx.delete(bucketPoints, []byte(id)); err != nil {
		return err
	}
	tx.dropPoint(p)
	return nil
}

// markUncalibrated notes that a sensor's point has new hardware behind it.
func (tx *Tx) markUncalibrated(id greenhouse.PointID) error {
	at := greenhouse.MillisOf(tx.at)
	if err := tx.put(bucketUncal, []byte(id), binary.BigEndian.AppendUint64(nil, uint64(at))); err != nil {
		return err
	}
	own(tx, "uncalibrated", &tx.reg.Uncalibrated)[id] = at
	return nil
}

// MarkCalibrated notes that a point has been calibrated after a swap.
func (tx *Tx) MarkCalibrated(id greenhouse.PointID) error {
	if _, ok := tx.reg.Uncalibrated[id]; !ok {
		return nil
	}
	if err := tx.delete(bucketUncal, []byte(id)); err != nil {
		return err
	}
	delete(own(tx, "uncalibrated", &tx.reg.Uncalibrated), id)
	return nil
}

// maxOverride and defaultOverride bound how long a person's override stands.
const (
	maxOverrideHours     = 24
	defaultOverrideHours = 2
)

// SetOverride sets a level by hand; it replaces the one before. ExpiresAt 0
// means in 2 h, and more than 24 h becomes 24 h: look at the result. The point
// must be an actuator; a dosing pump can be held at 0 only.
func (tx *Tx) SetOverride(o greenhouse.Override) (greenhouse.Override, error) {
	p, ok := tx.reg.Points[o.Point]
	if !ok {
		return o, noPoint(o.Point)
	}
	if p.Kind != greenhouse.Actuator {
		return o, greenhouse.Invalid("override_sensor", "point %s is a sensor and cannot be overridden", o.Point)
	}
	if err := firstError(checkNumber("value", o.Value, 0, 1), checkText("reason", o.Reason, 512), checkText("by", o.By, 128)); err != nil {
		return o, err
	}
	if p.Class.Spec().OneShot && o.Value != 0 {
		return o, greenhouse.Invalid("override_one_shot", "point %s gives bounded doses and is never held on", o.Point).
			WithHint("send a pulse: `greenctl node command`")
	}
	now := greenhouse.MillisOf(tx.at)
	const hour = 3600 * 1000
	o.CreatedAt = now
	if o.ExpiresAt == 0 {
		o.ExpiresAt = now + defaultOverrideHours*hour
	}
	if o.ExpiresAt <= now {
		return o, greenhouse.Invalid("override_expired", "the override of %s would end before it begins", o.Point)
	}
	o.ExpiresAt = min(o.ExpiresAt, now+maxOverrideHours*hour)
	o.Reason = strings.TrimSpace(o.Reason)
	if err := errors.Join(tx.putJSON(bucketOverrides, string(o.Point), o), tx.touchPoint(p)); err != nil {
		return o, err
	}
	stored := o
	own(tx, "overrides", &tx.reg.Overrides)[o.Point] = &stored
	return o, nil
}

// ReleaseOverride ends the override of a point and reports whether there was one.
func (tx *Tx) ReleaseOverride(id greenhouse.PointID) (bool, error) {
	if _, ok := tx.reg.Overrides[id]; !ok {
		return false, tx.writable()
	}
	if err := tx.delete(bucketOverrides, []byte(id)); err != nil {
		return false, err
	}
	delete(own(tx, "overrides", &tx.reg.Overrides), id)
	if p, ok := tx.reg.Points[id]; ok {
		return true, tx.touchPoint(p)
	}
	return true, nil
}

// touchPoint makes a new version of a point whose override changed: the version
// covers it, so that nobody replaces a level by hand they did not see. The points
// of a node in no zone have its version.
func (tx *Tx) touchPoint(p *greenhouse.Point) error {
	if p.Zone != "" {
		return tx.savePoint(clonePoint(p))
	}
	n, ok := tx.reg.Nodes[p.Node]
	if !ok {
		return nil
	}
	return tx.saveEdit(cloneNode(n))
}

// ExpireOverrides ends the overrides whose time is over at now and returns them.
func (tx *Tx) ExpireOverrides(now greenhouse.Millis) ([]greenhouse.Override, error) {
	var over []greenhouse.Override
	for _, o := range tx.reg.Overrides {
		if o.ExpiresAt <= now {
			over = append(over, *o)
		}
	}
	slices.SortFunc(over, func(a, b greenhouse.Override) int { return cmp.Compare(a.Point, b.Point) })
	for _, o := range over {
		if _, err := tx.ReleaseOverride(o.Point); err != nil {
			return nil, err
		}
	}
	return over, nil
}
