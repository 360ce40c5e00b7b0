package nostrio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

type goldenMessage struct{ ID, Case, Direction, JSON string }

func goldenMessages(t testing.TB) []goldenMessage {
	t.Helper()
	data, err := os.ReadFile("testdata/golden-messages.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []goldenMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	if len(all) < 60 {
		t.Fatalf("only %d golden messages", len(all))
	}
	return all
}

func TestGoldenMessagesComeBackByteForByte(t *testing.T) {
	keys := map[string]bool{}
	for _, g := range goldenMessages(t) {
		t.Run(g.ID+" "+g.Case, func(t *testing.T) {
			m, err := Decode([]byte(g.JSON))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(m.Encode()); got != g.JSON {
				t.Errorf("got  %s\nwant %s", got, g.JSON)
			}
			if m.Body.Payload != nil {
				keys[m.Body.Payload.payloadKey()] = true
			}
		})
	}
	for key := range payloads {
		if !keys[key] {
			t.Errorf("no golden message has the payload %s", key)
		}
	}
}

func TestGoldenRequestsHaveTheRightShape(t *testing.T) {
	for _, g := range goldenMessages(t) {
		m, err := Decode([]byte(g.JSON))
		if err != nil {
			t.Fatal(err)
		}
		err = m.CheckShape()
		if toServer := strings.HasSuffix(g.Direction, "→S") && g.Direction[0] != 'S'; toServer && err != nil {
			t.Errorf("%s %s: %v", g.ID, g.Case, err)
		}
	}
}

func TestActionListIsComplete(t *testing.T) {
	if len(actions) != 51 {
		t.Errorf("%d actions, want 51", len(actions))
	}
	if Action("Release").Known() || !ActRelease.Known() {
		t.Error("Known does not tell release from Release")
	}
}

func body(rest string) string { return `{"order":{"version":2,` + rest + `}}` }

