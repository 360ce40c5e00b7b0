package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/orders"
)

// Config is what the options and lightningd's `init` say, judged once. Every field has been checked: nothing behind
// this door looks at an option's text again.
type Config struct {
	// From lightningd.
	LightningDir string // the network's directory, for example ~/.lightning/bitcoin
	RPCFile      string // path of the node's RPC socket
	Network      string // "bitcoin", "testnet", "signet", "regtest"
	Proxy        string // host:port of the node's SOCKS5 proxy; empty: none
	ProxyAll     bool   // the node sends everything through it, and so do we
	Startup      bool   // lightningd itself is starting, as against `plugin start`

	// The node on Nostr.
	Relays   []string // ws:// or wss:// URLs, each once, in the order given
	NsecFile string   // empty: the key is derived from the node's own secret
	Name     string
	About    string
	Picture  string
	Website  string
	Admins   []orders.PubKey // beside the exchange's own key

	// What may be traded, and for how much.
	Fee               orders.PPM // of the order's amount, the whole fee
	FeePayer          orders.FeePayer
	MinOrder          orders.Sats
	MaxOrder          orders.Sats
	FiatCurrencies    []string // upper case; empty: all
	OrdersPerResponse int
	MaxOpenOrders     int // of one identity; 0: no limit

	// Prices of orders at the market price.
	PriceSources  []priceSource
	PriceInterval time.Duration
	PriceMaxAge   time.Duration
	PublishRates  bool

	// How long things wait.
	OrderLife     time.Duration // a pending order, unless its maker chose another time
	MaxOrderLife  time.Duration
	WaitingLife   time.Duration // the seller to pay, the buyer to give an invoice
	TradeTime     time.Duration // from locked to released, in expected blocks
	HoldCLTV      uint32        // follows from TradeTime, blocks
	InvoiceWindow time.Duration // what a buyer's invoice must still have to live
	MessageWindow time.Duration // how old a client's message may be

	// Paying the buyer.
	MaxRoutingFee   orders.PPM
	PaymentAttempts int
	PaymentInterval time.Duration

	// What we publish, and for how long.
	OrderRetention   time.Duration
	RatingRetention  time.Duration
	DisputeRetention time.Duration
	InfoInterval     time.Duration
	RelaysInterval   time.Duration

	// The spam gate, in leading zero bits of an event's id (NIP-13).
	PoW             int
	PoWFirstContact int // at least PoW

	WebListen string // IP:port of the web client; empty: it is not served
	WebPublic bool   // WebListen may be an address that other machines reach

	DataDir     string        // absolute
	BackupEvery time.Duration // 0: on the operator's word only
	BackupKeep  int
	MinDiskMiB  int           // free, for new orders; 0: no limit
	KeepOrders  time.Duration // ended ones; 0: for ever
}

// option is one row of the table. lightningd is told that every option is a string, whatever we make of it: it
// stops the whole node over a bad int of a plugin, and would tell of one mistake at a time.
type option struct {
	name  string
	value string // the default; empty: none
	about string
	rule  rule
}

// defaultRelays are public relays that Mostro clients ask by default. None of them has to be up for us to start.
const defaultRelays = "wss://relay.mostro.network,wss://nos.lol,wss://relay.damus.io"

