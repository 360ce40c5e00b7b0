package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/orders"
)

// smallDisk mounts a filesystem of its own for the exchange's database.
func smallDisk(t *testing.T, mib int) (dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	err = syscall.Mount("mostro-test", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, fmt.Sprintf("size=%dm,mode=0700", mib))
	if errors.Is(err, os.ErrPermission) {
		t.Skip("only root can mount a small disk: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file until the disk has no room for a byte more.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
}

// diskWarning waits until the operator is told, or is not told any more, that the disk is full.
func diskWarning(ctx context.Context, w *World, full bool) error {
	return until(ctx, fmt.Sprintf("the exchange says that the disk is full: %v", full), func() (bool, error) {
		var info struct {
			Open    bool   `json:"accepts_orders"`
			Warning string `json:"warning_disk"`
		}
		err := w.Node.Call(ctx, "mostro-info", nil, &info)
		return err == nil && (info.Warning != "") == full && info.Open == !full, errors.Join(err, fmt.Errorf("got %+v", info))
	})
}

// sound asks the exchange to look at its whole database.
func sound(ctx context.Context, w *World) error {
	var c struct {
		Sound    bool     `json:"sound"`
		Problems []string `json:"problems"`
	}
	if err := w.Node.Call(ctx, "mostro-check", nil, &c); err != nil || !c.Sound {
		return fmt.Errorf("check: %v, %w", c.Problems, err)
	}
	return nil
}

// The disk has no byte left: new business is refused by name, the trade under way ends to the msat, and once there is
// room everything is as before.
func TestATradeEndsOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, 96)
	w, sim, _ := newWorldSet(t, map[string]any{"mostro-data-dir": disk, "mostro-min-disk-mb": "16"})
	defer w.Leave()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	deals := make([]*Deal, 3)
	for i := range deals {
		var err error
		if deals[i], err = w.NewDeal(ctx, []orders.Kind{orders.Sell, orders.Buy}[i%2], Amount, []orders.Way{orders.Direct, orders.GiftWrap}[i%2]); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range deals[:2] {
		if err := d.PlayUntil(ctx, "meet"); err != nil {
			t.Fatal(err)
		}
	}

	fill(t, filepath.Join(disk, "junk"))
	if err := diskWarning(ctx, w, true); err != nil {
		t.Fatal(err)
	}
	var no *trader.CantDo
	if err := deals[2].Publish(ctx); !errors.As(err, &no) || !errors.Is(err, orders.NotAllowedByStatus) {
		t.Errorf("a new order: %v", err)
	}
	for _, d := range deals[:2] {
		for _, do := range []func(context.Context) error{d.PayFiat, d.Release, d.Finish, d.Settled} {
			if err := do(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(sound(ctx, w), sim.Audit(ctx)); err != nil {
		t.Error(err)
	}
	err := w.Node.Call(ctx, "mostro-backup", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "MiB free, and") {
		t.Errorf("a backup: %v", err)
	}

	if err := os.Remove(filepath.Join(disk, "junk")); err != nil {
		t.Fatal(err)
	}
	if err := diskWarning(ctx, w, false); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(deals[2].Play(ctx), deals[2].Settled(ctx), sim.Audit(ctx)); err != nil {
		t.Error(err)
	}
}

// exchangeProcess finds the exchange of a node.
func exchangeProcess(t *testing.T, sim *Sim) (pid int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		exe, _ := os.Readlink(filepath.Join(p, "exe"))
		dir, _ := os.Readlink(filepath.Join(p, "cwd"))
		if exe == sim.bin.Mostro && strings.HasPrefix(dir, sim.cfg.Dir) {
			pid, err = strconv.Atoi(filepath.Base(p))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("the exchange does not run")
	return 0
}

// limitFiles bounds how long a file the process can write, as `ulimit -f` does; what is beyond fails with EFBIG.
func limitFiles(t *testing.T, pid int, bytes uint64) {
	t.Helper()
	const fileSize = 1 // RLIMIT_FSIZE
	limit := struct{ soft, hard uint64 }{bytes, math.MaxUint64}
	_, _, errno := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(pid), fileSize, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
}

// headOnly is a limit that leaves the head of the database alone: no commit can write its pages.
const headOnly = 8192

// No write succeeds any more: nothing that a trader says meanwhile is lost, though the relay says it once, and the trade
// ends without a restart as soon as the disk works again, or with one.
func TestNothingIsLostWhileNothingCanBeWritten(t *testing.T) {
	w, sim, _ := newWorldWith(t)
	defer w.Leave()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			w.Say = testWriter{t}
			d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.PlayUntil(ctx, "meet"); err != nil {
				t.Fatal(err)
			}
			for _, step := range []func(context.Context) error{d.PayFiat, d.Release} {
				limitFiles(t, exchangeProcess(t, sim), headOnly)
				before, err := w.Status(ctx, d.ID())
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() { done <- step(ctx) }()
				if err := diskWarning(ctx, w, true); err != nil {
					t.Fatal(err)
				}
				if now, err := w.Status(ctx, d.ID()); err != nil || now != before {
					t.Errorf("nothing can be written, and the order went from %s to %s, %v", before, now, err)
				}
				if restart {
					if err := sim.KillPlugin(ctx, sim.bin.Mostro); err != nil {
						t.Fatal(err)
					}
					if err := sim.StartExchange(ctx); err != nil {
						t.Fatal(err)
					}
				} else {
					limitFiles(t, exchangeProcess(t, sim), math.MaxUint64)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(d.Finish(ctx), d.Settled(ctx), diskWarning(ctx, w, false), sound(ctx, w), sim.Audit(ctx)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Under a quota the disk says that it has room, and the file can grow by no more than a little of what it has reserved:
// trades end in that.
func TestATradeEndsUnderAQuota(t *testing.T) {
	w, sim, _ := newWorldWith(t)
	defer w.Leave()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	d, err := w.NewDeal(ctx, orders.Sell, Amount, orders.Direct)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.PlayUntil(ctx, "meet"); err != nil {
		t.Fatal(err)
	}
	pid := exchangeProcess(t, sim)
	limitFiles(t, pid, headOnly)
	done := make(chan error, 1)
	go func() { done <- d.PayFiat(ctx) }()
	if err := diskWarning(ctx, w, true); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(sim.cfg.Dir, "*", "mostro", "mostro.db"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	fi, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	limitFiles(t, pid, uint64(fi.Size())+1<<20)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.Release(ctx), d.Finish(ctx), d.Settled(ctx), sim.Audit(ctx)); err != nil {
		t.Error(err)
	}
}
