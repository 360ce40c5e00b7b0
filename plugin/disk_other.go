//go:build !linux

package main

// freeBytes is what is free for us on the disk of a directory; -1: not known.
func freeBytes(string) int64 { return -1 }
