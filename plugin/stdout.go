package main

import (
	"fmt"
	"os"
	"syscall"
)

// takeStdout returns the process's standard output and leaves stderr in its place. lightningd kills a plugin that
// writes anything but JSON there, and glightning prints to it when a parameter has the wrong type.
func takeStdout() (*os.File, error) {
	fd, err := syscall.Dup(syscall.Stdout)
	if err != nil {
		return nil, fmt.Errorf("take standard output: %w", err)
	}
	syscall.CloseOnExec(fd)
	if err := dupOver(syscall.Stderr, syscall.Stdout); err != nil {
		return nil, fmt.Errorf("put stderr in place of standard output: %w", err)
	}
	return os.NewFile(uintptr(fd), "lightningd"), nil
}
