package store

import (
	"cmp"
	"slices"

	"greenhouse"
)

// saveZone stores a zone; each save is a new version.
func (tx *Tx) saveZone(z *greenhouse.Zone) error {
	z.Version++
	z.UpdatedAt = greenhouse.MillisOf(tx.at)
	if err := tx.putJSON(bucketZones, string(z.ID), z); err != nil {
		return err
	}
	own(tx, "zones", &tx.reg.Zones)[z.ID] = z
	return nil
}

// CreateZone makes a zone; what is left empty takes its default (mode auto, day
// from sunrise until sunset). An id in use is a conflict.
func (tx *Tx) CreateZone(z greenhouse.Zone) (greenhouse.Zone, error) {
	if _, err := greenhouse.ParseZoneID(string(z.ID)); err != nil {
		return z, err
	}
	if old, ok := tx.reg.Zones[z.ID]; ok {
		return z, greenhouse.Conflict("zone_exists", "there is already a zone %s (%s)", old.ID, old.Name).
			WithHint("change it with `greenctl zone edit %s`, or choose another id", old.ID)
	}
	n := cloneZone(&z)
	n.Meta = greenhouse.Meta{CreatedAt: greenhouse.MillisOf(tx.at)}
	if err := firstError(checkZone(n), tx.reg.ruleOtherZones(n)); err != nil {
		return z, err
	}
	if err := tx.saveZone(n); err != nil {
		return z, err
	}
	return *cloneZone(n), nil
}

// Zone returns a copy of a zone.
func (tx *Tx) Zone(id greenhouse.ZoneID) (greenhouse.Zone, error) {
	z, err := tx.reg.ruleZoneKnown(id)
	if err != nil {
		return greenhouse.Zone{}, err
	}
	return *cloneZone(z), nil
}

// Zones returns copies of all zones in the order of their ids.
func (tx *Tx) Zones() []greenhouse.Zone {
	zones := make([]greenhouse.Zone, 0, len(tx.reg.Zones))
	for _, z := range tx.reg.Zones {
		zones = append(zones, *cloneZone(z))
	}
	slices.SortFunc(zones, func(a, b greenhouse.Zone) int { return cmp.Compare(a.ID, b.ID) })
	return zones
}

// EditZone changes a zone by fn, which gets a copy; the id is fixed. ifVersion
// is as for [Tx.EditNode]. Targets out of range or inverted are refused.
func (tx *Tx) EditZone(id greenhouse.ZoneID, ifVersion uint64, fn func(*greenhouse.Zone) error) (greenhouse.Zone, error) {
	old, err := tx.reg.ruleZoneKnown(id)
	if err != nil {
		return greenhouse.Zone{}, err
	}
	if err := stale("zone", string(id), ifVersion, old.Version, *cloneZone(old)); err != nil {
		return greenhouse.Zone{}, err
	}
	z := cloneZone(old)
	if err := fn(z); err != nil {
		return greenhouse.Zone{}, err
	}
	if z.ID != old.ID {
		return greenhouse.Zone{}, greenhouse.Invalid("zone_id_fixed", "the id of zone %s is fixed", id)
	}
	z.Meta = old.Meta
	if err := firstError(checkZone(z), tx.reg.ruleOtherZones(z), tx.reg.ruleNodeLimits(z)); err != nil {
		return greenhouse.Zone{}, err
	}
	if sameRecord(old, z) {
		return *z, nil
	}
	if err := tx.saveZone(z); err != nil {
		return greenhouse.Zone{}, err
	}
	return *cloneZone(z), nil
}

// DeleteZone removes a zone that holds no node, together with its points and
// their overrides. History stays until it is too old.
func (tx *Tx) DeleteZone(id greenhouse.ZoneID, ifVersion uint64) error {
	z, err := tx.reg.ruleZoneKnown(id)
	if err != nil {
		return err
	}
	if err := firstError(stale("zone", string(id), ifVersion, z.Version, *cloneZone(z)), tx.reg.ruleZoneFree(id)); err != nil {
		return err
	}
	for _, p := range slices.Clone(tx.reg.zonePoints[id]) {
		if err := tx.DeletePoint(p.ID); err != nil {
			return err
		}
	}
	if _, err := tx.Resume(id); err != nil {
		return err
	}
	if err := tx.delete(bucketZones, []byte(id)); err != nil {
		return err
	}
	delete(own(tx, "zones", &tx.reg.Zones), id)
	return nil
}
