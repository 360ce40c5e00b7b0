package orders

import (
	"os"
	"syscall"
)

// keepSize is FALLOC_FL_KEEP_SIZE of fallocate(2).
const keepSize = 0x01

func allocate(f *os.File, from, n int64) error {
	for {
		if err := syscall.Fallocate(int(f.Fd()), keepSize, from, n); err != syscall.EINTR {
			return err
		}
	}
}
