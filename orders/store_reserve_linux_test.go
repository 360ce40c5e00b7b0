package orders

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

func TestRoomIsHeldWithoutALongerFile(t *testing.T) {
	w, id, _ := tradeIn(t, FiatSent)
	before, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	const room = 4 << 20
	if err := w.e.Reserve(room); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("the filesystem of the test's directory holds no room: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(w.path)
	if err != nil {
		t.Fatal(err)
	}
	if held := after.Sys().(*syscall.Stat_t).Blocks - before.Sys().(*syscall.Stat_t).Blocks; held*512 < room/2 || after.Size() != before.Size() {
		t.Errorf("%d bytes more are held, of %d; the file had %d bytes, and has %d", held*512, room, before.Size(), after.Size())
	}
	if err := w.e.Reserve(room); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if err := w.e.Reserve(1 << 60); err == nil {
		t.Error("an exbibyte is held")
	}
	if err := w.store.Check(); err != nil {
		t.Error(err)
	}
	w.restart()
	w.want(id, FiatSent)
	if err := w.e.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
