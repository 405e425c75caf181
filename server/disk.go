//go:build unix

package server

import (
	"fmt"
	"syscall"
)

// diskUse returns how much of the file system of dir is in use, 0 to 1, and how
// many bytes are free for us.
func diskUse(dir string) (used float64, free uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	size := uint64(st.Bsize) //nolint:gosec // a block size is positive
	if total := st.Blocks - st.Bfree + st.Bavail; total > 0 {
		used = float64(st.Blocks-st.Bfree) / float64(total)
	}
	return used, st.Bavail * size, nil
}
