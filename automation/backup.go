package automation

import (
	"time"

	"greenhouse"
)

// backupKind says what stands in for the air temperature.
type backupKind uint8

const (
	backupNone backupKind = iota
	backupBox             // the temperature inside a node's box
	backupLeaf            // the leaves
	backupNext            // the air of the zone next door
	backups
)

// String returns the name under which its offset is kept.
func (k backupKind) String() string {
	return [backups]string{"none", "box", "leaf", "next"}[k]
}

// backup is what other sensors say of the air temperature.
type backup struct {
	role   backupKind
	offset [backups]offset
}

// offset is by how much the air differs from a backup sensor.
type offset struct {
	k    float64 // K that the air is warmer
	seen time.Duration
}

// How a backup sensor is learned and used.
const (
	backupLag  = time.Hour        // over which its offset is averaged
	backupSure = 15 * time.Minute // that it must have been seen beside the air sensor
	backupMost = 10.0             // K that it may differ by
)

// backUp follows how the sensors that could stand in differ from the air, and
// has the first that is good stand in while the air temperature is lost.
func (st *State) backUp() {
	b, air := &st.backup, &st.seen[airTemp]
	good := air.quality == greenhouse.Good
	b.role = backupNone
	for k, q := range [backups]quantity{backupBox: boxTemp, backupLeaf: leafTemp, backupNext: nextTemp} {
		s, o := &st.seen[q], &b.offset[k]
		if k == int(backupNone) || !s.any || s.quality != greenhouse.Good {
			continue
		}
		if good && air.N > 0 {
			d := clamp(air.Value-s.Value, -backupMost, backupMost)
			if o.seen == 0 {
				o.k = d
			}
			o.k += (d - o.k) * lag(st.dt, min(backupLag, o.seen+time.Minute))
			o.seen = min(o.seen+st.dt, backupLag)
			continue
		}
		if air.any && !air.ok() && b.role == backupNone && o.seen >= backupSure {
			b.role = backupKind(k)
			v := s.Value + o.k
			air.Voted, air.quality = Voted{Value: v, Lo: v, Hi: v, N: 1, Agree: true}, greenhouse.Held
		}
	}
}
