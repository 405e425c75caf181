package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	bolt "go.etcd.io/bbolt"
)

// dayTx reads and writes one day file inside a transaction. Its coder is
// borrowed and serves one transaction at a time.
type dayTx struct {
	f          *dayFile
	meta, data *bolt.Bucket
	c          *chunkCoder
	haveTimes  bool // c.times is the shared column below
	timesOf    [2]uint32
	added      int   // chunks that are new in this transaction
	rowsPut    int   // readings written in it
	known      int64 // readings that were in the file already
	late       int64 // readings that came after their window was sealed
}

// inDay opens the buckets.
func inDay(tx *bolt.Tx, f *dayFile, c *chunkCoder) (*dayTx, error) {
	d := &dayTx{f: f, c: c, meta: tx.Bucket([]byte(bucketMeta)), data: tx.Bucket([]byte(bucketData))}
	if d.meta == nil || d.data == nil {
		return nil, fmt.Errorf("%w: a bucket is missing", errDamaged)
	}
	if tx.Writable() {
		d.data.FillPercent = 1 // most keys come in order
	}
	return d, nil
}

// getMeta returns a checked value of the meta bucket.
func (d *dayTx) getMeta(key string) ([]byte, error) {
	v, ok := checkSum(d.meta.Get([]byte(key)), kindMeta, []byte(key))
	if !ok {
		return nil, fmt.Errorf("%w: %s does not check", errDamaged, key)
	}
	return v, nil
}

func putMeta(meta *bolt.Bucket, key string, value []byte) error {
	return meta.Put([]byte(key), appendSum(value, kindMeta, []byte(key)))
}

// total returns how many chunks the file has.
func (d *dayTx) total() (int, error) {
	v, err := d.getMeta(metaChunks)
	dec := decoder{b: v}
	n := dec.uvarint()
	return int(n), errors.Join(err, dec.err)
}

// putFormat says of which format and day the file is.
func putFormat(meta *bolt.Bucket, day int64) error {
	return putMeta(meta, metaFormat, binary.AppendVarint(binary.AppendUvarint(nil, dayFormat), day))
}

// finish completes a transaction before its commit: an older file with something new in
// it is of the new format, and the new chunks are counted. A count that cannot be
// read stays as it is: the file is suspect for good.
func (d *dayTx) finish() error {
	if d.rowsPut > 0 && d.f.format < dayFormat {
		if err := putFormat(d.meta, d.f.day); err != nil {
			return err
		}
	}
	n, err := d.total()
	if err != nil || d.added == 0 {
		return nil //nolint:nilerr // told of by inspect
	}
	return putMeta(d.meta, metaChunks, binary.AppendUvarint(nil, uint64(n+d.added)))
}

// complete reports whether the records name as many chunks as there should be.
func (d *dayTx) complete() bool {
	want, err := d.total()
	if err != nil {
		return false
	}
	n := 0
	err = d.eachSeries(func(id uint32) error {
		r, err := d.record(id)
		n += bits.OnesCount32(r.starts)
		return err
	})
	return err == nil && n == want
}

// absent returns errDamaged for a series that is not found in a file where
// records are missing.
func (d *dayTx) absent(id uint32) error {
	if d.f.suspect {
		return fmt.Errorf("%w: records are missing, and there is none of series %d", errDamaged, id)
	}
	return nil
}

// get returns the checked value under key, nil if there is none.
func (d *dayTx) get(kind string, key []byte) ([]byte, error) {
	v := d.data.Get(key)
	if v == nil {
		return nil, nil
	}
	value, ok := checkSum(v, kind, key)
	if !ok {
		return nil, fmt.Errorf("%w: %s %x does not check", errDamaged, kind, key)
	}
	return value, nil
}

// record returns what the file says of a series; present is false for nothing.
func (d *dayTx) record(id uint32) (dayRecord, error) {
	v, err := d.get(kindSeries, seriesKey(id))
	if err != nil || v == nil {
		return dayRecord{}, err
	}
	r, err := decodeRecord(v)
	if err != nil {
		return dayRecord{}, fmt.Errorf("%w: record of series %d: %w", errDamaged, id, err)
	}
	return r, nil
}

func (d *dayTx) putRecord(id uint32, r dayRecord) error {
	key := seriesKey(id)
	return d.data.Put(key, appendSum(appendRecord(nil, r), kindSeries, key))
}

// chunk returns the head of the chunk that begins with a window. The record
// says that it is there.
func (d *dayTx) chunk(window, id uint32) (chunkView, error) {
	key := windowKey(window, id)
	v, err := d.get(kindChunk, key)
	if err != nil {
		return chunkView{}, err
	}
	if v == nil {
		return chunkView{}, fmt.Errorf("%w: chunk %x is missing", errDamaged, key)
	}
	view, err := viewChunk(v)
	if err != nil {
		return view, fmt.Errorf("%w: chunk %x: %w", errDamaged, key, err)
	}
	return view, nil
}

// rows appends the readings of a chunk to dst.
func (d *dayTx) rows(dst []row, window, id uint32) ([]row, error) {
	v, err := d.chunk(window, id)
	if err != nil {
		return dst, err
	}
	if v.ref != 0 {
		err = d.loadTimes(window, v.ref)
	} else {
		d.haveTimes = false
	}
	if err != nil {
		return dst, err
	}
	out, err := d.c.rowsOf(dst, v, int64(window)*windowMillis)
	if err != nil {
		return dst, fmt.Errorf("%w: chunk of window %d, series %d: %w", errDamaged, window, id, err)
	}
	return out, nil
}

// loadTimes puts a shared column into c.times, unless it is there already.
func (d *dayTx) loadTimes(window, col uint32) error {
	if d.haveTimes && d.timesOf == [2]uint32{window, col} {
		return nil
	}
	d.haveTimes = false
	key := timesKey(window, col)
	v, err := d.get(kindTimes, key)
	if err != nil {
		return err
	}
	if v == nil {
		return fmt.Errorf("%w: times %x are missing", errDamaged, key)
	}
	if _, err := d.c.decodeTimes(v); err != nil {
		return fmt.Errorf("%w: times %x: %w", errDamaged, key, err)
	}
	d.haveTimes, d.timesOf = true, [2]uint32{window, col}
	return nil
}

// nextColumn returns a number for a shared column of the window that none has.
func (d *dayTx) nextColumn(window uint32) uint32 {
	c := d.data.Cursor()
	k, _ := c.Seek(windowKey(window+1, 0))
	if k == nil {
		k, _ = c.Last()
	} else {
		k, _ = c.Prev()
	}
	if len(k) == 8 && binary.BigEndian.Uint32(k) == window {
		if col := binary.BigEndian.Uint32(k[4:]); col >= columnOffset {
			return col - columnOffset + 1
		}
	}
	return 1
}

// eachSeries calls fn for every series that the file has a record of.
func (d *dayTx) eachSeries(fn func(id uint32) error) error {
	c := d.data.Cursor()
	for k, _ := c.First(); len(k) == 8 && binary.BigEndian.Uint32(k) == 0; k, _ = c.Next() {
		if err := fn(binary.BigEndian.Uint32(k[4:])); err != nil {
			return err
		}
	}
	return nil
}
