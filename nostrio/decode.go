package nostrio

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// MaxMessage is the longest message that Decode reads, in bytes: what one NIP-44 payload can hold.
const MaxMessage = 65535

// ErrMessage is wrapped by every error of Decode. The text names the member at fault and no value.
var ErrMessage = errors.New("not a Mostro message")

// Decode reads a message as mostro-core does. White space, any order of members, missing optional members and unknown
// ones are fine; Encode of the result is then the canonical form. Everything that mostro-core refuses is refused:
// unknown wrappers, actions, payloads and enumeration values, integers as strings or with a fraction, members given
// twice, unknown members of an order, tuples of another length. Objects given as arrays are refused, too.
func Decode(data []byte) (Message, error) {
	if len(data) > MaxMessage {
		return Message{}, fmt.Errorf("%w: longer than %d bytes", ErrMessage, MaxMessage)
	}
	if !utf8.Valid(data) {
		return Message{}, fmt.Errorf("%w: not UTF-8", ErrMessage)
	}
	p := scanner{b: data}
	m, err := p.message()
	if err == nil {
		err = p.end()
	}
	if err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	return m, nil
}

func (p *scanner) message() (m Message, err error) {
	err = p.single(func(key string) error {
		m.Wrapper = Wrapper(key)
		if !wrappers[m.Wrapper] {
			return errors.New("unknown wrapper")
		}
		m.Body, err = p.body()
		return err
	})
	return m, err
}

var (
	bodyShape      = members("version!", "request_id", "trade_index", "id", "action!", "payload", "receipt")
	peerShape      = members("pubkey!", "reputation")
	userInfoShape  = members("rating!", "reviews!", "operating_days!")
	failedShape    = members("payment_attempts!", "payment_retries_interval!")
	restoreShape   = members("orders!", "disputes!")
	restoredOrder  = members("order_id!", "trade_index!", "status!")
	restoredDisp   = members("dispute_id!", "order_id!", "trade_index!", "status!", "initiator", "solver_pubkey")
	bondShape      = members("slash_seller!", "slash_buyer!")
	bondPayout     = members("order!", "slashed_at!")
	cashuProof     = members("token!", "mint_url!", "buyer_pubkey!", "seller_pubkey!", "mostro_pubkey!", "fee_token")
	cashuSignature = members("secret!", "signature!")

	smallOrderShape = closed(members("id", "kind", "status", "amount!", "fiat_code!", "min_amount", "max_amount",
		"fiat_amount!", "payment_method!", "premium!", "buyer_trade_pubkey", "seller_trade_pubkey", "buyer_invoice",
		"created_at", "expires_at"))
	solverShape = members("id!", "kind!", "status!", "hash", "preimage", "order_previous_status!",
		"initiator_pubkey!", "buyer_pubkey", "seller_pubkey", "initiator_full_privacy!", "counterpart_full_privacy!",
		"initiator_info", "counterpart_info", "premium!", "payment_method!", "amount!", "fiat_amount!", "fee!",
		"routing_fee!", "buyer_invoice", "invoice_held_at!", "taken_at!", "created_at!")
)

func closed(s shape) shape {
	s.closed = true
	return s
}

func (p *scanner) body() (b Body, err error) {
	err = p.object(bodyShape, func(name string) (err error) {
		switch name {
		case "version":
			var v uint64
			v, err = p.uint(8)
			b.Version = uint8(v)
		case "request_id":
			b.RequestID, err = optional(p, func() (uint64, error) { return p.uint(64) })
		case "trade_index":
			b.TradeIndex, err = optional(p, p.int64)
		case "id":
			b.ID, err = optional(p, p.uuid)
		case "action":
			b.Action, err = enum(p, actions)
		case "payload":
			if !p.null() {
				b.Payload, err = p.payload()
			}
		case "receipt":
			b.Receipt, err = p.receipt()
		}
		return err
	})
	return b, err
}

// receipt takes a string and passes over anything else: to all others this member is an unknown one.
func (p *scanner) receipt() (string, error) {
	if p.next() != '"' {
		return "", p.skip()
	}
	return p.str()
}

