package nostrio

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// Encode returns the canonical JSON of m: the bytes over which a sender signs and a receiver verifies. Members come in
// the order of mostro-core's types, without white space, and with serde_json's rules for strings and numbers, which
// are not those of encoding/json: no HTML escapes, U+2028 verbatim, 5.0 for the float five.
func (m Message) Encode() []byte {
	dst := make([]byte, 0, 256)
	dst = append(dst, '{')
	dst = appendString(dst, string(m.Wrapper))
	dst = append(dst, ':')
	dst = m.Body.append(dst)
	return append(dst, '}')
}

func (b Body) append(dst []byte) []byte {
	dst = append(dst, `{"version":`...)
	dst = strconv.AppendUint(dst, uint64(b.Version), 10)
	dst = append(dst, `,"request_id":`...)
	if b.RequestID == nil {
		dst = append(dst, "null"...)
	} else {
		dst = strconv.AppendUint(dst, *b.RequestID, 10)
	}
	dst = appendOptInt(append(dst, `,"trade_index":`...), b.TradeIndex)
	if b.ID != nil {
		dst = appendUUID(append(dst, `,"id":`...), *b.ID)
	}
	dst = appendString(append(dst, `,"action":`...), string(b.Action))
	dst = append(dst, `,"payload":`...)
	if b.Payload == nil {
		dst = append(dst, "null"...)
	} else {
		dst = appendString(append(dst, '{'), b.Payload.payloadKey())
		dst = b.Payload.appendValue(append(dst, ':'))
		dst = append(dst, '}')
	}
	if b.Receipt != "" {
		dst = appendString(append(dst, `,"receipt":`...), b.Receipt)
	}
	return append(dst, '}')
}

func (SmallOrder) payloadKey() string        { return "order" }
func (PaymentRequest) payloadKey() string    { return "payment_request" }
func (TextMessage) payloadKey() string       { return "text_message" }
func (Peer) payloadKey() string              { return "peer" }
func (RatingUser) payloadKey() string        { return "rating_user" }
func (Amount) payloadKey() string            { return "amount" }
func (Dispute) payloadKey() string           { return "dispute" }
func (CantDo) payloadKey() string            { return "cant_do" }
func (NextTrade) payloadKey() string         { return "next_trade" }
func (PaymentFailed) payloadKey() string     { return "payment_failed" }
func (RestoreData) payloadKey() string       { return "restore_data" }
func (IDs) payloadKey() string               { return "ids" }
func (Orders) payloadKey() string            { return "orders" }
func (BondResolution) payloadKey() string    { return "bond_resolution" }
func (BondPayoutRequest) payloadKey() string { return "bond_payout_request" }
func (CashuLockProof) payloadKey() string    { return "cashu_lock_proof" }
func (CashuSignatures) payloadKey() string   { return "cashu_signatures" }

func (o SmallOrder) appendValue(dst []byte) []byte {
	dst = append(dst, '{')
	if o.ID != nil {
		dst = appendUUID(append(dst, `"id":`...), *o.ID)
		dst = append(dst, ',')
	}
	dst = appendOptEnum(append(dst, `"kind":`...), string(o.Kind))
	dst = appendOptEnum(append(dst, `,"status":`...), string(o.Status))
	dst = strconv.AppendInt(append(dst, `,"amount":`...), o.Amount, 10)
	dst = appendString(append(dst, `,"fiat_code":`...), o.FiatCode)
	dst = appendOptInt(append(dst, `,"min_amount":`...), o.MinAmount)
	dst = appendOptInt(append(dst, `,"max_amount":`...), o.MaxAmount)
	dst = strconv.AppendInt(append(dst, `,"fiat_amount":`...), o.FiatAmount, 10)
	dst = appendString(append(dst, `,"payment_method":`...), o.PaymentMethod)
	dst = strconv.AppendInt(append(dst, `,"premium":`...), o.Premium, 10)
	if o.BuyerTradePubKey != nil {
		dst = appendString(append(dst, `,"buyer_trade_pubkey":`...), *o.BuyerTradePubKey)
	}
	if o.SellerTradePubKey != nil {
		dst = appendString(append(dst, `,"seller_trade_pubkey":`...), *o.SellerTradePubKey)
	}
	if o.BuyerInvoice != nil {
		dst = appendString(append(dst, `,"buyer_invoice":`...), *o.BuyerInvoice)
	}
	dst = appendOptInt(append(dst, `,"created_at":`...), o.CreatedAt)
	dst = appendOptInt(append(dst, `,"expires_at":`...), o.ExpiresAt)
	return append(dst, '}')
}

