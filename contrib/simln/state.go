package simln

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// The node's disk: one file, a journal. Each line is a JSON object row key → row (null: deleted) and holds
// the changes of one transaction, so a transaction is there whole or, where the last line is torn, not at all.
// Opening replays the lines and writes the rows back as one line to a new file that then takes the old one's name.
//
// There is no fsync: the simulator outlives crashes of processes, not of machines.

// row is a record that knows its key in the journal, "kind/id".
type row interface{ rowKey() string }

type journal struct {
	f     *os.File
	dirty map[string]any
}

// meta holds the counters and the money that belongs to no wallet.
type meta struct {
	ChainHeight uint32 // the chain's tip, known to bitcoind
	NodeHeight  uint32 // what the node has processed
	NodeBalance Msat   // ours in channels, spendable
	PendingOut  Msat   // in outgoing HTLCs, fees included
	RoutingSink Msat   // fees that other nodes earned
	Elsewhere   Msat   // paid to nodes that are no wallet of ours
	Minted      Msat   // everything that was ever put in; the sum of all other parts
	NextHTLC    uint64
	NextScid    uint32
	PayIndex    uint64
	PaymentID   uint64
	Indexes     map[string]*indexes // by subsystem of the wait command
	ClockOffset int64               // seconds that the simulated clock is ahead
}

type indexes struct{ Created, Updated, Deleted uint64 }

func (*meta) rowKey() string { return "meta/0" }

type state struct {
	meta           *meta
	invoices       map[string]*invoice // by label
	byHash         map[string]*invoice // the same rows
	htlcs          []*htlc             // in order of created index
	payments       []*sendpay          // in order of created index
	moves          []*move
	chainMoves     []*move
	data           map[string]*datum
	wallets        map[string]*wallet
	walletPays     map[uint64]*walletPay
	walletInvoices map[string]*walletInvoice // by payment hash
	scripts        map[string]*payScript     // by payment hash or "wallet:NAME"
	channels       []*channel
	offers         map[string]*offer
	journal        journal
}

func newState() *state {
	return &state{
		meta:     &meta{Indexes: map[string]*indexes{}},
		invoices: map[string]*invoice{}, data: map[string]*datum{}, wallets: map[string]*wallet{},
		walletPays: map[uint64]*walletPay{}, walletInvoices: map[string]*walletInvoice{}, byHash: map[string]*invoice{}, scripts: map[string]*payScript{}, offers: map[string]*offer{},
		journal: journal{dirty: map[string]any{}},
	}
}

func (s *state) addInvoice(i *invoice) { s.invoices[i.Label], s.byHash[i.PaymentHash] = i, i }

// openState reads the journal at path, or begins one; fresh tells which.
func openState(path string) (s *state, fresh bool, err error) {
	rows, err := readJournal(path)
	if err != nil {
		return nil, false, err
	}
	s = newState()
	if err := s.load(rows); err != nil {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	if err := s.journal.compact(path, rows); err != nil {
		return nil, false, fmt.Errorf("rewrite %s: %w", path, err)
	}
	return s, len(rows) == 0, nil
}

func readJournal(path string) (map[string]json.RawMessage, error) {
	rows := map[string]json.RawMessage{}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return rows, nil
	}
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(b) {
		var changes map[string]json.RawMessage
		if json.Unmarshal(line, &changes) != nil {
			if bytes.HasSuffix(line, []byte("\n")) {
				return nil, fmt.Errorf("%s: broken line", path)
			}
			break // torn by a crash: that transaction never happened
		}
		for key, value := range changes {
			if isNull(value) {
				delete(rows, key)
			} else {
				rows[key] = bytes.Clone(value)
			}
		}
	}
	return rows, nil
}

func (j *journal) compact(path string, rows map[string]json.RawMessage) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".journal-*")
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		w := bufio.NewWriter(tmp)
		_, _ = w.Write(append(marshal(rows), '\n'))
		if err := w.Flush(); err != nil {
			tmp.Close()
			return err
		}
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		tmp.Close()
		return err
	}
	j.f = tmp
	return nil
}

// put marks a row for the commit of the running transaction.
func (s *state) put(r row) { s.journal.dirty[r.rowKey()] = r }

func (s *state) remove(r row) { s.journal.dirty[r.rowKey()] = nil }

func (j *journal) commit() error {
	if len(j.dirty) == 0 {
		return nil
	}
	line := append(marshal(j.dirty), '\n')
	clear(j.dirty)
	_, err := j.f.Write(line)
	return err
}

func loadRow[T any](into func(*T), raw json.RawMessage) error {
	v := new(T)
	if err := json.Unmarshal(raw, v); err != nil {
		return err
	}
	into(v)
	return nil
}

func (s *state) load(rows map[string]json.RawMessage) error {
	for key, raw := range rows {
		kind, _, _ := strings.Cut(key, "/")
		var err error
		switch kind {
		case "meta":
			err = loadRow(func(v *meta) { s.meta = v }, raw)
		case "invoice":
			err = loadRow(s.addInvoice, raw)
		case "htlc":
			err = loadRow(func(v *htlc) { s.htlcs = append(s.htlcs, v) }, raw)
		case "payment":
			err = loadRow(func(v *sendpay) { s.payments = append(s.payments, v) }, raw)
		case "move":
			err = loadRow(func(v *move) { s.moves = append(s.moves, v) }, raw)
		case "chainmove":
			err = loadRow(func(v *move) { s.chainMoves = append(s.chainMoves, v) }, raw)
		case "data":
			err = loadRow(func(v *datum) { s.data[v.id()] = v }, raw)
		case "wallet":
			err = loadRow(func(v *wallet) { s.wallets[v.Name] = v }, raw)
		case "walletinvoice":
			err = loadRow(func(v *walletInvoice) { s.walletInvoices[v.Hash] = v }, raw)
		case "walletpay":
			err = loadRow(func(v *walletPay) { s.walletPays[v.ID] = v }, raw)
		case "script":
			err = loadRow(func(v *payScript) { s.scripts[v.Match] = v }, raw)
		case "channel":
			err = loadRow(func(v *channel) { s.channels = append(s.channels, v) }, raw)
		case "offer":
			err = loadRow(func(v *offer) { s.offers[v.Offer] = v }, raw)
		default:
			err = errors.New("unknown kind of row")
		}
		if err != nil {
			return fmt.Errorf("row %s: %w", key, err)
		}
	}
	sort.Slice(s.htlcs, func(i, k int) bool { return s.htlcs[i].CreatedIndex < s.htlcs[k].CreatedIndex })
	sort.Slice(s.payments, func(i, k int) bool { return s.payments[i].CreatedIndex < s.payments[k].CreatedIndex })
	sort.Slice(s.moves, func(i, k int) bool { return s.moves[i].CreatedIndex < s.moves[k].CreatedIndex })
	sort.Slice(s.chainMoves, func(i, k int) bool { return s.chainMoves[i].CreatedIndex < s.chainMoves[k].CreatedIndex })
	sort.Slice(s.channels, func(i, k int) bool { return s.channels[i].Number < s.channels[k].Number })
	return nil
}