// options is every setting there is. Units are part of a name where the name alone would leave a doubt.
var options = []option{
	{"mostro-relays", defaultRelays, "Nostr relays to listen to and publish on, separated by commas", relays(func(c *Config) *[]string { return &c.Relays })},
	{"mostro-nsec-file", "", "file with the exchange's Nostr key (nsec or hex), readable by you alone; without it the key is derived from the node's own secret", keyFile(func(c *Config) *string { return &c.NsecFile })},
	{"mostro-data-dir", "", "directory of the exchange's database; `mostro` in lightningd's network directory if not given", text(4096, func(c *Config) *string { return &c.DataDir })},
	{"mostro-backup-hours", "24", "time between two backups of the database, in `backups` in its directory, hours; 0 is none", span(time.Hour, 0, 8760, func(c *Config) *time.Duration { return &c.BackupEvery })},
	{"mostro-backup-keep", "7", "how many of these backups are kept, the newest ones", number(1, 10_000, func(c *Config) *int { return &c.BackupKeep })},
	{"mostro-min-disk-mb", "256", "free space on the database's disk below which new orders and takes are refused, MiB; trades under way go on; 0 is no limit", number(0, 1<<20, func(c *Config) *int { return &c.MinDiskMiB })},
	{"mostro-keep-orders-days", "730", "how long the database keeps an order that has ended, with its history and ledger, days, at least 60; 0 is for ever", span(24*time.Hour, 0, 36_500, func(c *Config) *time.Duration { return &c.KeepOrders })},
	{"mostro-name", "", "name in the exchange's public profile", text(100, func(c *Config) *string { return &c.Name })},
	{"mostro-about", "", "what the public profile says about the exchange", text(1000, func(c *Config) *string { return &c.About })},
	{"mostro-picture", "", "address of the profile's picture", webAddress(func(c *Config) *string { return &c.Picture })},
	{"mostro-admins", "", "keys beside the exchange's own that may name solvers and take disputes over Nostr, and that hear there of disputes and alerts, npub or hex, separated by commas", pubkeys(func(c *Config) *[]orders.PubKey { return &c.Admins })},
	{"mostro-website", "", "address of the exchange's website", webAddress(func(c *Config) *string { return &c.Website })},

	{"mostro-fee", "0.006", "fee of a trade as a fraction of its amount: 0.006 is 0.6 %", fraction(100_000, func(c *Config) *orders.PPM { return &c.Fee })},
	{"mostro-fee-payer", "seller", "who pays the fee: the seller all of it, or both sides half of it", oneOf(func(c *Config, s string) { c.FeePayer = orders.FeePayer(s) }, string(orders.FeeBySeller), string(orders.FeeSplit))},
	{"mostro-min-order-sats", "100", "smallest order, sats", amount(1, 100_000_000, func(c *Config) *orders.Sats { return &c.MinOrder })},
	{"mostro-max-order-sats", "1000000", "largest order, sats; what the node can lose in one trade if everything goes wrong", amount(1, 1_000_000_000, func(c *Config) *orders.Sats { return &c.MaxOrder })},
	{"mostro-fiat-currencies", "", "currencies that orders may use, separated by commas; all if not given", currencies(func(c *Config) *[]string { return &c.FiatCurrencies })},
	{"mostro-max-orders-per-response", "10", "orders that one answer to a client may hold", number(1, 100, func(c *Config) *int { return &c.OrdersPerResponse })},

	{"mostro-max-open-orders", "20", "orders that one user may have open at once; 0 is no limit", number(0, 10_000, func(c *Config) *int { return &c.MaxOpenOrders })},

	{"mostro-price-sources", "yadio,coingecko,blockchain,currency_api,cln", "where prices come from, separated by commas; cln is the node's own currencyrate plugin, and name=URL replaces a source's address", priceSources},
	{"mostro-price-interval-seconds", "300", "time between two looks at the prices, seconds", span(time.Second, 60, 86_400, func(c *Config) *time.Duration { return &c.PriceInterval })},
	{"mostro-price-max-age-seconds", "1800", "how old a price may be before orders at the market price are refused, seconds", span(time.Second, 60, 86_400, func(c *Config) *time.Duration { return &c.PriceMaxAge })},
	{"mostro-publish-rates", "true", "publish the prices on Nostr: true or false", oneOf(func(c *Config, s string) { c.PublishRates = s == "true" }, "true", "false")},

	{"mostro-expiration-hours", "24", "how long an order waits for a taker, hours", span(time.Hour, 1, 720, func(c *Config) *time.Duration { return &c.OrderLife })},
	{"mostro-max-expiration-days", "15", "longest such wait that a maker may choose, days", span(24*time.Hour, 1, 90, func(c *Config) *time.Duration { return &c.MaxOrderLife })},
	{"mostro-expiration-seconds", "900", "how long a taken order waits for the seller's payment and for the buyer's invoice, seconds each", span(time.Second, 10, 86_400, func(c *Config) *time.Duration { return &c.WaitingLife })},
	{"mostro-trade-hours", "24", "how long the sats can stay locked for payment, release and dispute, hours; the hold invoice's CLTV follows from it (24 hours are 215 blocks)", span(time.Hour, 1, maxTradeHours, func(c *Config) *time.Duration { return &c.TradeTime })},
	{"mostro-invoice-window-seconds", "3600", "how long a buyer's invoice must still be valid when it is given, seconds", span(time.Second, 60, 604_800, func(c *Config) *time.Duration { return &c.InvoiceWindow })},
	{"mostro-message-window-seconds", "86400", "how old a client's message may be when it reaches us, seconds", span(time.Second, 60, 604_800, func(c *Config) *time.Duration { return &c.MessageWindow })},

	{"mostro-max-routing-fee", "0.002", "most that paying the buyer may cost, as a fraction of the payment; the exchange pays it from its fee", fraction(50_000, func(c *Config) *orders.PPM { return &c.MaxRoutingFee })},
	{"mostro-payment-attempts", "3", "attempts to pay the buyer before we ask for another invoice", number(1, 20, func(c *Config) *int { return &c.PaymentAttempts })},
	{"mostro-payment-interval-seconds", "60", "time between two such attempts, seconds", span(time.Second, 1, 86_400, func(c *Config) *time.Duration { return &c.PaymentInterval })},

	{"mostro-pow", "0", "proof of work that a client's event must carry, bits (NIP-13)", number(0, maxPoW, func(c *Config) *int { return &c.PoW })},
	{"mostro-pow-first-contact", "", "the same for keys that we don't know yet; as `mostro-pow` if not given", orEmpty(number(0, maxPoW, func(c *Config) *int { return &c.PoWFirstContact }))},

	{"mostro-order-days", "30", "how long relays keep an order's event, days", span(24*time.Hour, 1, 3650, func(c *Config) *time.Duration { return &c.OrderRetention })},
	{"mostro-rating-days", "90", "how long relays keep a user's rating, days", span(24*time.Hour, 1, 3650, func(c *Config) *time.Duration { return &c.RatingRetention })},
	{"mostro-dispute-days", "90", "how long relays keep a dispute's event, days", span(24*time.Hour, 1, 3650, func(c *Config) *time.Duration { return &c.DisputeRetention })},
	{"mostro-info-interval-seconds", "300", "time between two announcements of the exchange, seconds", span(time.Second, 10, 86_400, func(c *Config) *time.Duration { return &c.InfoInterval })},
	{"mostro-relays-interval-seconds", "60", "time between two looks at the relay list that we publish, seconds", span(time.Second, 10, 86_400, func(c *Config) *time.Duration { return &c.RelaysInterval })},

	{"mostro-web-listen", "", "where to serve the web client, for example `127.0.0.1:8080`; it is not served if not given", listenAddress(func(c *Config) *string { return &c.WebListen })},
	{"mostro-web-public", "false", "let `mostro-web-listen` be an address that other machines reach, without TLS: true or false", oneOf(func(c *Config, s string) { c.WebPublic = s == "true" }, "true", "false")},
}

