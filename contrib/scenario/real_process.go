package scenario

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// daemon is a program that we have started, with everything that it starts in turn: they share a process group.
type daemon struct {
	cmd *exec.Cmd
	out string        // path of what it prints
	end chan struct{} // closed when it has ended and was waited for
}

// launch starts a program. What it prints is added to the file at out.
func launch(out, program string, args ...string) (*daemon, error) {
	return launchWith(nil, out, program, args...)
}

// launchWith adds to the environment.
func launchWith(env []string, out, program string, args ...string) (*daemon, error) {
	f, err := os.OpenFile(out, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	defer f.Close() // the program has a descriptor of its own
	d := &daemon{cmd: exec.Command(program, args...), out: out, end: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = f, f
	d.cmd.Env = append(os.Environ(), env...)
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() { // ends with the program
		_ = d.cmd.Wait() // how it ended is in its log
		close(d.end)
	}()
	return d, nil
}

func (d *daemon) alive() bool {
	select {
	case <-d.end:
		return false
	default:
		return true
	}
}

// kill ends the program as a power cut would. What it has started sees the end of its pipes and must go by itself; what
// is still there after goneLimit is killed and reported.
func (d *daemon) kill(ctx context.Context) error {
	_ = d.cmd.Process.Kill() // it may be dead already
	<-d.end
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGCONT) // of those that are frozen
	return d.gone(ctx)
}

const goneLimit = 10 * time.Second

// gone waits until nothing of the group runs any more.
func (d *daemon) gone(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goneLimit)
	defer cancel()
	err := until(ctx, "the programs of "+filepath.Base(d.cmd.Path)+" are gone", func() (bool, error) {
		left, err := d.group()
		if err != nil || len(left) == 0 {
			return err == nil, err
		}
		return false, fmt.Errorf("left are %v", left)
	})
	if err != nil {
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}

// task is one process as /proc shows it.
type task struct {
	pid, parent, group int
	dead               bool   // ended, and its parent has not asked how
	program            string // file name of its first argument
}

func (t task) String() string { return fmt.Sprintf("%s (%d)", t.program, t.pid) }

// group lists what runs in the daemon's process group.
func (d *daemon) group() (list []task, err error) {
	all, err := tasks()
	for _, t := range all {
		if t.group == d.cmd.Process.Pid && !t.dead {
			list = append(list, t)
		}
	}
	return list, err
}

// child finds a process by the file name of its program, among those that the daemon has started itself.
func (d *daemon) child(program string) (task, error) {
	all, err := tasks()
	for _, t := range all {
		if t.parent == d.cmd.Process.Pid && t.program == program && !t.dead {
			return t, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%s has no child %s", filepath.Base(d.cmd.Path), program)
	}
	return task{}, err
}

// tasks lists every process of the machine that we may see.
func tasks() ([]task, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no processes in /proc: this needs Linux")
	}
	var list []task
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		args, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		if err != nil {
			continue
		}
		if t, ok := parseTask(string(stat), string(args)); ok {
			list = append(list, t)
		}
	}
	return list, nil
}

// parseTask reads /proc/PID/stat, "pid (name) state ppid pgrp …", and /proc/PID/cmdline, arguments that end in NUL. A
// name may hold blanks and brackets, so what counts is its last bracket.
func parseTask(stat, cmdline string) (t task, ok bool) {
	head, tail, found := cutLast(stat, ')')
	pid, _, named := strings.Cut(head, " (")
	fields := strings.Fields(tail)
	if !found || !named || len(fields) < 3 {
		return task{}, false
	}
	var errs [3]error
	t.pid, errs[0] = strconv.Atoi(pid)
	t.parent, errs[1] = strconv.Atoi(fields[1])
	t.group, errs[2] = strconv.Atoi(fields[2])
	t.dead = fields[0] == "Z" || fields[0] == "X"
	first, _, _ := strings.Cut(cmdline, "\x00")
	t.program = filepath.Base(first)
	return t, errs == [3]error{}
}

func cutLast(s string, b byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, b)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// freePort asks the kernel for a port of 127.0.0.1 that nobody uses.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// tail returns the last lines of a file, or why there are none.
func tail(path string, lines int) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
