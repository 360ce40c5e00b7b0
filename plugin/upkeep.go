package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mostro-cln/mostro/plugin/clnio"
)

const (
	codeFileExists = 3007 // mostro-backup was given a path that is taken
	codeNoRoom     = 3008 // the disk has no room for the backup
)

var pathParam = paramKind{"an absolute path", func(token string, isText bool) (string, bool) {
	return token, isText && filepath.IsAbs(token) && !strings.ContainsRune(token, 0)
}}

func backupNow(ctx context.Context, m market, a args) (any, error) {
	made, err := m.Backup(ctx, a.text("path", ""))
	switch {
	case errors.Is(err, os.ErrExist):
		return nil, clnio.Errorf(codeFileExists, "%s exists: a backup replaces no file", clnio.CleanLine(a.text("path", "")))
	case errors.Is(err, errNoRoom):
		return nil, clnio.Errorf(codeNoRoom, "%s", clnio.CleanLine(err.Error()))
	case err != nil:
		return nil, fmt.Errorf("back up: %w", err)
	}
	return made, nil
}

// storeCheck is the result of mostro-check.
type storeCheck struct {
	Sound    bool     `json:"sound"`
	Problems []string `json:"problems"`
	Orders   int      `json:"orders"`
	Holds    int      `json:"holds"` // that have not ended
	Owed     int      `json:"owed"`  // effects that still have to leave
	Bytes    int64    `json:"file_bytes"`
}

func checkStore(ctx context.Context, m market, _ args) (any, error) { return m.CheckStore(ctx) }

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
