//go:build unix && !linux

package main

import "syscall"

// dupOver makes newfd another name of oldfd.
func dupOver(oldfd, newfd int) error { return syscall.Dup2(oldfd, newfd) }
