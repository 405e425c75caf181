package store

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"greenhouse"
)

// refuseNetwork refuses a directory on a network file system: locks and maps
// are not to be trusted there, so two daemons could write one registry.
func refuseNetwork(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		if errors.Is(err, syscall.ENOSYS) {
			return nil
		}
		return fileError("look at data directory", err)
	}
	var name string
	switch uint32(st.Type) {
	case unix.NFS_SUPER_MAGIC:
		name = "NFS"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		name = "SMB"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		name = "AFS"
	default:
		return nil
	}
	return greenhouse.Invalid("registry_network", "the data directory %s is on a network file system (%s), where a lock and a map cannot be trusted", dir, name).
		WithHint("choose a --data-dir on a disk of this machine")
}
