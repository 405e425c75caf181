package telemetry

import (
	"io"
	"os"
)

// File is an open log segment or checkpoint. Sync returns when all that was
// written will survive a power cut; it may skip times and other metadata that
// reading does not need.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Close() error
}

// Disk is where the engine keeps its log and checkpoints, and renames and
// removes files. Day files are opened by bbolt itself. A Disk serves several
// goroutines at once. Tests put one between to cut the power.
type Disk interface {
	// Open opens name for reading and writing with the flags of [os.OpenFile], mode 0600.
	Open(name string, flag int) (File, error)
	// Rename moves a file over another, atomically.
	Rename(from, to string) error
	// Remove deletes a file; one that is not there is an error.
	Remove(name string) error
	// SyncDir makes creations, renames and removals in dir survive a power cut.
	SyncDir(dir string) error
}

// OSDisk is the operating system's file system. Its zero value is ready to use.
type OSDisk struct{}

// osFile is a file whose Sync leaves out metadata where the system can.
type osFile struct{ *os.File }

// Sync makes what was written durable.
func (f osFile) Sync() error { return syncData(f.File) }

// Open opens name for reading and writing.
func (OSDisk) Open(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename moves a file over another.
func (OSDisk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove deletes a file.
func (OSDisk) Remove(name string) error { return os.Remove(name) }

// SyncDir makes the names in dir durable.
func (OSDisk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// writeWhole writes data to name so that a power cut leaves the old content or
// the new: another name, sync, rename, sync of the directory.
func writeWhole(d Disk, dir, name string, data []byte) error {
	tmp := name + ".new"
	f, err := d.Open(tmp, os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.Rename(tmp, name)
	}
	if err != nil {
		return err
	}
	return d.SyncDir(dir)
}
