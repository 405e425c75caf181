package store

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"greenhouse"
)

// lockFile is the lock on a registry, held by one process for as long as its
// store is open, through restores and reopenings of the registry file itself.
// The kernel lets go of it when the process dies, so a stale lock cannot be.
type lockFile struct{ file *os.File }

// acquire takes the lock, or names the process that has it.
func acquire(path string) (*lockFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fileError("open registry lock", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(held(path), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fileError("lock registry", err), f.Close())
	}
	l := &lockFile{file: f}
	if err := l.sign(); err != nil {
		return nil, errors.Join(fileError("write registry lock", err), l.release())
	}
	return l, nil
}

// sign writes the pid of this process into the lock file.
func (l *lockFile) sign() error {
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release gives the lock back. The file stays, for removing it would race with
// the next owner.
func (l *lockFile) release() error { return l.file.Close() }

// held is the error for a lock that another process has.
func held(path string) error {
	owner := "another process"
	if b, err := os.ReadFile(path); err == nil {
		if pid := strings.TrimSpace(string(b)); pid != "" {
			owner = "process " + pid
		}
	}
	return greenhouse.Unavailable("registry_locked", "the registry %s is in use by %s", strings.TrimSuffix(path, ".lock"), owner).
		WithHint("only one edged may run on a data directory: stop that one, or give this one another --data-dir")
}

// fileError tells a failure of the file system in the terms of this module.
func fileError(doing string, err error) error {
	e := greenhouse.Unavailable("registry_io", "%s: %v", doing, err).WithHint("check the data directory and the disk under it")
	switch {
	case errors.Is(err, os.ErrPermission):
		_ = e.WithHint("the data directory must belong to the user that edged runs as")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		_ = e.WithHint("the disk is full: free some space")
	case errors.Is(err, syscall.EROFS):
		_ = e.WithHint("the file system is read-only: check the disk, an SD card at its end does this")
	case errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.EEXIST):
		_ = e.WithHint("the path must be a plain file in a directory")
	}
	return because(e, err)
}

// causedError is an error for people that keeps what caused it for errors.Is,
// without saying it twice.
type causedError struct {
	told  *greenhouse.Error
	cause error
}

// because returns e with its cause.
func because(e *greenhouse.Error, cause error) error { return &causedError{e, cause} }

// Error returns what is told.
func (e *causedError) Error() string { return e.told.Error() }

// Unwrap returns both.
func (e *causedError) Unwrap() []error { return []error{e.told, e.cause} }
