package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

func backupNow(ctx context.Context, m market, r request) (backup, error) {
	path := r.text("path", "")
	r.tell("copying the database")
	made, err := m.Backup(ctx, path)
	switch {
	case errors.Is(err, os.ErrExist):
		return backup{}, clnio.Errorf(codeFileExists, "%s exists: a backup replaces no file", clnio.CleanLine(path))
	case errors.Is(err, errNoRoom):
		return backup{}, clnio.Errorf(codeNoRoom, "%s", clnio.CleanLine(err.Error()))
	case err != nil:
		return backup{}, fmt.Errorf("back up: %w", err)
	}
	return made, r.record(ctx, m, "backup", made.Path)
}

// storeCheck is the result of mostro-check.
type storeCheck struct {
	Sound    bool     `json:"sound" about:"nothing is wrong with it"`
	Problems []string `json:"problems" about:"in words, the first 100"`
	Orders   int      `json:"orders" about:"all that were ever made"`
	Holds    int      `json:"holds" about:"hold invoices that have not ended"`
	Owed     int      `json:"owed" about:"messages, events and calls to the node that have not left"`
	Bytes    int64    `json:"file_bytes" about:"size of the file"`
}

func checkStore(ctx context.Context, m market, r request) (storeCheck, error) {
	r.tell("looking at every page and record")
	return m.CheckStore(ctx)
}

// Backup implements market.
func (h *house) Backup(ctx context.Context, path string) (backup, error) {
	return h.copies.Make(ctx, path)
}

// CheckStore implements market. It reads in a transaction of its own, so that trades go on.
func (h *house) CheckStore(context.Context) (c storeCheck, err error) {
	n, err := h.Count()
	if err != nil {
		return c, err
	}
	c = storeCheck{Problems: []string{}, Orders: n.Orders, Holds: n.Holds, Owed: n.Owed}
	if c.Bytes, err = h.store.Size(); err != nil {
		return c, err
	}
	if err := h.store.Check(); err != nil {
		c.Problems = problems(err)
	}
	c.Sound = len(c.Problems) == 0
	return c, nil
}

// maxProblems is how many problems one answer tells; the first ones tell most.
const maxProblems = 100

func problems(err error) []string {
	list := strings.Split(err.Error(), "\n")
	if more := len(list) - maxProblems; more > 0 {
		list = append(list[:maxProblems], fmt.Sprintf("and %d more", more))
	}
	return list
}
