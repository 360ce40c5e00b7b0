package scenario

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mostro-cln/mostro/orders"
)

// bitcoind is a chain of its own: regtest, on loopback, with no peer.
type bitcoind struct {
	*daemon
	dir   string
	port  int
	miner string // address that block rewards go to
}

// firstBlocks make ten block rewards spendable, so that no payment waits for another one's change. They also end
// bitcoind's initial block download, for which every lightningd would wait. And they keep lock times, which a wallet may
// put back by a hundred blocks, above 21: a build of bitcoind with more policy than most takes that one for spam.
const firstBlocks = 150

func startBitcoind(ctx context.Context, dir string) (*bitcoind, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	b := &bitcoind{dir: dir, port: port}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// -fallbackfee: regtest has no fee estimates. The work queue: every lightningd asks once a second.
	b.daemon, err = launch(filepath.Join(dir, "out"), "bitcoind", "-datadir="+dir, "-regtest", "-server", "-listen=0",
		"-dnsseed=0", "-discover=0", "-rpcbind=127.0.0.1", "-rpcallowip=127.0.0.1", "-rpcport="+strconv.Itoa(port),
		"-rpcthreads=16", "-rpcworkqueue=256", "-fallbackfee=0.00001", "-printtoconsole=0")
	if err != nil {
		return nil, err
	}
	err = until(ctx, "bitcoind answers", func() (bool, error) {
		if !b.alive() {
			return true, nil
		}
		_, err := b.cli(ctx, "getblockcount")
		return err == nil, err
	})
	if err == nil && !b.alive() {
		err = fmt.Errorf("bitcoind ended: %s", tail(b.out, 5))
	}
	if err != nil {
		return b, err
	}
	if _, err := b.cli(ctx, "createwallet", "w"); err != nil {
		return b, err
	}
	if b.miner, err = b.cli(ctx, "getnewaddress"); err != nil {
		return b, err
	}
	return b, b.mine(ctx, firstBlocks)
}

// cli runs bitcoin-cli and returns what it prints.
func (b *bitcoind) cli(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "bitcoin-cli", append([]string{"-datadir=" + b.dir, "-regtest", "-rpcport=" + strconv.Itoa(b.port)}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("bitcoin-cli %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// mine adds blocks, all at once.
func (b *bitcoind) mine(ctx context.Context, blocks int) error {
	_, err := b.cli(ctx, "generatetoaddress", strconv.Itoa(blocks), b.miner)
	return err
}

func (b *bitcoind) height(ctx context.Context) (uint32, error) {
	out, err := b.cli(ctx, "getblockcount")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(out, 10, 32)
	return uint32(n), err
}

// send pays an address. The transaction waits for a block.
func (b *bitcoind) send(ctx context.Context, address string, amount orders.Sats) error {
	_, err := b.cli(ctx, "sendtoaddress", address, fmt.Sprintf("%d.%08d", amount/1e8, amount%1e8))
	return err
}
