package nostrio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// PoolConfig says which relays to keep and how. Zero numbers mean the defaults named.
type PoolConfig struct {
	Relays []string      // ws:// or wss:// addresses; doubles are dropped
	Key    *Key          // answers AUTH (NIP-42); nil never authenticates
	Window time.Duration // how far to look back where nothing has been read yet; 24 h
	Proxy  string        // socks5:// address for all connections; empty for none
	Buffer int           // events that may wait to be received; 1024
	Queue  int           // events that may wait for one relay; 1024
	Log    *slog.Logger  // nil: silent
	Keep   *Keep         // what relays should have of us; nil: they are not asked. It takes a Key

	retry  time.Duration // first pause between connections, one second
	resync time.Duration // after events were dropped, five seconds
	ping   time.Duration // 30 seconds
	pong   time.Duration // what a relay has to answer a ping, ten seconds
	keep   time.Duration // between looks at what a relay has of us, an hour
	space  time.Duration // between such looks at a relay that is often lost, ten seconds
	query  time.Duration // what a relay has to answer one question, ten minutes
}

// Pool keeps connections to all relays: it publishes to each of them and receives from all as from one.
// Make it with NewPool; nothing moves until Run.
type Pool struct {
	cfg    PoolConfig
	client *http.Client
	relays []*relay
	events chan Received

	mu   sync.Mutex
	seen *lru[seenKey, struct{}]

	listing  sync.Mutex // held while Keep.List runs, and guards what it said last
	listed   []Kept
	listedAt time.Time // when it began
}

// Received is an event as a relay sent it. Its id is the hash of what it says; the signature is not checked.
type Received struct {
	Event nostr.Event
	Relay string // who sent it first
	Size  int    // bytes of the relay's message
}

// RelayStatus is what is known of one relay. The counts are those since the start.
type RelayStatus struct {
	URL         string
	Connected   bool
	Since       time.Time // of being connected or not
	Accepted    uint64    // events that it took or had already
	Refused     uint64
	Queued      int // events that it has not taken yet
	Received    uint64
	Dropped     uint64 // received while nobody took them; asked for again
	Malformed   uint64
	Checked     time.Time // when it was asked last for what it has of us
	Mended      uint64    // events that it lacked then and has taken
	LastError   string
	LastErrorAt time.Time
}

// seenKey is an id and a signature. The id alone would let a relay suppress an event: it could send it with a broken
// signature before others send it whole.
type seenKey struct {
	id  orders.EventID
	sig string
}

const seenMax = 16384

var (
	// ErrRefused is returned by Publish when every relay has refused the event.
	ErrRefused = errors.New("refused by every relay")
	// ErrNoAnswer is returned by Publish when no relay has taken the event yet; some may do so later.
	ErrNoAnswer = errors.New("taken by no relay yet")
)

// NewPool checks the configuration. All mistakes are reported together.
func NewPool(cfg PoolConfig) (*Pool, error) {
	setDefault(&cfg.Window, 24*time.Hour)
	setDefault(&cfg.Buffer, 1024)
	setDefault(&cfg.Queue, 1024)
	setDefault(&cfg.retry, time.Second)
	setDefault(&cfg.resync, 5*time.Second)
	setDefault(&cfg.ping, 30*time.Second)
	setDefault(&cfg.pong, 10*time.Second)
	setDefault(&cfg.keep, time.Hour)
	setDefault(&cfg.space, 10*time.Second)
	setDefault(&cfg.query, 10*time.Minute)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		cfg:    cfg,
		events: make(chan Received, cfg.Buffer),
		seen:   newLRU[seenKey, struct{}](seenMax),
	}
	transport, err := dialer(cfg.Proxy)
	errs := []error{err}
	if cfg.Keep != nil && cfg.Key == nil {
		errs = append(errs, errors.New("events to keep, and no key that they are signed with"))
	}
	p.client = &http.Client{Transport: transport}
	known := map[string]bool{}
	for _, raw := range cfg.Relays {
		addr, err := normalize(raw)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if known[addr] {
			continue
		}
		known[addr] = true
		r := &relay{
			url: addr, pool: p, log: cfg.Log.With("relay", addr), kick: make(chan struct{}, 1),
			subs: map[string]*subscription{}, out: outqueue{max: cfg.Queue}, status: RelayStatus{URL: addr},
		}
		r.out.took = r.took
		p.relays = append(p.relays, r)
	}
	return p, errors.Join(errs...)
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// normalize makes one spelling of a relay's address: scheme and host in lower case, no slash at the end.
func normalize(raw string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return "", fmt.Errorf("relay %q: want ws://host or wss://host", raw)
	}
	u.Host = strings.ToLower(u.Host)
	return strings.TrimRight(u.String(), "/"), nil
}

