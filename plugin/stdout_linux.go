package main

import "syscall"

// dupOver makes newfd another name of oldfd. Not every Linux has dup2.
func dupOver(oldfd, newfd int) error { return syscall.Dup3(oldfd, newfd, 0) }
