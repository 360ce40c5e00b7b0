package main

import "syscall"

// freeBytes is what is free for us on the disk of a directory; -1 if it is not known.
func freeBytes(dir string) int64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil || s.Bsize <= 0 {
		return -1
	}
	return int64(min(s.Bavail, 1<<50/uint64(s.Bsize)) * uint64(s.Bsize)) // a petabyte is enough
}