func (p *scanner) payload() (v Payload, err error) {
	err = p.single(func(key string) error {
		read, ok := payloads[key]
		if !ok {
			return errors.New("unknown payload")
		}
		if v, err = read(p); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	return v, err
}

// payloads has a reader for each variant, by its key.
var payloads = map[string]func(*scanner) (Payload, error){
	"order":           func(p *scanner) (Payload, error) { return p.smallOrder() },
	"payment_request": func(p *scanner) (Payload, error) { return p.paymentRequest() },
	"text_message":    func(p *scanner) (Payload, error) { s, err := p.str(); return TextMessage(s), err },
	"peer":            func(p *scanner) (Payload, error) { return p.peer() },
	"rating_user":     func(p *scanner) (Payload, error) { n, err := p.uint(8); return RatingUser(n), err },
	"amount":          func(p *scanner) (Payload, error) { n, err := p.int64(); return Amount(n), err },
	"dispute":         func(p *scanner) (Payload, error) { return p.dispute() },
	"cant_do":         func(p *scanner) (Payload, error) { r, err := optEnum(p, reasons); return CantDo{r}, err },
	"next_trade":      func(p *scanner) (Payload, error) { return p.nextTrade() },
	"payment_failed":  func(p *scanner) (Payload, error) { return p.paymentFailed() },
	"restore_data":    func(p *scanner) (Payload, error) { return p.restoreData() },
	"ids":             func(p *scanner) (Payload, error) { l, err := listOf(p, p.uuid); return IDs(l), err },
	"orders":          func(p *scanner) (Payload, error) { l, err := listOf(p, p.smallOrder); return Orders(l), err },
	"bond_resolution": func(p *scanner) (Payload, error) { return p.bondResolution() },
	"bond_payout_request": func(p *scanner) (Payload, error) {
		return p.bondPayoutRequest()
	},
	"cashu_lock_proof": func(p *scanner) (Payload, error) { return p.cashuLockProof() },
	"cashu_signatures": func(p *scanner) (Payload, error) {
		l, err := listOf(p, p.cashuSignature)
		return CashuSignatures(l), err
	},
}

func (p *scanner) smallOrder() (o SmallOrder, err error) {
	err = p.object(smallOrderShape, func(name string) (err error) {
		switch name {
		case "id":
			o.ID, err = optional(p, p.uuid)
		case "kind":
			o.Kind, err = optEnum(p, kinds)
		case "status":
			o.Status, err = optEnum(p, statuses)
		case "amount":
			o.Amount, err = p.int64()
		case "fiat_code":
			o.FiatCode, err = p.str()
		case "min_amount":
			o.MinAmount, err = optional(p, p.int64)
		case "max_amount":
			o.MaxAmount, err = optional(p, p.int64)
		case "fiat_amount":
			o.FiatAmount, err = p.int64()
		case "payment_method":
			o.PaymentMethod, err = p.str()
		case "premium":
			o.Premium, err = p.int64()
		case "buyer_trade_pubkey":
			o.BuyerTradePubKey, err = optional(p, p.str)
		case "seller_trade_pubkey":
			o.SellerTradePubKey, err = optional(p, p.str)
		case "buyer_invoice":
			o.BuyerInvoice, err = optional(p, p.str)
		case "created_at":
			o.CreatedAt, err = optional(p, p.int64)
		case "expires_at":
			o.ExpiresAt, err = optional(p, p.int64)
		}
		return err
	})
	return o, err
}

func (p *scanner) paymentRequest() (r PaymentRequest, err error) {
	err = p.tuple(3, func(i int) (err error) {
		switch i {
		case 0:
			r.Order, err = optional(p, p.smallOrder)
		case 1:
			r.Invoice, err = p.str()
		case 2:
			r.Amount, err = optional(p, p.int64)
		}
		return err
	})
	return r, err
}

func (p *scanner) peer() (v Peer, err error) {
	err = p.object(peerShape, func(name string) (err error) {
		switch name {
		case "pubkey":
			v.PubKey, err = p.str()
		case "reputation":
			v.Reputation, err = optional(p, p.userInfo)
		}
		return err
	})
	return v, err
}

func (p *scanner) userInfo() (u UserInfo, err error) {
	err = p.object(userInfoShape, func(name string) (err error) {
		switch name {
		case "rating":
			u.Rating, err = p.float()
		case "reviews":
			u.Reviews, err = p.int64()
		case "operating_days":
			u.OperatingDays, err = p.uint(64)
		}
		return err
	})
	return u, err
}

func (p *scanner) dispute() (d Dispute, err error) {
	err = p.tuple(2, func(i int) (err error) {
		switch i {
		case 0:
			d.ID, err = p.uuid()
		case 1:
			d.Info, err = optional(p, p.solverDisputeInfo)
		}
		return err
	})
	return d, err
}

func (p *scanner) solverDisputeInfo() (d SolverDisputeInfo, err error) {
	texts := map[string]*string{"kind": &d.Kind, "status": &d.Status, "order_previous_status": &d.OrderPreviousStatus,
		"initiator_pubkey": &d.InitiatorPubKey, "payment_method": &d.PaymentMethod}
	optTexts := map[string]**string{"hash": &d.Hash, "preimage": &d.Preimage, "buyer_pubkey": &d.BuyerPubKey,
		"seller_pubkey": &d.SellerPubKey, "buyer_invoice": &d.BuyerInvoice}
	numbers := map[string]*int64{"premium": &d.Premium, "amount": &d.Amount, "fiat_amount": &d.FiatAmount,
		"fee": &d.Fee, "routing_fee": &d.RoutingFee, "invoice_held_at": &d.InvoiceHeldAt, "taken_at": &d.TakenAt,
		"created_at": &d.CreatedAt}
	err = p.object(solverShape, func(name string) (err error) {
		switch name {
		case "id":
			d.ID, err = p.uuid()
		case "initiator_full_privacy":
			d.InitiatorFullPrivacy, err = p.boolean()
		case "counterpart_full_privacy":
			d.CounterpartFullPrivacy, err = p.boolean()
		case "initiator_info":
			d.InitiatorInfo, err = optional(p, p.userInfo)
		case "counterpart_info":
			d.CounterpartInfo, err = optional(p, p.userInfo)
		default:
			switch {
			case texts[name] != nil:
				*texts[name], err = p.str()
			case optTexts[name] != nil:
				*optTexts[name], err = optional(p, p.str)
			default:
				*numbers[name], err = p.int64()
			}
		}
		return err
	})
	return d, err
}

func (p *scanner) nextTrade() (n NextTrade, err error) {
	err = p.tuple(2, func(i int) (err error) {
		switch i {
		case 0:
			n.PubKey, err = p.str()
		case 1:
			n.Index, err = p.uint32()
		}
		return err
	})
	return n, err
}

func (p *scanner) paymentFailed() (f PaymentFailed, err error) {
	err = p.object(failedShape, func(name string) (err error) {
		switch name {
		case "payment_attempts":
			f.Attempts, err = p.uint32()
		case "payment_retries_interval":
			f.RetriesInterval, err = p.uint32()
		}
		return err
	})
	return f, err
}

func (p *scanner) restoreData() (r RestoreData, err error) {
	err = p.object(restoreShape, func(name string) (err error) {
		switch name {
		case "orders":
			r.Orders, err = listOf(p, p.restoredOrder)
		case "disputes":
			r.Disputes, err = listOf(p, p.restoredDispute)
		}
		return err
	})
	return r, err
}

func (p *scanner) restoredOrder() (o RestoredOrder, err error) {
	err = p.object(restoredOrder, func(name string) (err error) {
		switch name {
		case "order_id":
			o.OrderID, err = p.uuid()
		case "trade_index":
			o.TradeIndex, err = p.int64()
		case "status":
			o.Status, err = p.str()
		}
		return err
	})
	return o, err
}

var initiators = setOf("buyer", "seller")

func (p *scanner) restoredDispute() (d RestoredDispute, err error) {
	err = p.object(restoredDisp, func(name string) (err error) {
		switch name {
		case "dispute_id":
			d.DisputeID, err = p.uuid()
		case "order_id":
			d.OrderID, err = p.uuid()
		case "trade_index":
			d.TradeIndex, err = p.int64()
		case "status":
			d.Status, err = p.str()
		case "initiator":
			d.Initiator, err = optEnum(p, initiators)
		case "solver_pubkey":
			d.SolverPubKey, err = optional(p, p.str)
		}
		return err
	})
	return d, err
}

func (p *scanner) bondResolution() (b BondResolution, err error) {
	err = p.object(bondShape, func(name string) (err error) {
		switch name {
		case "slash_seller":
			b.SlashSeller, err = p.boolean()
		case "slash_buyer":
			b.SlashBuyer, err = p.boolean()
		}
		return err
	})
	return b, err
}

func (p *scanner) bondPayoutRequest() (b BondPayoutRequest, err error) {
	err = p.object(bondPayout, func(name string) (err error) {
		switch name {
		case "order":
			b.Order, err = p.smallOrder()
		case "slashed_at":
			b.SlashedAt, err = p.int64()
		}
		return err
	})
	return b, err
}

func (p *scanner) cashuLockProof() (c CashuLockProof, err error) {
	err = p.object(cashuProof, func(name string) (err error) {
		switch name {
		case "token":
			c.Token, err = p.str()
		case "mint_url":
			c.MintURL, err = p.str()
		case "buyer_pubkey":
			c.BuyerPubKey, err = p.str()
		case "seller_pubkey":
			c.SellerPubKey, err = p.str()
		case "mostro_pubkey":
			c.MostroPubKey, err = p.str()
		case "fee_token":
			c.FeeToken, err = optional(p, p.str)
		}
		return err
	})
	return c, err
}

func (p *scanner) cashuSignature() (s CashuSignature, err error) {
	err = p.object(cashuSignature, func(name string) (err error) {
		switch name {
		case "secret":
			s.Secret, err = p.str()
		case "signature":
			s.Signature, err = p.str()
		}
		return err
	})
	return s, err
}

func (p *scanner) uint32() (uint32, error) {
	n, err := p.uint(32)
	return uint32(n), err
}

func (p *scanner) uuid() (UUID, error) {
	s, err := p.str()
	if err != nil {
		return UUID{}, err
	}
	return ParseUUID(s)
}

func enum[T ~string](p *scanner, known map[T]bool) (T, error) {
	s, err := p.str()
	if err == nil && !known[T(s)] {
		err = errors.New("unknown value")
	}
	return T(s), err
}

func optEnum[T ~string](p *scanner, known map[T]bool) (T, error) {
	if p.null() {
		return "", nil
	}
	return enum(p, known)
}

func optional[T any](p *scanner, read func() (T, error)) (*T, error) {
	if p.null() {
		return nil, nil
	}
	v, err := read()
	if err != nil {
		return nil, err
	}
	return &v, nil
}

func listOf[T any](p *scanner, read func() (T, error)) ([]T, error) {
	out := []T{}
	_, err := p.array(func(int) error {
		v, err := read()
		out = append(out, v)
		return err
	})
	return out, err
}