func dialer(proxy string) (*http.Transport, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil // what the environment says of web proxies is no word on ours
	if proxy == "" {
		return t, nil
	}
	u, err := url.Parse(proxy)
	if err != nil || u.Scheme != "socks5" && u.Scheme != "socks5h" || u.Host == "" {
		return t, fmt.Errorf("proxy %q: want socks5://host:port", proxy)
	}
	t.Proxy = http.ProxyURL(u)
	return t, nil
}

// Run keeps the connections until ctx ends, one goroutine a relay.
func (p *Pool) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, r := range p.relays {
		wg.Go(func() { r.run(ctx) })
	}
	wg.Wait()
	return ctx.Err()
}

// Subscribe asks all relays for what the filter wants, now and after every reconnect. The same id again replaces the
// filter and looks back from the start. The id is seen by relays; it has at most 50 characters.
func (p *Pool) Subscribe(id string, f Filter) {
	for _, r := range p.relays {
		r.subscribe(id, f)
	}
}

// Events yields what the relays send, each event once in a while: across relays, and as long as it is remembered.
// Whoever must not see one twice keeps a record of his own. When nobody receives, events are dropped and asked for
// again later.
func (p *Pool) Events() <-chan Received { return p.events }

// deliver takes an event from a relay. False: there is no room for it.
func (p *Pool) deliver(in Received) bool {
	id := hashEvent(in.Event)
	if in.Event.ID != id.String() {
		return true // worthless, and not to be asked for again
	}
	key := seenKey{id, in.Event.Sig}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.seen.get(key); ok {
		return true
	}
	select {
	case p.events <- in:
		p.seen.put(key, struct{}{})
		return true
	default:
		return false
	}
}

// Forget takes an event as one that never came, and has the relays asked for it again soon: it could not be dealt with.
func (p *Pool) Forget(in Incoming) {
	p.mu.Lock()
	p.seen.remove(seenKey{in.EventID, in.sig})
	p.mu.Unlock()
	for _, r := range p.relays {
		r.rewind(time.Unix(in.outerAt, 0))
	}
}

const (
	publishGrace = 300 * time.Millisecond // for the others, once there is something to tell
	publishLimit = 30 * time.Second       // where ctx has no deadline
)

// Publish gives a signed event to every relay and returns how many have taken it, or had it already. It returns when
// all have answered, or a moment after the first has taken it or all that are connected have refused it, or when ctx
// ends, in 30 s where it has no deadline. Relays that are down, slow or want to
// be asked again later keep the event in a queue of their own and get it when they can; of a replaceable event only the
// newest. With no taker the error is ErrRefused, or ErrNoAnswer if one may yet come. Publishing the same event again is
// harmless.
func (p *Pool) Publish(ctx context.Context, e nostr.Event) (accepted int, err error) {
	if len(p.relays) == 0 {
		return 0, fmt.Errorf("publish kind %d: %w: there are none", e.Kind, ErrRefused)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, publishLimit)
		defer cancel()
	}
	type from struct {
		relay *relay
		publishAnswer
	}
	answers := make(chan from, len(p.relays))
	online := map[*relay]bool{}
	for _, r := range p.relays {
		if r.send(e, func(a publishAnswer) { answers <- from{r, a} }) {
			online[r] = true
		}
	}
	var grace <-chan time.Time
	var refusals []error
	for open := len(p.relays); open > 0; open-- {
		if accepted > 0 && len(online) == 0 { // those that are down are not waited for
			return accepted, nil
		}
		select {
		case a := <-answers:
			delete(online, a.relay)
			if a.ok {
				accepted++
			} else {
				refusals = append(refusals, fmt.Errorf("%s: %s", a.relay.url, clip(a.reason)))
			}
			if grace == nil && (a.ok || len(online) == 0) {
				grace = time.After(publishGrace)
			}
			continue
		case <-grace:
		case <-ctx.Done():
		}
		if accepted > 0 {
			return accepted, nil
		}
		return 0, fmt.Errorf("publish kind %d: %w: %w", e.Kind, ErrNoAnswer, errors.Join(append(refusals, ctx.Err())...))
	}
	if accepted > 0 {
		return accepted, nil
	}
	return 0, fmt.Errorf("publish kind %d: %w: %w", e.Kind, ErrRefused, errors.Join(refusals...))
}

// Status says how each relay does, in the order of the configuration.
func (p *Pool) Status() []RelayStatus {
	all := make([]RelayStatus, 0, len(p.relays))
	for _, r := range p.relays {
		r.mu.Lock()
		s := r.status
		s.Queued = len(r.out.list)
		r.mu.Unlock()
		all = append(all, s)
	}
	return all
}
