package hold

import (
	"slices"
	"time"
)

// refusal is why a payment is not taken; for the log alone, since the payer learns nothing.
type refusal string

const (
	notForUs        refusal = "onion is not a plain final payment"
	wrongSecret     refusal = "payment secret differs"
	unwantedData    refusal = "payment metadata that nobody asked for"
	shortOfOnion    refusal = "less amount or time locked than the onion claims"
	wrongTotal      refusal = "total is not between the amount and twice the amount"
	mixedSet        refusal = "total differs from the first part's"
	notOpen         refusal = "invoice is not open"
	tooLate         refusal = "invoice has expired"
	tooSoonToExpire refusal = "expires too soon"
	tooFarAhead     refusal = "expires too far ahead"
	tooMuch         refusal = "more than twice the amount in sum, or too many parts"
	wasCanceled     refusal = "payment was given back"
	notSynced       refusal = "node is behind the chain"
	tooManyWait     refusal = "too many parts wait for the disk"
	unreadable      refusal = "hook fields cannot be read"
)

const (
	// heightSlack: the payer's node may be some blocks behind ours when it adds the CLTV.
	heightSlack = 2
	// maxAhead blocks: a longer lock would hurt the payer and helps nobody.
	maxAhead = 4032
	// maxParts of one payment. A channel carries 483 at most, 30 by default.
	maxParts = 128
)

// offer is what a hook call says about one HTLC.
type offer struct {
	HTLC
	Relative int64 // as the node thinks; 30 blocks too large at a replay
	Final    bool  // a TLV payload without any word of a next hop
	Metadata bool
	Secret   *Secret
	Forward  *Msat   // what the onion says is for us
	CLTV     *Height // what the onion says is the expiry
	Total    *Msat
}

// situation is what the judgement depends on beside invoice and offer.
type situation struct {
	Height Height // highest block ever seen, 0 if none
	Synced bool
	Now    time.Time
	Live   map[Key]bool // stored parts that came to us since this process started
}

// action is what to do with a hook call.
type action int

const (
	hold action = iota
	refuse
	refuseForNow
	resolve
)

// verdict is a judgement. Next, if any, must be on disk before Do is done.
type verdict struct {
	Do   action
	Why  refusal
	Key  Key // the part's name from now on
	Next *Invoice
}

// decide judges one HTLC for a known invoice, in the order in which a payee may: is it a
// payment to us, does it come from a holder of the invoice, is it all there; then, is it
// one that we know; and only for a new one, do we still want it.
func decide(inv Invoice, o offer, s situation) verdict {
	if why := flaw(&inv, o); why != "" {
		return verdict{Do: refuse, Why: why, Key: o.Key}
	}
	if i := replayed(&inv, o, s.Live); i >= 0 {
		return repeat(inv, i, o)
	}
	if why := unwanted(&inv, o, s); why != "" {
		do := refuse
		if why == notSynced {
			do = refuseForNow
		}
		return verdict{Do: do, Why: why, Key: o.Key}
	}
	next := inv.clone()
	next.HTLCs = slices.DeleteFunc(next.HTLCs, func(h HTLC) bool { return !s.Live[h.Key] })
	if len(next.HTLCs) == 0 {
		next.FirstAt, next.Total = s.Now.Unix(), *o.Total
	}
	part := o.HTLC
	part.SeenAt = s.Now.Unix()
	next.HTLCs = append(next.HTLCs, part)
	if next.Held() >= next.Total {
		next.State = Accepted
	}
	return verdict{Do: hold, Key: o.Key, Next: &next}
}

// flaw finds what no honest payer of this invoice sends.
func flaw(inv *Invoice, o offer) refusal {
	switch {
	case !o.Final || o.Forward == nil || o.CLTV == nil || o.Total == nil || o.Secret == nil:
		return notForUs
	case !o.Secret.Equal(inv.Secret):
		return wrongSecret
	case o.Metadata:
		return unwantedData
	case o.Amount < *o.Forward || o.Expiry < *o.CLTV || o.Amount == 0:
		return shortOfOnion
	case *o.Total < inv.Amount || *o.Total > 2*inv.Amount:
		return wrongTotal
	case inv.Total != 0 && *o.Total != inv.Total:
		return mixedSet
	}
	return ""
}

// replayed finds the stored part that this HTLC is, or -1. Its name may have changed with
// the channel's, so what is not known by name is known by amount and expiry, if that part
// has not come yet.
func replayed(inv *Invoice, o offer, live map[Key]bool) int {
	if i := inv.find(o.Key); i >= 0 && inv.HTLCs[i].Amount == o.Amount && inv.HTLCs[i].Expiry == o.Expiry {
		return i
	}
	found := -1
	for i, h := range inv.HTLCs {
		if live[h.Key] || h.Amount != o.Amount || h.Expiry != o.Expiry {
			continue
		}
		if h.ID == o.ID {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// repeat gives the answer that the state on disk stands for.
func repeat(inv Invoice, i int, o offer) verdict {
	v := verdict{Key: o.Key}
	switch {
	case inv.Settle:
		v.Do = resolve
	case inv.State == Open || inv.State == Accepted:
		v.Do = hold
	default:
		v.Do, v.Why = refuse, wasCanceled
	}
	if inv.HTLCs[i].Key != o.Key {
		next := inv.clone()
		next.HTLCs[i].Key = o.Key
		v.Next = &next
	}
	return v
}

// unwanted finds why a sound new part is not taken. The height is the highest ever seen:
// after a start the node believes in an older one for a while.
func unwanted(inv *Invoice, o offer, s situation) refusal {
	left := o.Relative
	if s.Height != 0 {
		left = min(left, int64(o.Expiry)-int64(s.Height))
	}
	var held Msat
	parts := 0
	for _, h := range inv.HTLCs {
		if s.Live[h.Key] {
			held += h.Amount
			parts++
		}
	}
	switch {
	case inv.State != Open:
		return notOpen
	case s.Now.Unix() >= inv.ExpiresAt:
		return tooLate
	case left < int64(inv.CLTV)-heightSlack:
		return tooSoonToExpire
	case left > maxAhead:
		return tooFarAhead
	case o.Amount > 2*inv.Amount || held > 2*inv.Amount-o.Amount || parts >= maxParts:
		return tooMuch
	case !s.Synced:
		return notSynced
	}
	return ""
}
