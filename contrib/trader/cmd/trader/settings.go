package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mostro-cln/mostro/contrib/trader"
	"github.com/mostro-cln/mostro/orders"
)

// settings are kept in the home directory, so that they need not be given each time.
type settings struct {
	Relays  []string   `json:"relays"`
	Mostro  string     `json:"mostro"`
	Way     orders.Way `json:"way,omitempty"`
	Private bool       `json:"private,omitempty"`
}

const (
	settingsFile = "settings.json"
	mnemonicFile = "mnemonic" // the words and a new line; mode 0600
)

// load reads the kept settings; what the command line gave stands above them.
func (a *app) load(given settings) error {
	path := filepath.Join(a.home, settingsFile)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read settings: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(data, &a.config); err != nil {
			return fmt.Errorf("read settings %s: %w", path, err)
		}
	}
	if len(given.Relays) > 0 {
		a.config.Relays = given.Relays
	}
	if given.Mostro != "" {
		a.config.Mostro = given.Mostro
	}
	if given.Way != 0 {
		a.config.Way = given.Way
	}
	a.config.Private = a.config.Private || given.Private
	return nil
}

// initHome makes the home directory with a new mnemonic, unless there is one, and keeps the settings.
func (a *app) initHome() error {
	if err := os.MkdirAll(a.home, 0o700); err != nil {
		return fmt.Errorf("make home: %w", err)
	}
	data, err := json.MarshalIndent(a.config, "", "\t")
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	if err := os.WriteFile(filepath.Join(a.home, settingsFile), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("keep settings: %w", err)
	}
	path := filepath.Join(a.home, mnemonicFile)
	// O_EXCL: an identity that is there is never written over.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		fmt.Fprintf(a.out, "settings kept; the mnemonic in %s stays as it is\n", path)
		return nil
	}
	if err != nil {
		return fmt.Errorf("make mnemonic: %w", err)
	}
	words, err := trader.NewMnemonic()
	if err == nil {
		_, err = f.WriteString(words + "\n")
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("make mnemonic: %w", err)
	}
	fmt.Fprintf(a.out, "new mnemonic in %s: copy it to a safe place, it is your identity\n", path)
	return nil
}

func (a *app) mnemonic() (string, error) {
	if a.config.Mostro == "" || len(a.config.Relays) == 0 {
		return "", fmt.Errorf("%w: name the Mostro and a relay: trader -relay URL -mostro KEY init", errUsage)
	}
	data, err := os.ReadFile(filepath.Join(a.home, mnemonicFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: there is no mnemonic in %s yet: trader init", errUsage, a.home)
	}
	if err != nil {
		return "", fmt.Errorf("read mnemonic: %w", err)
	}
	return strings.Join(strings.Fields(string(data)), " "), nil
}
