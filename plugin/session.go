package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// loadSession returns a name for the present run of lightningd, kept in a file of the data directory: a new one when
// lightningd itself starts, the one before when only this plugin does. A payment call of another session is over,
// whatever became of its answer. A name that is too old is harmless: we then wait longer than needed. So the old one
// stays where a full disk takes no new one.
func loadSession(dir string, startup bool) (string, error) {
	path := filepath.Join(dir, "session")
	text, err := os.ReadFile(path)
	old := strings.TrimSpace(string(text))
	switch {
	case !startup && old != "":
		return old, nil
	case !startup && err != nil && !errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("read the session: %w", err)
	}
	var b [8]byte
	rand.Read(b[:])
	name := hex.EncodeToString(b[:])
	if err := writeFile(path, []byte(name+"\n")); err != nil {
		if old != "" {
			return old, nil
		}
		return "", fmt.Errorf("write the session: %w", err)
	}
	return name, nil
}

// writeFile replaces a file so that a crash leaves the old one or the new one.
func writeFile(path string, content []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
