package telemetry_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"greenhouse/telemetry"
)

// errPower is what every operation says once the power is gone.
var errPower = errors.New("power cut")

// errIO is what a failing sync says.
var errIO = syscall.EIO

const sector = 512

// powerDisk is a disk whose power can be cut at any write, sync, rename or
// removal. After the cut, any subset of the unsynced sectors is on the disk,
// and any prefix of the name changes in a directory that was not synced.
type powerDisk struct {
	mu      sync.Mutex
	rnd     *rand.Rand
	stash   string // holds what removals and renames might bring back
	ops     int
	cutAt   int // the power goes with this operation; 0 never
	cut     bool
	failing error // every sync fails with it, without a power cut
	dirty   map[string]map[int64][]byte
	names   map[string][]func() // by directory: how to take a change back
	n       int
}

func newPowerDisk(stash string, seed uint64) *powerDisk {
	return &powerDisk{rnd: rand.New(rand.NewPCG(seed, 1)), stash: stash, dirty: map[string]map[int64][]byte{}, names: map[string][]func(){}}
}

// op counts an operation and reports whether the power is still there.
func (d *powerDisk) op() error {
	if d.cut {
		return errPower
	}
	d.ops++
	if d.cutAt > 0 && d.ops >= d.cutAt {
		d.cut = true
		return errPower
	}
	return nil
}

func (d *powerDisk) Open(name string, flag int) (telemetry.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cut {
		return nil, errPower
	}
	_, statErr := os.Stat(name)
	created := flag&os.O_CREATE != 0 && errors.Is(statErr, os.ErrNotExist)
	f, err := os.OpenFile(name, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	if created {
		dir := filepath.Dir(name)
		d.names[dir] = append(d.names[dir], func() { os.Remove(name); delete(d.dirty, name) })
	}
	return &powerFile{File: f, d: d, name: name}, nil
}

// keep saves a link to what is at name, and returns how to bring it back.
func (d *powerDisk) keep(name string) func() {
	d.n++
	saved := filepath.Join(d.stash, filepath.Base(name)+string(rune('a'+d.n%26))+itoa(d.n))
	if os.Link(name, saved) != nil {
		return func() {}
	}
	dirty := d.dirty[name]
	return func() {
		os.Remove(name)
		os.Rename(saved, name)
		d.dirty[name] = dirty
	}
}

func itoa(n int) string {
	if n == 0 {
		return ""
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

func (d *powerDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	back := d.keep(to)
	if err := os.Rename(from, to); err != nil {
		return err
	}
	d.dirty[to] = d.dirty[from]
	delete(d.dirty, from)
	dir := filepath.Dir(to)
	d.names[dir] = append(d.names[dir], func() {
		os.Rename(to, from)
		d.dirty[from] = d.dirty[to]
		delete(d.dirty, to)
		back()
	})
	return nil
}

func (d *powerDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	back := d.keep(name)
	if err := os.Remove(name); err != nil {
		return err
	}
	delete(d.dirty, name)
	dir := filepath.Dir(name)
	d.names[dir] = append(d.names[dir], back)
	return nil
}

func (d *powerDisk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.op(); err != nil {
		return err
	}
	delete(d.names, dir)
	return nil
}

// powerOff leaves on the real disk what a power cut might have left.
func (d *powerDisk) powerOff() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cut = true
	for _, undo := range d.names {
		keep := d.rnd.IntN(len(undo) + 1)
		for i := len(undo) - 1; i >= keep; i-- {
			undo[i]()
		}
	}
	for name, sectors := range d.dirty {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		chance := d.rnd.IntN(5) // 0: nothing reached the disk, 4: everything
		for off, old := range sectors {
			if d.rnd.IntN(4) >= chance {
				f.WriteAt(old, off)
			}
		}
		f.Close()
	}
}

// powerFile is a file on a powerDisk.
type powerFile struct {
	*os.File
	d    *powerDisk
	name string
}

// WriteAt remembers what the touched sectors held. The write at which the power
// goes reaches the page cache all the same: powerOff tears it.
func (f *powerFile) WriteAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.cut {
		return 0, errPower
	}
	err := f.d.op()
	dirty := f.d.dirty[f.name]
	if dirty == nil {
		dirty = map[int64][]byte{}
		f.d.dirty[f.name] = dirty
	}
	for s := off / sector * sector; s < off+int64(len(b)); s += sector {
		if _, ok := dirty[s]; !ok {
			old := make([]byte, sector)
			if n, rerr := f.File.ReadAt(old, s); rerr != nil && rerr != io.EOF {
				return 0, rerr
			} else if n < sector {
				clear(old[n:])
			}
			dirty[s] = old
		}
	}
	n, werr := f.File.WriteAt(b, off)
	if err == nil {
		err = werr
	}
	return n, err
}

func (f *powerFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.op(); err != nil {
		return err
	}
	if f.d.failing != nil {
		return f.d.failing
	}
	delete(f.d.dirty, f.name)
	return nil
}
