// Command webworld is a whole world for tests of a client: relays, one exchange or two on simulated Lightning nodes with
// the real plugins, wallets, prices; and a control API over HTTP with which a test plays everything that is not the
// client. It listens on loopback only.
//
//	make build
//	go build -o bin/webworld ./contrib/scenario/cmd/webworld
//	bin/webworld -bin bin -exchanges 2
//
// When all is ready it prints one line of JSON on stdout and nothing else (log lines go to stderr with -v):
//
//	{"control":"http://127.0.0.1:4123/k3…",          every path below begins with it
//	 "relays":["ws://127.0.0.1:4001"],
//	 "exchanges":[{"exchange":0,"name":"Alpha","pubkey":"…","npub":"…","nsec":"…","fee":"0.006","fee_payer":"seller",
//	               "transport":2,"web":"http://127.0.0.1:4002","node_id":"…","rpc_dir":"/tmp/…","rpc_file":"/tmp/…/lightning-rpc"}],
//	 "solvers":[{"pubkey":"…","npub":"…","nsec":"…"},…],
//	 "log":"/tmp/…/log"}
//
// nsec is the exchange's own key, which the protocol takes for an admin's. The solvers are two fresh keys that nobody has
// named a solver yet (/solver). With two exchanges the second has another name, another fee, which
// both sides share, and asks clients for gift wraps (-transport).
//
// The program ends on SIGTERM or SIGINT, and when its stdin closes if that is a pipe; it takes everything with it.
//
// # Control API
//
// Every call is a POST with a JSON object, which may be empty, and answers with JSON: 200, or another status and
// {"error":"…"}. A member that is not known is an error. Amounts are in sat where the name ends in sats, in msat where it
// ends in msat. "exchange" and "relay" are numbers from 0, the default. A wallet is made when it is first named, with
// 1,000,000 sat at each exchange's node. GET of the control address itself gives the first line again. CORS is open:
// the address is the secret.
//
// Lightning:
//
//	/wallets   {wallet?,sats?}                   makes a wallet of so many sats; → {"wallets":[{exchange,wallet,available_msat,locked_msat}]}
//	/invoice   {wallet,sats,exchange?,description?,expiry_seconds?}    → {bolt11,payment_hash,expires_at}
//	/offer     {wallet,exchange?,bip353?}        → {offer}, BOLT 12; the exchange's node resolves the name, if one is given
//	/lnurl     {wallet,exchange?}                → {lnurl}, a pay service (LUD-06) of that wallet
//	/received  {wallet,exchange?}                → {"invoices":[{label,payment_hash,bolt11,amount_msat,paid_msat}]}
//	/pay       {wallet,bolt11,…}                 begins to pay an exchange's hold invoice; → {payment_hash,status}
//	           after_ms: later. never: not at all; status is then "waiting". parts: in so many HTLCs. missing_part: the one
//	           that never comes; the others are held for a minute. pay_sats: another amount, so underpaid or overpaid.
//	           wrong_secret: as a forger.
//	           wait_ms: answer when it has ended, or so much later
//	/payment   {wallet,bolt11,wait_ms?}          → {payment_hash,status,preimage?,message?}; status is waiting, pending, complete or failed
//	/decode    {string,exchange?}                what a node says of an invoice or offer
//	/audit     {}                                → {"ok":true,"nodes":[{exchange,total_msat,minted_msat,node_msat,…}]}; ok: no msat came or went
//	/mine      {blocks?}                         on every node
//	/clock     {seconds}                         moves the nodes' clocks; the exchanges' own is the machine's, so make their
//	                                             times short instead: -option mostro-expiration-seconds=10
//
// Disturbances:
//
//	/relay     {do,relay?}                       stop, start (events are kept), disconnect (clients may come back at once),
//	                                             forget (all events are lost), close-subscriptions
//	/faults    {relay?,delay_ms?,duplicate?,lose?,drop_ok?,refuse?}     what a relay does from now on; {} mends it.
//	                                             refuse is the reason given to every event, such as "blocked: no"
//	/exchange  {do,exchange?}                    kill, stop, start, restart (killed and started), kill-node, start-node;
//	                                             a start answers when orders are taken again
//	/rpc       {method,params?,exchange?}        any call of the node's RPC
//
// Orders and people:
//
//	/orders    {exchange?,status?,limit?}        as mostro-listorders has them; status may be open
//	/order     {order_id,exchange?}              as mostro-showorder has it
//	/events    {relay?,filter}                   stored events that match a filter of NIP-01
//	/seed      {count,exchange?,real?}           puts orders on the book. They are events signed by the exchange's key, fast,
//	                                             and not to be taken; with real, orders that traders make. → {"order_ids":[…]}
//	/partner   {do,…,exchange?}                  a trader who plays one side by himself: pays, invoices, says that the fiat
//	                                             was sent, releases. make {kind,sats?,fiat?,fiat_amount?,min?,max?,premium?,
//	                                             method?} makes the order, take {order_id,kind,fiat_amount?} takes one.
//	                                             → {order_id,wallet}. transport: 1 or 2, as the exchange asks if not given
//	/dispute   {do,…,exchange?}                  an admin: take {dispute_id?} takes a dispute, the only open one if none is
//	                                             named, → {dispute_id,order_id,admin}; settle {order_id} decides for the
//	                                             buyer, cancel {order_id} for the seller
//	/solver    {pubkey,level?,exchange?}         that admin names a solver, read-write if not said to be read
//	/partners  {}                                → {"partners":[{order_id,wallet,state,error?}]}; state is playing, done or failed
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var stdin io.Reader
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0 {
		stdin = os.Stdin // of a parent who may go away; /dev/null would end us at once
	}
	os.Exit(run(ctx, os.Args[1:], stdin, os.Stdout, os.Stderr))
}