func (p PaymentRequest) appendValue(dst []byte) []byte {
	dst = append(dst, '[')
	if p.Order == nil {
		dst = append(dst, "null"...)
	} else {
		dst = p.Order.appendValue(dst)
	}
	dst = appendString(append(dst, ','), p.Invoice)
	dst = appendOptInt(append(dst, ','), p.Amount)
	return append(dst, ']')
}

func (t TextMessage) appendValue(dst []byte) []byte { return appendString(dst, string(t)) }
func (r RatingUser) appendValue(dst []byte) []byte  { return strconv.AppendUint(dst, uint64(r), 10) }
func (a Amount) appendValue(dst []byte) []byte      { return strconv.AppendInt(dst, int64(a), 10) }
func (c CantDo) appendValue(dst []byte) []byte      { return appendOptEnum(dst, string(c.Reason)) }

func (p Peer) appendValue(dst []byte) []byte {
	dst = appendString(append(dst, `{"pubkey":`...), p.PubKey)
	dst = appendOptInfo(append(dst, `,"reputation":`...), p.Reputation)
	return append(dst, '}')
}

func (d Dispute) appendValue(dst []byte) []byte {
	dst = appendUUID(append(dst, '['), d.ID)
	dst = append(dst, ',')
	if d.Info == nil {
		dst = append(dst, "null"...)
	} else {
		dst = d.Info.append(dst)
	}
	return append(dst, ']')
}

func (d SolverDisputeInfo) append(dst []byte) []byte {
	dst = appendUUID(append(dst, `{"id":`...), d.ID)
	dst = appendString(append(dst, `,"kind":`...), d.Kind)
	dst = appendString(append(dst, `,"status":`...), d.Status)
	dst = appendOptString(append(dst, `,"hash":`...), d.Hash)
	dst = appendOptString(append(dst, `,"preimage":`...), d.Preimage)
	dst = appendString(append(dst, `,"order_previous_status":`...), d.OrderPreviousStatus)
	dst = appendString(append(dst, `,"initiator_pubkey":`...), d.InitiatorPubKey)
	dst = appendOptString(append(dst, `,"buyer_pubkey":`...), d.BuyerPubKey)
	dst = appendOptString(append(dst, `,"seller_pubkey":`...), d.SellerPubKey)
	dst = strconv.AppendBool(append(dst, `,"initiator_full_privacy":`...), d.InitiatorFullPrivacy)
	dst = strconv.AppendBool(append(dst, `,"counterpart_full_privacy":`...), d.CounterpartFullPrivacy)
	dst = appendOptInfo(append(dst, `,"initiator_info":`...), d.InitiatorInfo)
	dst = appendOptInfo(append(dst, `,"counterpart_info":`...), d.CounterpartInfo)
	dst = strconv.AppendInt(append(dst, `,"premium":`...), d.Premium, 10)
	dst = appendString(append(dst, `,"payment_method":`...), d.PaymentMethod)
	dst = strconv.AppendInt(append(dst, `,"amount":`...), d.Amount, 10)
	dst = strconv.AppendInt(append(dst, `,"fiat_amount":`...), d.FiatAmount, 10)
	dst = strconv.AppendInt(append(dst, `,"fee":`...), d.Fee, 10)
	dst = strconv.AppendInt(append(dst, `,"routing_fee":`...), d.RoutingFee, 10)
	dst = appendOptString(append(dst, `,"buyer_invoice":`...), d.BuyerInvoice)
	dst = strconv.AppendInt(append(dst, `,"invoice_held_at":`...), d.InvoiceHeldAt, 10)
	dst = strconv.AppendInt(append(dst, `,"taken_at":`...), d.TakenAt, 10)
	dst = strconv.AppendInt(append(dst, `,"created_at":`...), d.CreatedAt, 10)
	return append(dst, '}')
}

func (n NextTrade) appendValue(dst []byte) []byte {
	dst = appendString(append(dst, '['), n.PubKey)
	dst = strconv.AppendUint(append(dst, ','), uint64(n.Index), 10)
	return append(dst, ']')
}

func (f PaymentFailed) appendValue(dst []byte) []byte {
	dst = strconv.AppendUint(append(dst, `{"payment_attempts":`...), uint64(f.Attempts), 10)
	dst = strconv.AppendUint(append(dst, `,"payment_retries_interval":`...), uint64(f.RetriesInterval), 10)
	return append(dst, '}')
}

