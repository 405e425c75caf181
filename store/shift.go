package store

import (
	"time"

	"greenhouse"
)

// freshly is how close to the present something was made by the clock as it is
// after a step, and needs no shift.
const freshly = 3 * time.Second

// ShiftEnds moves everything that ends at a time of the wall clock by what that
// clock was stepped by, so that it keeps the time it has left: overrides, offsets and
// holds of set-points, ramps between the phases of recipes, and an open pairing window. It returns how many were moved.
func (tx *Tx) ShiftEnds(by time.Duration) (int, error) {
	n := 0
	now := greenhouse.MillisOf(tx.at)
	stays := func(created greenhouse.Millis) bool { return now.Sub(created).Abs() <= freshly }
	for id, o := range tx.reg.Overrides {
		if stays(o.CreatedAt) {
			continue
		}
		moved := *o
		moved.CreatedAt, moved.ExpiresAt = o.CreatedAt.Add(by), o.ExpiresAt.Add(by)
		if err := tx.putJSON(bucketOverrides, string(id), moved); err != nil {
			return n, err
		}
		own(tx, "overrides", &tx.reg.Overrides)[id] = &moved
		n++
	}
	for id, z := range tx.reg.Zones {
		if len(z.Offsets)+len(z.Holds) == 0 && z.Run == nil {
			continue
		}
		moved := cloneZone(z)
		for _, layer := range [...]map[greenhouse.Quantity]greenhouse.Adjustment{moved.Offsets, moved.Holds} {
			for q, a := range layer {
				if !stays(a.CreatedAt) {
					a.CreatedAt, a.ExpiresAt = a.CreatedAt.Add(by), a.ExpiresAt.Add(by)
					layer[q] = a
					n++
				}
			}
		}
		if run := moved.Run; run != nil {
			for i := range run.Changes {
				if c := &run.Changes[i]; !stays(c.At) {
					c.At = c.At.Add(by)
				}
			}
			n++
		}
		if sameRecord(z, moved) {
			continue
		}
		if _, err := tx.EditZone(id, 0, func(to *greenhouse.Zone) error {
			to.Offsets, to.Holds, to.Run = moved.Offsets, moved.Holds, moved.Run
			return nil
		}); err != nil {
			return n, err
		}
	}
	if p := tx.reg.pairing; len(p.Hash) > 0 {
		p.ExpiresAt = p.ExpiresAt.Add(by)
		n++
		return n, tx.setPairing(p)
	}
	return n, nil
}
