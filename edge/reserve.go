package edge

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// reserveBytes are set aside for the registry: commands, alarms and events of
	// weeks.
	reserveBytes = 16 << 20
	// reserveBelow is the free space below which the reserve is given up.
	reserveBelow = 4 << 20
)

// reserve is a file that holds room for the registry. The history stops long
// before the disk is full; when others fill it all the same, the file is removed,
// so that the registry can still be written.
type reserve struct {
	path string
	log  *slog.Logger
	used atomic.Bool // given up: the disk is full
}

func newReserve(dir string, log *slog.Logger) *reserve {
	return &reserve{path: filepath.Join(dir, "reserve"), log: log}
}

// look gives the room up when the disk is full, and takes it when there is
// plenty.
func (r *reserve) look() {
	free, err := freeBytes(filepath.Dir(r.path))
	if err != nil {
		return // the history says so too
	}
	info, err := os.Stat(r.path)
	held := err == nil && info.Size() == reserveBytes
	switch {
	case held && free < reserveBelow:
		r.log.Error("the disk is full: the room kept for the registry is given up", "free", free)
		if err := os.Remove(r.path); err != nil {
			r.log.Error("room for the registry not given up", "error", err)
		}
		r.used.Store(true)
	case !held && free >= 2*reserveBytes:
		if err := r.take(); err != nil {
			r.log.Warn("no room set aside for the registry", "error", err)
			return
		}
		r.used.Store(false)
	}
}

// free returns what others than the registry may still write: the room that was
// given up is not for them.
func (r *reserve) free(dir string) (uint64, error) {
	free, err := freeBytes(dir)
	if err == nil && r.used.Load() {
		free = max(free-reserveBytes, 0)
	}
	return uint64(max(free, 0)), err
}

// freeBytes returns how much an ordinary user may still write below dir.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return int64(st.Bavail) * int64(st.Bsize), err //nolint:unconvert // Bsize has 32 bits on 32-bit machines
}

// take sets the room aside.
func (r *reserve) take() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = unix.Fallocate(int(f.Fd()), 0, 0, reserveBytes)
	if errors.Is(err, unix.EOPNOTSUPP) {
		_, err = f.Write(make([]byte, reserveBytes))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("allocate: %w", errors.Join(err, os.Remove(r.path)))
	}
	return nil
}
