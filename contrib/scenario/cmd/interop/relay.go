package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	ourrelay "github.com/mostro-cln/mostro/contrib/relay"
)

// relay is where the clients and the exchange meet.
type relay struct {
	url  string // ws://…
	name string // as it calls itself, with its version (NIP-11)
	stop func()
}

// openRelay runs the program at the path, or our own relay.
func openRelay(ctx context.Context, path, dir string) (relay, error) {
	if path != own {
		p, err := startRelay(ctx, path, dir)
		if err != nil {
			return relay{}, err
		}
		return relay{p.url, p.name, p.stop}, nil
	}
	srv, err := ourrelay.Listen(context.WithoutCancel(ctx), "127.0.0.1:0")
	if err != nil {
		return relay{}, err
	}
	return relay{srv.URL, "of this repository", func() { srv.Close() }}, nil
}

// relayProcess is somebody else's relay, listening on loopback.
type relayProcess struct {
	url  string // ws://…
	name string // as it calls itself, with its version (NIP-11)
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// relayConfig says where nostr-rs-relay listens and keeps events, and no more: address, port, directory.
const relayConfig = `[info]
relay_url = "ws://%s/"
[network]
address = "127.0.0.1"
port = %s
[database]
data_directory = %q
`

// startRelay runs nostr-rs-relay and waits until it answers.
func startRelay(ctx context.Context, program, dir string) (*relayProcess, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(address, ":")
	config := filepath.Join(dir, "relay.toml")
	if err := os.WriteFile(config, fmt.Appendf(nil, relayConfig, address, port, dir), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "relay.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has a descriptor of its own
	r := &relayProcess{url: "ws://" + address, cmd: exec.Command(program, "--config", config, "--db", dir), done: make(chan struct{})}
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = dir, log, log
	if err := r.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the relay: %w", err)
	}
	go func() { // ends with the relay
		_ = r.cmd.Wait() // why it ended is in its log
		close(r.done)
	}()
	if r.name, err = r.answers(ctx); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// freeAddress is one on loopback where nobody listens.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answers waits for the relay's information document (NIP-11) and returns the name of its software.
func (r *relayProcess) answers(ctx context.Context) (string, error) {
	for {
		name, err := r.information(ctx)
		if err == nil {
			return name, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the relay: %w", err)
		case <-r.done:
			return "", fmt.Errorf("the relay has ended: %s", r.cmd.ProcessState)
		case <-time.After(100 * time.Millisecond): // it does not say when it is ready
		}
	}
}

func (r *relayProcess) information(ctx context.Context) (string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http"+strings.TrimPrefix(r.url, "ws"), nil)
	if err != nil {
		return "", err
	}
	q.Header.Set("Accept", "application/nostr+json")
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer a.Body.Close()
	var info struct{ Software, Version string }
	if err := json.NewDecoder(a.Body).Decode(&info); err != nil {
		return "", fmt.Errorf("the relay's information: %w", err)
	}
	return filepath.Base(info.Software) + " " + info.Version, nil
}

func (r *relayProcess) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-r.done:
	case <-time.After(5 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.done
	}
}