func order(rest string) string {
	return body(`"action":"new-order","payload":{"order":{"amount":0,"fiat_code":"EUR","fiat_amount":1,"payment_method":"x","premium":0` + rest + `}}`)
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"R1 no version", `{"order":{"action":"release","payload":null}}`},
		{"R2 a version that does not fit a byte", `{"order":{"version":256,"action":"release","payload":null}}`},
		{"R3 a request id as a string", body(`"request_id":"123456","action":"release","payload":null`)},
		{"R4 a negative request id", body(`"request_id":-1,"action":"release","payload":null`)},
		{"R5 an unknown wrapper", `{"foo":{"version":2,"action":"release","payload":null}}`},
		{"R6 an action in the wrong case", body(`"action":"Release","payload":null`)},
		{"R7 an empty payload object", body(`"action":"take-sell","payload":{}`)},
		{"R8 two payloads", body(`"action":"take-sell","payload":{"amount":1,"order":null}`)},
		{"R9 a payment request of two elements", body(`"action":"add-invoice","payload":{"payment_request":[null,"lnbc1"]}`)},
		{"R10 a dispute that is no array", body(`"action":"dispute","payload":{"dispute":"e1a2b3c4-d5e6-4f70-8192-a3b4c5d6e7f8"}`)},
		{"R11 a rating that does not fit a byte", body(`"action":"rate-user","payload":{"rating_user":300}`)},
		{"R12 a trade index of 33 bits", body(`"action":"release","payload":{"next_trade":["ab",4294967296]}`)},
		{"R13 an unknown member of an order, even null", body(`"action":"new-order","payload":{"order":{"kind":"buy","status":"pending","amount":0,"fiat_code":"EUR","fiat_amount":1,"payment_method":"x","premium":0,"master_buyer_pubkey":null}}`)},
		{"R14 an amount with a fraction", body(`"action":"new-order","payload":{"order":{"kind":"buy","amount":0.0,"fiat_code":"EUR","fiat_amount":1,"payment_method":"x","premium":0}}`)},
		{"R15 a member given twice", body(`"version":2,"action":"release","payload":null`)},
		{"an order's member given twice", order(`,"amount":0`)},
		{"an amount with an exponent", body(`"action":"take-sell","payload":{"amount":1e2}`)},
		{"minus zero as an integer", body(`"action":"take-sell","payload":{"amount":-0}`)},
		{"a number with a leading zero", body(`"action":"take-sell","payload":{"amount":01}`)},
		{"a bare minus", body(`"action":"take-sell","payload":{"amount":-}`)},
		{"an amount of 65 bits", body(`"action":"take-sell","payload":{"amount":9223372036854775808}`)},
		{"a float beyond all floats", body(`"action":"rate","payload":{"peer":{"pubkey":"","reputation":{"rating":1e999,"reviews":0,"operating_days":0}}}`)},
		{"null where a number must be", body(`"action":"take-sell","payload":{"amount":null}`)},
		{"no action", body(`"payload":null`)},
		{"a null action", body(`"action":null`)},
		{"an unknown payload", body(`"action":"release","payload":{"foo":1}`)},
		{"an unknown kind", order(`,"kind":"Buy"`)},
		{"an unknown status", order(`,"status":"Pending"`)},
		{"an unknown reason", body(`"action":"cant-do","payload":{"cant_do":"not-found"}`)},
		{"the odd reason form of one client", body(`"action":"cant-do","payload":{"cant_do":{"cant-do":"not_found"}}`)},
		{"an order without a premium", body(`"action":"new-order","payload":{"order":{"amount":0,"fiat_code":"EUR","fiat_amount":1,"payment_method":"x"}}`)},
		{"an id that is no UUID", body(`"action":"release","id":"5c6f8a52-3d1e-4b77-9a40"`)},
		{"an id with hyphens elsewhere", body(`"action":"release","id":"5c6f8a523-d1e-4b77-9a40-2f6d1c0b9e11"`)},
		{"restore data without disputes", body(`"action":"restore-session","payload":{"restore_data":{"orders":[]}}`)},
		{"a payment request of four elements", body(`"action":"add-invoice","payload":{"payment_request":[null,"x",null,null]}`)},
		{"two wrappers", `{"order":{"version":2,"action":"release"},"dm":{"version":2,"action":"release"}}`},
		{"no wrapper", `{}`},
		{"a body that is an array", `{"order":[2,null,null,null,"release",null]}`},
		{"a body that is null", `{"order":null}`},
		{"an array", `[]`},
		{"nothing", ``},
		{"white space", " \n"},
		{"something after the end", body(`"action":"release"`) + "x"},
		{"a comma too many", body(`"action":"release",`)},
		{"a colon missing", body(`"action" "release"`)},
		{"a lone surrogate", body(`"action":"send-dm","payload":{"text_message":"\ud800"}`)},
		{"a surrogate pair in the wrong order", body(`"action":"send-dm","payload":{"text_message":"\udc00\ud800"}`)},
		{"a raw line break in a string", body("\"action\":\"send-dm\",\"payload\":{\"text_message\":\"a\nb\"}")},
		{"bytes that are no UTF-8", body("\"action\":\"send-dm\",\"payload\":{\"text_message\":\"\xff\"}")},
		{"an unknown escape", body(`"action":"send-dm","payload":{"text_message":"\x"}`)},
		{"a string without an end", `{"order":{"version":2,"action":"release`},
		{"a backslash at the very end", `{"order\`},
		{"nonsense in a member that is ignored", body(`"action":"release","x":nul`)},
		{"deep nesting in a member that is ignored", body(`"action":"release","x":` + strings.Repeat("[", 60000))},
		{"more bytes than a NIP-44 payload holds", body(`"action":"release","x":"` + strings.Repeat("a", 65535) + `"`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode([]byte(c.in))
			if !errors.Is(err, ErrMessage) {
				t.Errorf("got %s, %v", m.Encode(), err)
			}
		})
	}
}

func TestDecodeAcceptsAndEncodeCanonicalises(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"A1 any order of members, braces around the id",
			`{"order":{"action":"release","version":2,"id":"{5C6F8A52-3D1E-4B77-9A40-2F6D1C0B9E11}"}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"release","payload":null}}`},
		{"A2 unknown members of the body",
			`{"order":{"version":2,"id":null,"action":"release","payload":null,"pubkey":"x","timestamp":1}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"action":"release","payload":null}}`},
		{"A3 an order with only what must be there",
			`{"order":{"version":2,"action":"new-order","payload":{"order":{"amount":0,"fiat_code":"EUR","fiat_amount":1,"payment_method":"x","premium":0,"buyer_invoice":null}}}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"action":"new-order","payload":{"order":{"kind":null,"status":null,"amount":0,"fiat_code":"EUR","min_amount":null,"max_amount":null,"fiat_amount":1,"payment_method":"x","premium":0,"created_at":null,"expires_at":null}}}}`},
		{"A4 the greatest request id",
			`{"order":{"version":2,"request_id":18446744073709551615,"action":"release"}}`,
			`{"order":{"version":2,"request_id":18446744073709551615,"trade_index":null,"action":"release","payload":null}}`},
		{"A5 a rating without a fraction",
			`{"order":{"version":2,"action":"fiat-sent-ok","payload":{"peer":{"pubkey":"ab","reputation":{"rating":5,"reviews":3,"operating_days":9}}}}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"action":"fiat-sent-ok","payload":{"peer":{"pubkey":"ab","reputation":{"rating":5.0,"reviews":3,"operating_days":9}}}}}`},
		{"A6 a refusal without a reason",
			`{"cant-do":{"version":1,"action":"cant-do","payload":{"cant_do":null}}}`,
			`{"cant-do":{"version":1,"request_id":null,"trade_index":null,"action":"cant-do","payload":{"cant_do":null}}}`},
		{"white space, escapes and an id without hyphens",
			" { \"dm\" : { \"version\" : 2 , \"id\":\"5c6f8a523d1e4b779a402f6d1c0b9e11\", \"action\" : \"send\\u002ddm\" , \"payload\" : { \"text_message\" : \"\\u00e9\\/\\ud83d\\ude00\\u2028<&>\\u007f\\u0001\\\"\" } } }\n",
			`{"dm":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"send-dm","payload":{"text_message":"é/😀` + "\u2028<&>\u007f" + `\u0001\""}}}`},
		{"an id as a urn",
			`{"order":{"version":2,"action":"release","id":"urn:uuid:5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11"}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"release","payload":null}}`},
		{"a peer without a reputation",
			`{"order":{"version":2,"action":"fiat-sent-ok","payload":{"peer":{"pubkey":"ab"}}}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"action":"fiat-sent-ok","payload":{"peer":{"pubkey":"ab","reputation":null}}}}`},
		{"a receipt, after the payload",
			`{"order":{"version":2,"receipt":"{\"kind\":8387}","action":"released"}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"action":"released","payload":null,"receipt":"{\"kind\":8387}"}}`},
		{"a receipt that is no string, as an unknown member",
			`{"order":{"version":2,"receipt":{"kind":1},"action":"released"}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"action":"released","payload":null}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(m.Encode()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestFloatsAreWrittenAsSerdeDoes(t *testing.T) {
	for _, c := range []struct {
		f    float64
		want string
	}{
		{0, "0.0"}, {math.Copysign(0, -1), "-0.0"}, {5, "5.0"}, {4.25, "4.25"}, {0.1, "0.1"}, {-1.5, "-1.5"},
		{1e-5, "0.00001"}, {1.25e-6, "1.25e-6"}, {1e-7, "1e-7"}, {1e15, "1000000000000000.0"},
		{1e16, "1e16"}, {1.5e300, "1.5e300"}, {math.NaN(), "null"}, {math.Inf(1), "null"},
	} {
		if got := string(appendFloat(nil, c.f)); got != c.want {
			t.Errorf("%v: got %s, want %s", c.f, got, c.want)
		}
	}
}

func TestCheckShapeRefuses(t *testing.T) {
	id := UUID{1}
	for _, c := range []struct {
		name string
		b    Body
	}{
		{"new-order without an order", Body{Action: ActNewOrder}},
		{"add-invoice without an id", Body{Action: ActAddInvoice, Payload: PaymentRequest{}}},
		{"add-invoice without an invoice", Body{Action: ActAddInvoice, ID: &id}},
		{"release without an id", Body{Action: ActRelease}},
		{"release with a bond resolution", Body{Action: ActRelease, ID: &id, Payload: BondResolution{}}},
		{"admin-settle with text", Body{Action: ActAdminSettle, ID: &id, Payload: TextMessage("x")}},
		{"restore-session with a payload", Body{Action: ActRestoreSession, Payload: RestoreData{}}},
		{"rate-user without a rating", Body{Action: ActRateUser, ID: &id}},
		{"orders without ids", Body{Action: ActOrders}},
		{"no signatures", Body{Action: ActCashuPMSignature, ID: &id, Payload: CashuSignatures{}}},
	} {
		if err := (Message{WrapOrder, c.b}).CheckShape(); !errors.Is(err, ErrShape) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	for _, b := range []Body{
		{Action: ActAdminAddSolver, Payload: TextMessage("npub1…")},
		{Action: ActAdminCancel, ID: &id},
		{Action: ActAddBondInvoice, ID: &id, Payload: BondPayoutRequest{}},
		{Action: ActTakeSell, ID: &id, Payload: Amount(0)},
	} {
		if err := (Message{WrapOrder, b}).CheckShape(); err != nil {
			t.Errorf("%s: %v", b.Action, err)
		}
	}
}

func TestSecretsOfPayloadsAreNotPrinted(t *testing.T) {
	secret := "bbbbbbbb"
	for _, v := range []any{SolverDisputeInfo{Preimage: &secret}, CashuLockProof{Token: secret}} {
		if text := fmt.Sprintf("%v %+v", v, v); strings.Contains(text, secret) {
			t.Errorf("%T prints %s", v, text)
		}
	}
}

func TestUUIDsAreText(t *testing.T) {
	data, err := json.Marshal(UUID{0x5c, 15: 0x11})
	if err != nil || string(data) != `"5c000000-0000-0000-0000-000000000011"` {
		t.Errorf("got %s, %v", data, err)
	}
	var u UUID
	if err := json.Unmarshal(data, &u); err != nil || u != (UUID{0x5c, 15: 0x11}) {
		t.Errorf("got %s, %v", u, err)
	}
	for _, s := range []string{"", "zz000000-0000-0000-0000-000000000011", "{5c000000000000000000000000000000000011}", "5c00000000000000000000000000001g"} {
		if err := u.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q became %s", s, u)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, g := range goldenMessages(f) {
		f.Add([]byte(g.JSON))
	}
	f.Add([]byte(`{"dm":{"version":2,"action":"send-dm","payload":{"text_message":"\u00e9\ud83d\ude00"},"receipt":"x"}}`))
	f.Add([]byte(body(`"action":"rate","payload":{"peer":{"pubkey":"","reputation":{"rating":1e-7,"reviews":0,"operating_days":0}}}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			return
		}
		once := m.Encode()
		if !json.Valid(once) {
			t.Fatalf("not JSON: %q", once)
		}
		if len(once) > MaxMessage {
			return
		}
		again, err := Decode(once)
		if err != nil {
			t.Fatalf("%q: %v", once, err)
		}
		if twice := again.Encode(); !bytes.Equal(once, twice) {
			t.Fatalf("once  %q\ntwice %q", once, twice)
		}
		_ = m.CheckShape()
	})
}
