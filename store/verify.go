package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"greenhouse"
)

// DamageError says what is wrong with a registry file.
type DamageError struct{ What string }

// Error returns what is wrong.
func (e *DamageError) Error() string { return "registry file is damaged: " + e.What }

// damagef makes a DamageError.
func damagef(format string, args ...any) error {
	return &DamageError{What: fmt.Sprintf(format, args...)}
}

// The layout of a bbolt file, version 2 (go.etcd.io/bbolt/internal/common):
// page header id u64, flags u16, count u16, overflow u32; branch element
// pos u32, ksize u32, pgid u64; leaf element flags u32, pos u32, ksize u32,
// vsize u32; positions count from the element itself.
const (
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	pageHeader  = 16
	elemSize    = 16
	flagBranch  = 0x01
	flagLeaf    = 0x02
	leafBucket  = 0x01
	maxDepth    = 32
	metaBytes   = 64 // of a meta page after its header
	bucketBytes = 16 // root pgid u64, sequence u64
)

// boltMeta is what a meta page says.
type boltMeta struct {
	root, high, txid uint64
	single           bool // the other of the two is not valid
}

// verifier walks the pages of a file without mapping it: it bounds every read,
// visits every page at most once, and so neither faults nor loops.
type verifier struct {
	r      io.ReaderAt
	meta   boltMeta
	seen   map[uint64]bool
	got    manifest
	record func(bucket string, key, content []byte) error // may be nil
}

// headLost reports whether only one of the two heads of a file is valid. bbolt
// goes on from that one, which may be a commit old: the writing of the other
// was cut short, or it was damaged later.
func headLost(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	meta, err := readMeta(f, info.Size())
	return err == nil && meta.single
}

// VerifyFile reads a registry file from end to end and compares every record
// with its checksum and all of them with the manifest. It returns nil, a
// *[DamageError], or why the file cannot be read. It must not be written to meanwhile.
func VerifyFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fileError("open registry", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return fileError("open registry", err)
	}
	return verify(f, info.Size(), nil)
}

// verify checks size bytes of r; record, if given, sees every good record.
func verify(r io.ReaderAt, size int64, record func(bucket string, key, content []byte) error) error {
	meta, err := readMeta(r, size)
	if err != nil {
		return err
	}
	return verifyFrom(r, meta, record)
}