// run is the whole program. It ends with ctx, or with stdin unless that is nil.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s := settings{}
	flags := flag.NewFlagSet("webworld", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.bin, "bin", "bin", "`folder` with the built plugins")
	flags.IntVar(&s.exchanges, "exchanges", 1, "how many exchanges, 1 or 2")
	flags.IntVar(&s.relays, "relays", 1, "how many relays, 1 to 5")
	flags.StringVar(&s.listen, "listen", "127.0.0.1:0", "loopback `address` of the control API; port 0 takes a free one")
	flags.StringVar(&s.transports, "transport", "2,1", "transports that the exchanges ask clients for: 1 gift wrap, 2 direct")
	flags.Var(&s.options, "option", "`name=value` of an option of all exchanges; may be given several times")
	flags.BoolVar(&s.verbose, "v", false, "tell on stderr what goes on")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if err := s.check(flags.Args()); err != nil {
		fmt.Fprintln(stderr, "webworld:", err)
		return 2
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if stdin != nil {
		go func() { // ends with its parent, or with the process
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	if err := serve(ctx, s, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "webworld:", err)
		return 1
	}
	return 0
}

// serve builds the world, tells of it and keeps it until ctx ends.
func serve(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	w, err := newWorld(ctx, s, stderr)
	if err != nil {
		return err
	}
	defer w.close()
	hangUp, err := w.listen(s.listen)
	if err != nil {
		return err
	}
	defer hangUp()
	line, err := json.Marshal(w.about)
	if err != nil {
		return fmt.Errorf("describe the world: %w", err)
	}
	if _, err := fmt.Fprintf(stdout, "%s\n", line); err != nil {
		return fmt.Errorf("tell that all is ready: %w", err)
	}
	<-ctx.Done()
	return nil
}

// optionList is a flag that may be given several times.
type optionList map[string]any

func (o *optionList) String() string { return "" }

func (o *optionList) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || !strings.HasPrefix(name, "mostro-") {
		return errors.New("want mostro-…=value")
	}
	if *o == nil {
		*o = optionList{}
	}
	(*o)[name] = value
	return nil
}