// mistakes is every option that could not be used, told at once: a restart of a node is dear.
type mistakes []string

func (m mistakes) Error() string {
	if len(m) == 1 {
		return "1 option to mend: " + m[0]
	}
	return fmt.Sprintf("%d options to mend: %s", len(m), strings.Join(m, "; "))
}

// parseConfig judges what lightningd gave. Given maps an option's name to its text; what is missing takes its default.
// A name that is not ours is passed over, as lightningd would not have sent it. The error is of type mistakes. Files
// named by an option are looked at here, so it must not run before `init`.
func parseConfig(given map[string]string, node Config) (Config, error) {
	c := node
	var wrong mistakes
	for _, o := range options {
		value, ok := given[o.name]
		if !ok {
			value = o.value
		}
		if problem := o.rule.put(&c, strings.TrimSpace(value)); problem != "" {
			wrong = append(wrong, fmt.Sprintf("%s: got %s, wants %s", o.name, problem, o.rule.wants))
		}
	}
	if len(wrong) == 0 {
		wrong = c.settle(given)
	}
	if len(wrong) > 0 {
		return Config{}, wrong
	}
	return c, nil
}

// settle fills in what follows from other options and finds options that contradict each other.
func (c *Config) settle(given map[string]string) (wrong mistakes) {
	if c.MinOrder > c.MaxOrder {
		wrong = append(wrong, fmt.Sprintf("mostro-min-order-sats: got %d, wants at most mostro-max-order-sats (%d)", int64(c.MinOrder), int64(c.MaxOrder)))
	}
	if c.OrderLife > c.MaxOrderLife {
		wrong = append(wrong, fmt.Sprintf("mostro-expiration-hours: got %d, wants at most mostro-max-expiration-days (%d hours)", c.OrderLife/time.Hour, c.MaxOrderLife/time.Hour))
	}
	if strings.TrimSpace(given["mostro-pow-first-contact"]) == "" {
		c.PoWFirstContact = c.PoW
	}
	if c.PoWFirstContact < c.PoW {
		wrong = append(wrong, fmt.Sprintf("mostro-pow-first-contact: got %d, wants at least mostro-pow (%d)", c.PoWFirstContact, c.PoW))
	}
	if c.WebListen != "" && !c.WebPublic && !loopback(c.WebListen) {
		wrong = append(wrong, fmt.Sprintf("mostro-web-listen: got %q, wants an address of this machine alone (127.0.0.1 or [::1]) unless mostro-web-public is true", c.WebListen))
	}
	if c.Network == "regtest" && given["mostro-price-sources"] == optionDefault("mostro-price-sources") {
		c.PriceSources = nil // a network on one machine asks nobody outside unless it is told to
	}
	if c.DataDir == "" {
		c.DataDir = "mostro"
	}
	if !filepath.IsAbs(c.DataDir) {
		c.DataDir = filepath.Join(c.LightningDir, c.DataDir)
	}
	if least := orders.MinKeepSeconds * time.Second; c.KeepOrders != 0 && c.KeepOrders < least {
		wrong = append(wrong, fmt.Sprintf("mostro-keep-orders-days: got %d, wants 0 or at least %d", c.KeepOrders/(24*time.Hour), least/(24*time.Hour)))
	}
	c.HoldCLTV = holdCLTV(c.TradeTime)
	return wrong
}

func optionDefault(name string) string {
	for _, o := range options {
		if o.name == name {
			return o.value
		}
	}
	return ""
}

// writeOptionsMarkdown prints the table of options as README shows it.
func writeOptionsMarkdown(w io.Writer) error {
	lines := []string{"| option | default | takes | meaning |", "|---|---|---|---|"}
	for _, o := range options {
		value := "–"
		if o.value != "" {
			value = "`" + strings.ReplaceAll(o.value, ",", "`, `") + "`"
		}
		lines = append(lines, fmt.Sprintf("| `%s` | %s | %s | %s |", o.name, value, o.rule.wants, o.about))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}