func (r RestoreData) appendValue(dst []byte) []byte {
	dst = appendList(append(dst, `{"orders":`...), r.Orders, func(dst []byte, o RestoredOrder) []byte {
		dst = appendUUID(append(dst, `{"order_id":`...), o.OrderID)
		dst = strconv.AppendInt(append(dst, `,"trade_index":`...), o.TradeIndex, 10)
		dst = appendString(append(dst, `,"status":`...), o.Status)
		return append(dst, '}')
	})
	dst = appendList(append(dst, `,"disputes":`...), r.Disputes, func(dst []byte, d RestoredDispute) []byte {
		dst = appendUUID(append(dst, `{"dispute_id":`...), d.DisputeID)
		dst = appendUUID(append(dst, `,"order_id":`...), d.OrderID)
		dst = strconv.AppendInt(append(dst, `,"trade_index":`...), d.TradeIndex, 10)
		dst = appendString(append(dst, `,"status":`...), d.Status)
		dst = appendOptEnum(append(dst, `,"initiator":`...), d.Initiator)
		dst = appendOptString(append(dst, `,"solver_pubkey":`...), d.SolverPubKey)
		return append(dst, '}')
	})
	return append(dst, '}')
}

func (ids IDs) appendValue(dst []byte) []byte { return appendList(dst, ids, appendUUID) }

func (os Orders) appendValue(dst []byte) []byte {
	return appendList(dst, os, func(dst []byte, o SmallOrder) []byte { return o.appendValue(dst) })
}

func (b BondResolution) appendValue(dst []byte) []byte {
	dst = strconv.AppendBool(append(dst, `{"slash_seller":`...), b.SlashSeller)
	dst = strconv.AppendBool(append(dst, `,"slash_buyer":`...), b.SlashBuyer)
	return append(dst, '}')
}

func (b BondPayoutRequest) appendValue(dst []byte) []byte {
	dst = b.Order.appendValue(append(dst, `{"order":`...))
	dst = strconv.AppendInt(append(dst, `,"slashed_at":`...), b.SlashedAt, 10)
	return append(dst, '}')
}

func (p CashuLockProof) appendValue(dst []byte) []byte {
	dst = appendString(append(dst, `{"token":`...), p.Token)
	dst = appendString(append(dst, `,"mint_url":`...), p.MintURL)
	dst = appendString(append(dst, `,"buyer_pubkey":`...), p.BuyerPubKey)
	dst = appendString(append(dst, `,"seller_pubkey":`...), p.SellerPubKey)
	dst = appendString(append(dst, `,"mostro_pubkey":`...), p.MostroPubKey)
	if p.FeeToken != nil {
		dst = appendString(append(dst, `,"fee_token":`...), *p.FeeToken)
	}
	return append(dst, '}')
}

func (s CashuSignatures) appendValue(dst []byte) []byte {
	return appendList(dst, s, func(dst []byte, c CashuSignature) []byte {
		dst = appendString(append(dst, `{"secret":`...), c.Secret)
		dst = appendString(append(dst, `,"signature":`...), c.Signature)
		return append(dst, '}')
	})
}

func appendList[T any](dst []byte, list []T, one func([]byte, T) []byte) []byte {
	dst = append(dst, '[')
	for i, v := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = one(dst, v)
	}
	return append(dst, ']')
}

func appendOptInfo(dst []byte, u *UserInfo) []byte {
	if u == nil {
		return append(dst, "null"...)
	}
	dst = appendFloat(append(dst, `{"rating":`...), u.Rating)
	dst = strconv.AppendInt(append(dst, `,"reviews":`...), u.Reviews, 10)
	dst = strconv.AppendUint(append(dst, `,"operating_days":`...), u.OperatingDays, 10)
	return append(dst, '}')
}

func appendOptInt(dst []byte, n *int64) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, *n, 10)
}

func appendOptString(dst []byte, s *string) []byte {
	if s == nil {
		return append(dst, "null"...)
	}
	return appendString(dst, *s)
}

func appendOptEnum(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}

func appendUUID(dst []byte, u UUID) []byte {
	return append(u.append(append(dst, '"')), '"')
}

// appendFloat writes f as serde_json does: shortest digits that round-trip, always with a fraction or an exponent,
// plain from 1e-5 up to 1e16, null for what JSON cannot say.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if abs := math.Abs(f); abs == 0 || abs >= 1e-5 && abs < 1e16 {
		start := len(dst)
		dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
		if bytes.IndexByte(dst[start:], '.') < 0 {
			dst = append(dst, ".0"...)
		}
		return dst
	}
	text := strconv.AppendFloat(nil, f, 'e', -1, 64) // d.ddde±xx, at least two digits after the sign
	mantissa, exp, _ := bytes.Cut(text, []byte("e"))
	dst = append(append(dst, mantissa...), 'e')
	if exp[0] == '-' {
		dst = append(dst, '-')
	}
	return append(dst, bytes.TrimLeft(exp[1:], "0")...)
}

// appendString writes s as serde_json does: only the quote, the backslash and the control characters below U+0020 are
// escaped. Bytes that are no UTF-8 become U+FFFD, so that the result is always JSON; decoding never lets such in.
func appendString(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string(bytes.ToValidUTF8([]byte(s), []byte("\uFFFD")))
	}
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
