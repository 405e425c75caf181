package store

import (
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"time"

	"greenhouse"
)

// defaultSite is the site until somebody says more.
func defaultSite() greenhouse.Site {
	return greenhouse.Site{Name: "greenhouse", TimeZone: "UTC", Meta: greenhouse.Meta{Version: 1}}
}

// Site returns the site.
func (tx *Tx) Site() greenhouse.Site { return tx.reg.Site }

// SetSite changes the site. ifVersion is as for [Tx.EditNode].
func (tx *Tx) SetSite(site greenhouse.Site, ifVersion uint64) (greenhouse.Site, error) {
	old := tx.reg.Site
	if err := firstError(stale("site", old.Name, ifVersion, old.Version, old), checkSite(&site)); err != nil {
		return old, err
	}
	site.Meta = old.Meta
	if site == old {
		return old, tx.writable()
	}
	now := greenhouse.MillisOf(tx.at)
	site.Version++
	site.UpdatedAt = now
	if site.CreatedAt == 0 {
		site.CreatedAt = now
	}
	if err := tx.putJSON(bucketMeta, keySite, site); err != nil {
		return old, err
	}
	tx.reg.Site = site
	tx.copied["site"] = true
	return site, nil
}

// NextEpoch returns a fencing token higher than any before, for one run of the
// daemon. It only rises, after a restore too.
func (tx *Tx) NextEpoch() (uint64, error) { return tx.epochAbove(tx.reg.epoch) }

// RaiseEpoch returns an epoch above seen, one that a node reported: a registry
// older than the node's last commands was restored.
func (tx *Tx) RaiseEpoch(seen uint64) (uint64, error) {
	if seen >= maxRevision {
		return 0, greenhouse.Invalid("epoch_invalid", "epoch %d cannot be true", seen)
	}
	return tx.epochAbove(max(seen, tx.reg.epoch))
}

// epochAbove stores and returns the next epoch.
func (tx *Tx) epochAbove(floor uint64) (uint64, error) {
	if err := tx.putJSON(bucketMeta, keyEpoch, floor+1); err != nil {
		return 0, err
	}
	tx.reg.epoch = floor + 1
	tx.copied["epoch"] = true
	return tx.reg.epoch, nil
}

// stopRecord is the latched emergency stop as stored.
type stopRecord struct {
	All   bool                `json:"all,omitempty"`
	Zones []greenhouse.ZoneID `json:"zones,omitempty"`
}

// Stop latches the emergency stop of a zone, of the whole site if zone is "".
// It reports whether that was new.
func (tx *Tx) Stop(zone greenhouse.ZoneID) (bool, error) { return tx.latch(zone, true) }

// Resume releases the emergency stop of a zone, or that of the site if zone is
// "": a zone that was stopped by itself stays stopped. It reports whether there
// was one.
func (tx *Tx) Resume(zone greenhouse.ZoneID) (bool, error) { return tx.latch(zone, false) }

// latch sets or releases a stop.
func (tx *Tx) latch(zone greenhouse.ZoneID, stop bool) (bool, error) {
	if err := tx.writable(); err != nil {
		return false, err
	}
	if zone == "" {
		if tx.reg.StopAll == stop {
			return false, nil
		}
		tx.reg.StopAll = stop
		tx.copied["stop"] = true
		return true, tx.saveStop()
	}
	if _, err := tx.reg.ruleZoneKnown(zone); err != nil {
		return false, err
	}
	if tx.reg.Stopped[zone] == stop {
		return false, nil
	}
	stopped := own(tx, "stopped", &tx.reg.Stopped)
	if stop {
		stopped[zone] = true
	} else {
		delete(stopped, zone)
	}
	return true, tx.saveStop()
}

// saveStop stores all stops.
func (tx *Tx) saveStop() error {
	rec := stopRecord{All: tx.reg.StopAll}
	for z := range tx.reg.Stopped {
		rec.Zones = append(rec.Zones, z)
	}
	slices.Sort(rec.Zones)
	return tx.putJSON(bucketMeta, keyStop, rec)
}

// pairing is the window in which devices may join, as stored.
type pairing struct {
	Hash      []byte            `json:"hash,omitempty"` // SHA-256 of the join token
	ExpiresAt greenhouse.Millis `json:"expires_at,omitempty"`
}

// openAt reports whether devices may join.
func (p pairing) openAt(now time.Time) bool {
	return len(p.Hash) == sha256.Size && greenhouse.MillisOf(now) < p.ExpiresAt
}

// matches compares a token in constant time.
func (p pairing) matches(token string) bool {
	sum := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(sum[:], p.Hash) == 1
}

// Pairing is the window in which devices may join.
type Pairing struct {
	Open      bool
	Token     string // the join token in plain, from OpenPairing only
	ExpiresAt greenhouse.Millis
}

// maxPairing bounds the window.
const maxPairing = 24 * time.Hour

// OpenPairing lets devices join for d, at most 24 h, with a new join token; it
// replaces an open window and its token.
func (tx *Tx) OpenPairing(d time.Duration, now time.Time) (Pairing, error) {
	if d <= 0 || d > maxPairing {
		return Pairing{}, greenhouse.Invalid("pairing_duration_invalid", "pairing cannot be open for %v: it must be from 1s to 24h", d)
	}
	token := newSecret()
	sum := sha256.Sum256([]byte(token))
	p := pairing{Hash: sum[:], ExpiresAt: greenhouse.MillisOf(now.Add(d))}
	return Pairing{Open: true, Token: token, ExpiresAt: p.ExpiresAt}, tx.setPairing(p)
}

// ClosePairing closes the window; it may be closed.
func (tx *Tx) ClosePairing() error {
	if len(tx.reg.pairing.Hash) == 0 {
		return tx.writable()
	}
	return tx.setPairing(pairing{})
}

// setPairing stores the window.
func (tx *Tx) setPairing(p pairing) error {
	if err := tx.putJSON(bucketMeta, keyPairing, p); err != nil {
		return err
	}
	tx.reg.pairing = p
	tx.copied["pairing"] = true
	return nil
}

// Pairing returns whether devices may join at now, and until when.
func (tx *Tx) Pairing(now time.Time) Pairing { return tx.reg.Pairing(now) }

// Pairing returns whether devices may join at now, and until when.
func (r *Registry) Pairing(now time.Time) Pairing {
	if !r.pairing.openAt(now) {
		return Pairing{}
	}
	return Pairing{Open: true, ExpiresAt: r.pairing.ExpiresAt}
}

// Epoch returns the epoch given last.
func (r *Registry) Epoch() uint64 { return r.epoch }
