package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Found is what an audit of the log found up to where it got.
type Found struct {
	Events int    // that hold together
	Last   uint64 // number of the newest of them
	Head   string // its hash, which stands for all before it
}

// Verify reads the whole log and returns an error for the first event that was
// changed, added or removed since it was written. What Prune removed at the
// beginning is no fault. See [Journal.Audit] for what this cannot see.
func (j *Journal) Verify() error {
	_, err := j.Audit()
	return err
}

// Audit is Verify and says what was read. Somebody who can write the file can
// write the whole chain anew, and can cut off its end; against that the head
// is to be kept elsewhere, where an older head is found again by its number.
func (j *Journal) Audit() (Found, error) {
	var f Found
	var before []byte
	last := j.Last() // what is added meanwhile is for the next time
	for {
		n, err := j.auditSome(&f, &before, last)
		if err != nil || n == 0 {
			if err == nil && f.Last != last {
				err = broken(keyOf(last), "is missing at the end")
			}
			return f, err
		}
	}
}

// auditSome reads one page and moves on behind it.
func (j *Journal) auditSome(f *Found, before *[]byte, last uint64) (n int, err error) {
	verr := j.db.View(func(tx Tx) error {
		tx.Scan(bucketEvents, keyOf(f.Last+1), false, func(k, v []byte) bool {
			if seqOf(k) > last {
				return false
			}
			if err = j.follows(k, v, *before, f.Last); err != nil {
				return false
			}
			link := bytes.Clone(v[:sha256.Size])
			*before, f.Last, f.Head = link, seqOf(k), hex.EncodeToString(link)
			f.Events++
			n++
			return n < maxPage
		})
		return err
	})
	if err == nil && verr != nil {
		err = fmt.Errorf("read journal: %w", verr)
	}
	return n, err
}

// follows checks one record against the hash and number of the one before.
func (j *Journal) follows(k, v, before []byte, last uint64) error {
	switch {
	case len(v) < sha256.Size:
		return broken(k, "is cut off")
	case before == nil:
		return nil // the first that is kept: what it followed from has been pruned
	case seqOf(k) != last+1:
		return broken(k, fmt.Sprintf("follows on %d: what was between them is missing", last))
	case !bytes.Equal(v[:sha256.Size], chain(before, v[sha256.Size:])):
		return broken(k, "does not follow from the one before")
	}
	return nil
}
