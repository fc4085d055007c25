package testenv

import "syscall"

// inMemory tells whether the file system of dir keeps its files in memory: its
// magic number (statfs(2)) is that of tmpfs or ramfs.
func inMemory(dir string) bool {
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return true
	}
	return uint32(fs.Type) == tmpfs || uint32(fs.Type) == ramfs
}
