//go:build !linux

package telemetry

import (
	"math"
	"os"
)

// syncData syncs everything where there is no fdatasync.
func syncData(f *os.File) error { return f.Sync() }

// freeBytes is unknown here, which never pauses anything.
func freeBytes(string) (uint64, error) { return math.MaxInt64, nil }

// sizeOnDisk returns the length of the file.
func sizeOnDisk(info os.FileInfo) int64 { return info.Size() }

// lockFile does nothing here: the registry's lock must suffice.
func lockFile(*os.File) error { return nil }