// verifyFrom checks the tree below one meta page.
func verifyFrom(r io.ReaderAt, meta boltMeta, record func(bucket string, key, content []byte) error) error {
	v := &verifier{r: r, meta: meta, seen: map[uint64]bool{}, got: manifest{}, record: record}
	names, headers, err := v.buckets()
	if err != nil {
		return err
	}
	var want manifest
	for i, name := range names {
		err := v.bucket(name, headers[i], func(key, content []byte) error {
			if name == bucketMeta && string(key) == keyManifest {
				return json.Unmarshal(content, &want)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return v.compare(want)
}

// buckets returns the top-level buckets with their headers, if they are ours.
func (v *verifier) buckets() (names []string, headers [][]byte, err error) {
	ours := false
	err = v.tree(v.meta.root, 0, span{}, func(key, value []byte, isBucket bool) error {
		if !isBucket {
			return damagef("a record lies outside every bucket")
		}
		names, headers = append(names, string(key)), append(headers, value)
		ours = ours || string(key) == bucketMeta || string(key) == bucketNodes
		return nil
	})
	if err == nil && !ours {
		err = greenhouse.Invalid("registry_foreign", "the file in the place of the registry was made by another program").
			WithHint("move it away, or choose another --data-dir")
	}
	return names, headers, err
}

// compare holds what was found against the manifest.
func (v *verifier) compare(want manifest) error {
	for name, l := range want {
		if got := v.got[name]; got.Count != l.Count || got.Sum != l.Sum {
			return damagef("bucket %s holds %d records where %d are due, or old ones", name, got.Count, l.Count)
		}
	}
	for name, l := range v.got {
		if _, ok := want[name]; !ok && l.Count > 0 {
			return damagef("bucket %s is not in the manifest", name)
		}
	}
	return nil
}

// bucket checks all records of one top-level bucket.
func (v *verifier) bucket(name string, value []byte, see func(key, content []byte) error) error {
	if len(value) < bucketBytes {
		return damagef("bucket %s has no header", name)
	}
	l := ledger{}
	each := func(key, raw []byte, isBucket bool) error {
		if isBucket {
			return damagef("bucket %s holds a bucket", name)
		}
		content, err := unseal(name, key, raw)
		if err != nil {
			return damagef("%v", err)
		}
		if name != bucketMeta || string(key) != keyManifest {
			l.Count, l.Sum = l.Count+1, l.Sum+uint64(sealed(raw))
		}
		if err := see(key, content); err != nil {
			return damagef("record %s %q: %v", name, key, err)
		}
		if v.record != nil {
			return v.record(name, key, content)
		}
		return nil
	}
	root := binary.LittleEndian.Uint64(value)
	var err error
	if root == 0 {
		err = v.leaf(value[bucketBytes:], each)
	} else {
		err = v.tree(root, 0, span{}, each)
	}
	v.got[name] = l
	return err
}

// span is where the keys below a page must lie: from low to before high, nil
// for no end.
type span struct{ low, high []byte }

// holds reports whether a key lies in the span.
func (s span) holds(key []byte) bool {
	return bytes.Compare(key, s.low) >= 0 && (s.high == nil || bytes.Compare(key, s.high) < 0)
}

// tree checks the page id and everything below it.
func (v *verifier) tree(id uint64, depth int, in span, each func(key, value []byte, isBucket bool) error) error {
	if depth > maxDepth {
		return damagef("page %d lies too deep", id)
	}
	page, err := v.page(id)
	if err != nil {
		return err
	}
	switch flags := binary.LittleEndian.Uint16(page[8:]); flags {
	case flagLeaf:
		return v.leaf(page, func(k, value []byte, isBucket bool) error {
			if !in.holds(k) {
				return damagef("page %d has keys of another place", id)
			}
			return each(k, value, isBucket)
		})
	case flagBranch:
		return v.branch(page, depth, in, each)
	default:
		return damagef("page %d has the flags %#x", id, flags)
	}
}

// page reads a page with its overflow, once.
func (v *verifier) page(id uint64) ([]byte, error) {
	if id < 2 || id >= v.meta.high || v.seen[id] {
		return nil, damagef("page %d is out of range or used twice", id)
	}
	var head [pageHeader]byte
	if _, err := v.r.ReadAt(head[:], int64(id)*pageSize); err != nil {
		return nil, readError(err)
	}
	over := uint64(binary.LittleEndian.Uint32(head[12:]))
	if got := binary.LittleEndian.Uint64(head[:]); got != id || id+over >= v.meta.high {
		return nil, damagef("page %d says it is page %d with %d more", id, got, over)
	}
	for i := id; i <= id+over; i++ {
		if v.seen[i] {
			return nil, damagef("page %d is used twice", i)
		}
		v.seen[i] = true
	}
	page := make([]byte, (over+1)*pageSize)
	if _, err := v.r.ReadAt(page, int64(id)*pageSize); err != nil {
		return nil, readError(err)
	}
	return page, nil
}

// leaf hands out the elements of a leaf page.
func (v *verifier) leaf(page []byte, each func(key, value []byte, isBucket bool) error) error {
	if len(page) < pageHeader || binary.LittleEndian.Uint16(page[8:]) != flagLeaf {
		return damagef("a leaf page has no header")
	}
	var last []byte
	for i := range int(binary.LittleEndian.Uint16(page[10:])) {
		at := pageHeader + i*elemSize
		if at+elemSize > len(page) {
			return damagef("a leaf page has too many elements")
		}
		e := page[at:]
		flags, pos := binary.LittleEndian.Uint32(e), uint64(binary.LittleEndian.Uint32(e[4:]))
		ksize, vsize := uint64(binary.LittleEndian.Uint32(e[8:])), uint64(binary.LittleEndian.Uint32(e[12:]))
		if pos+ksize+vsize > uint64(len(e)) || flags > leafBucket {
			return damagef("an element of a leaf page reaches beyond it")
		}
		key := e[pos : pos+ksize]
		if i > 0 && bytes.Compare(last, key) >= 0 {
			return damagef("the keys of a leaf page are out of order")
		}
		last = key
		if err := each(key, e[pos+ksize:pos+ksize+vsize], flags == leafBucket); err != nil {
			return err
		}
	}
	return nil
}

// branch follows the elements of a branch page.
func (v *verifier) branch(page []byte, depth int, in span, each func(key, value []byte, isBucket bool) error) error {
	keys, children, err := branchElements(page)
	if err != nil {
		return err
	}
	for i, child := range children {
		// bbolt may leave the first key above the keys it leads to; the others bound both sides.
		below := span{low: in.low, high: in.high}
		if i > 0 {
			below.low = keys[i]
		}
		if i+1 < len(keys) {
			below.high = keys[i+1]
		}
		if err := v.tree(child, depth+1, below, each); err != nil {
			return err
		}
	}
	return nil
}

// branchElements returns the keys and the pages of a branch page.
func branchElements(page []byte) (keys [][]byte, children []uint64, err error) {
	count := int(binary.LittleEndian.Uint16(page[10:]))
	if count == 0 {
		return nil, nil, damagef("a branch page is empty")
	}
	for i := range count {
		at := pageHeader + i*elemSize
		if at+elemSize > len(page) {
			return nil, nil, damagef("a branch page has too many elements")
		}
		e := page[at:]
		pos, ksize := uint64(binary.LittleEndian.Uint32(e)), uint64(binary.LittleEndian.Uint32(e[4:]))
		if pos+ksize > uint64(len(e)) {
			return nil, nil, damagef("an element of a branch page reaches beyond it")
		}
		key := e[pos : pos+ksize]
		if i > 0 && bytes.Compare(keys[i-1], key) >= 0 {
			return nil, nil, damagef("the keys of a branch page are out of order")
		}
		keys, children = append(keys, key), append(children, binary.LittleEndian.Uint64(e[8:]))
	}
	return keys, children, nil
}

// readMeta returns the newest valid meta page.
func readMeta(r io.ReaderAt, size int64) (boltMeta, error) {
	var best boltMeta
	found := 0
	for id := range int64(2) {
		m, ok, err := readMetaPage(r, id)
		if err != nil {
			return boltMeta{}, err
		}
		if !ok {
			continue
		}
		if found++; found == 1 || m.txid > best.txid {
			best = m
		}
	}
	best.single = found == 1
	if found == 0 {
		return boltMeta{}, damagef("it has no valid head (%d bytes)", size)
	}
	if best.high < 4 || best.high > uint64(size/pageSize) {
		return boltMeta{}, damagef("it is cut off: %d bytes where %d pages are due", size, best.high)
	}
	return best, nil
}

// readMetaPage reads one of the two meta pages.
func readMetaPage(r io.ReaderAt, id int64) (m boltMeta, ok bool, err error) {
	var b [pageHeader + metaBytes]byte
	if _, err := r.ReadAt(b[:], id*pageSize); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return m, false, nil
		}
		return m, false, readError(err)
	}
	meta := b[pageHeader:]
	sum := fnv.New64a()
	_, _ = sum.Write(meta[:56])
	le := binary.LittleEndian
	ok = le.Uint32(meta) == boltMagic && le.Uint32(meta[4:]) == boltVersion && le.Uint32(meta[8:]) == pageSize && le.Uint64(meta[56:]) == sum.Sum64()
	return boltMeta{root: le.Uint64(meta[16:]), high: le.Uint64(meta[40:]), txid: le.Uint64(meta[48:])}, ok, nil
}

// readError tells a page beyond the end from a disk that does not read.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return damagef("it is cut off")
	}
	return fmt.Errorf("read registry: %w", err)
}

// rewrite writes every page of a verified file back and syncs: first the data,
// then the two meta pages. After a sync that failed, pages may be in memory and
// marked clean but not on disk; this is what makes them durable.
func rewrite(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(rewritePages(f), f.Close())
}

// rewritePages does it to an open file. The newer meta page goes last.
func rewritePages(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	meta, err := readMeta(f, info.Size())
	if err != nil {
		return err
	}
	for id := int64(2); id < int64(meta.high); id++ {
		if err := rewritePage(f, id); err != nil {
			return err
		}
	}
	if err := f.Sync(); err != nil {
		return err
	}
	newer := int64(meta.txid % 2)
	for _, id := range []int64{1 - newer, newer} {
		if err := errors.Join(rewritePage(f, id), f.Sync()); err != nil {
			return err
		}
	}
	return nil
}

// rewritePage writes one page with its own bytes.
func rewritePage(f *os.File, id int64) error {
	var b [pageSize]byte
	if _, err := f.ReadAt(b[:], id*pageSize); err != nil {
		return err
	}
	_, err := f.WriteAt(b[:], id*pageSize)
	return err
}
