package nostrio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/orders"
)

// The vectors are made with zero auxiliary randomness and nonces that are hashes of names, so that they can be
// reproduced and not only opened.

const vectorTime = 1767225600

const vectorMessage = `{"order":{"version":2,"request_id":7005,"trade_index":4,` +
	`"id":"5c6f8a52-3d1e-4b77-9a40-2f6d1c0b9e11","action":"take-sell","payload":null}}`

func mustKey(t testing.TB, s string) *Key {
	t.Helper()
	k, err := ParseKey(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func named(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func namedKey(t testing.TB, name string) *Key {
	t.Helper()
	k, err := NewKey(named(name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func vectorKeys(t testing.TB) (node, trade, identity *Key) {
	return namedKey(t, "mostro golden node"),
		mustKey(t, "e11bbbdd648f3eaaed73c14f1bdecf84f79fc7c7a2291df2344a5237b9b42929"),
		mustKey(t, "df5ba9d72ec62e9d39a095f1b86936fe10abfc7d56700caa1652a463a40d19b1")
}

func mustDecode(t testing.TB, s string) Message {
	t.Helper()
	m, err := Decode([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// envelope returns the text of one vector: direct, rumor, seal or wrap.
func envelope(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/envelopes.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Name, JSON string }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Name == name {
			return v.JSON
		}
	}
	t.Fatalf("no vector %s", name)
	return ""
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}

func TestVectorKeysAndDigests(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	equal(t, "node", node.PubKey(), "91e7171d9df01d58ca195427b1194c2ba7c1ca7b7b95deeed7b2695f5352fee3")
	equal(t, "trade key", trade.PubKey(), "e3ea966943deb82f124d51015a2576e4361f1836c5ec3889ba50dc9042f35e6a")
	equal(t, "identity key", identity.PubKey(), "b4bf6548df043786641d4b63e748eda4b55fce21beae991512d23487c7bd8950")
	equal(t, "one-shot key", namedKey(t, "mostro golden ephemeral").PubKey(), "fca80c843a79922cc097b2fc26c3ac0ceede6720cc796727d188c6b7a14fce86")
	j := canonical(mustDecode(t, vectorMessage))
	d := tradeDigest(j)
	equal(t, "SHA-256(J)", hex.EncodeToString(d[:]), "59f62cfcdd35582b233730e2789a32127039bf1a2fa07c6ff044ddc59b2098ca")
	equal(t, "trade signature", fmt.Sprintf("%x", trade.Sign(d)), "141ce7924104e7ad649fc5dde98c51cff65635c58d1a974b7aab728d3ec2ed2b02e1820382399258c41f0f51751e3868394a64a4cd25cf521733e899b90a1017")
	d = identityDigest(trade.PubKey())(j)
	equal(t, "SHA-256(identity string)", hex.EncodeToString(d[:]), "9d6e1e41ee29c4506a97ac2218b2abc9353a92ccfe7ad2d1aa3ffbfae3ba538e")
	equal(t, "identity signature", fmt.Sprintf("%x", identity.Sign(d)), "f39930054f1a93639760d5177c70406b0b6bfa74b8c2e522cee2cbe39bf2801d2d4e70cb4a7aabb219b626aa2c1d4e01fb485db8223b292dbf19026d551a646f")
	ck, err := trade.conversation(node.PubKey())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "conversation key", hex.EncodeToString(ck[:]), "c74164797a85a91a5a425e7f5bee89f19c2b140c23dd2f392b00427713569e34")
	if back, err := node.conversation(trade.PubKey()); err != nil || back != ck {
		t.Errorf("the other side has another conversation key (%v)", err)
	}
}

func TestVectorDirect(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	plain, err := stampedTuple(orders.Direct, mustDecode(t, vectorMessage), trade, identity)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(plain)
	equal(t, "tuple", fmt.Sprintf("%d %x", len(plain), sum), "470 3881d8a732912b8d879a621990b4fb49712f55ada8b8831ac6b77cd4651ddf32")
	e, err := sealDirect(trade, node.PubKey(), plain, vectorTime, vectorTime+directLife, named("n1"))
	if err != nil {
		t.Fatal(err)
	}
	signEvent(trade, &e)
	equal(t, "event", string(appendEvent(nil, e)), envelope(t, "direct"))
}

func TestVectorGiftWrap(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	plain, err := stampedTuple(orders.GiftWrap, mustDecode(t, vectorMessage), trade, identity)
	if err != nil {
		t.Fatal(err)
	}
	e, err := giftWrap(identity, trade.PubKey(), node.PubKey(), plain, vectorTime, wrapping{
		oneShot: namedKey(t, "mostro golden ephemeral"), sealNonce: named("n2"), wrapNonce: named("n3"),
		sealAt: vectorTime - 1000, wrapAt: vectorTime - 5000,
	})
	if err != nil {
		t.Fatal(err)
	}
	signEvent(namedKey(t, "mostro golden ephemeral"), &e)
	equal(t, "wrap", string(appendEvent(nil, e)), envelope(t, "wrap"))

	rumor, err := parseRumor([]byte(envelope(t, "rumor")))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "rumor id", hashEvent(rumor), rumor.ID)
}

func TestVectorsOpen(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	for _, c := range []struct {
		vector, id string
		way        orders.Way
		version    string
	}{
		{"direct", "4ac3f6efefd77edd023581ed1f83c24bbe114b214ae3839f4a37aef17f0b0a2c", orders.Direct, "2"},
		{"wrap", "9a521792cf20be58268c03273ff00bf90384ee855423f08d47ab37043fb13a05", orders.GiftWrap, "1"},
	} {
		e, err := parseEvent([]byte(envelope(t, c.vector)))
		if err != nil {
			t.Fatal(err)
		}
		in, err := Open(node, e)
		if err != nil {
			t.Fatalf("%s: %v", c.vector, err)
		}
		equal(t, "id", in.ID, c.id)
		equal(t, "event id", in.EventID, e.ID)
		equal(t, "way", in.Way, c.way)
		equal(t, "sender", in.Sender, trade.PubKey())
		equal(t, "identity", in.Identity, identity.PubKey())
		equal(t, "proven", in.Proven, true)
		equal(t, "time", in.At, vectorTime)
		equal(t, "message", string(in.Message.Encode()), strings.Replace(vectorMessage, `:2,`, ":"+c.version+",", 1))
	}
}

var ways = []orders.Way{orders.GiftWrap, orders.Direct}

func TestRequestsAndRepliesGoThere(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	for _, way := range ways {
		for _, private := range []bool{false, true} {
			t.Run(fmt.Sprintf("way %d, full privacy %v", way, private), func(t *testing.T) {
				r := Request{Way: way, Node: node.PubKey(), Trade: trade, Identity: identity,
					Message: mustDecode(t, vectorMessage), At: vectorTime, Seed: named("seed"), Work: 9}
				want := identity.PubKey()
				if private {
					r.Identity, want = nil, trade.PubKey()
				}
				e, err := SealRequest(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				in, err := Open(node, e)
				if err != nil {
					t.Fatal(err)
				}
				if in.Sender != trade.PubKey() || in.Identity != want || in.Proven == private || in.At != vectorTime {
					t.Errorf("got %+v", in)
				}
				equal(t, "version", in.Message.Body.Version, way)
				if workOf(in.EventID) < 9 {
					t.Errorf("work is missing on %s", in.EventID)
				}

				answer := in.Message.Reply(WrapOrder, ActWaitingBuyerInvoice, nil)
				e, err = node.Seal(in.Way, in.Sender, answer, vectorTime+1, named("another seed"))
				if err != nil {
					t.Fatal(err)
				}
				back, err := OpenReply(trade, node.PubKey(), e)
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Version = uint8(way)
				equal(t, "answer", string(back.Message.Encode()), string(answer.Encode()))
				if back.Proven || back.At != vectorTime+1 {
					t.Errorf("got %+v", back)
				}
				if _, err := OpenReply(identity, node.PubKey(), e); !errors.Is(err, errDecrypt) {
					t.Errorf("another key opens the answer: %v", err)
				}
				if _, err := OpenReply(trade, identity.PubKey(), e); err == nil {
					t.Error("an answer of another server passes")
				}
			})
		}
	}
}

func TestReplyTagsAndTimes(t *testing.T) {
	node, trade, _ := vectorKeys(t)
	m := mustDecode(t, vectorMessage)
	e, err := node.Seal(orders.Direct, trade.PubKey(), m, vectorTime, named("s"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "direct tags", e.Tags, nostr.Tags{{"p", trade.PubKey().String()}, {"expiration", "1769817600"}})
	equal(t, "direct time", int64(e.CreatedAt), vectorTime)
	equal(t, "direct author", e.PubKey, node.PubKey())
	if e, err = node.Seal(orders.GiftWrap, trade.PubKey(), m, vectorTime, named("s")); err != nil {
		t.Fatal(err)
	}
	equal(t, "wrap tags", e.Tags, nostr.Tags{{"p", trade.PubKey().String()}})
	if back := vectorTime - int64(e.CreatedAt); back < 0 || back >= maxTweak {
		t.Errorf("wrap is back-dated by %d s", back)
	}
	if e.PubKey == node.PubKey().String() {
		t.Error("wrap is signed by the node")
	}
}

func TestSealIsAPureFunction(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	other := namedKey(t, "mostro golden node") // the same key, without what the first has cached
	m := mustDecode(t, vectorMessage)
	for _, way := range ways {
		seal := func(k *Key, to *Key, m Message, at int64, seed [32]byte) string {
			e, err := k.Seal(way, to.PubKey(), m, at, seed)
			if err != nil {
				t.Fatal(err)
			}
			return string(appendEvent(nil, e))
		}
		first := seal(node, trade, m, vectorTime, named("s"))
		equal(t, "second", seal(other, trade, m, vectorTime, named("s")), first)
		m2 := m
		m2.Body.TradeIndex = nil
		for what, text := range map[string]string{
			"seed":     seal(node, trade, m, vectorTime, named("t")),
			"receiver": seal(node, identity, m, vectorTime, named("s")),
			"time":     seal(node, trade, m, vectorTime+1, named("s")),
			"message":  seal(node, trade, m2, vectorTime, named("s")),
		} {
			// The content after the version byte begins with the nonce, which must differ whatever else does.
			if nonceOf(t, text) == nonceOf(t, first) {
				t.Errorf("way %d: another %s, the same nonce", way, what)
			}
		}
	}
	if _, err := node.Seal(3, trade.PubKey(), m, 0, named("s")); !errors.Is(err, errWay) {
		t.Errorf("transport 3: %v", err)
	}
}

func nonceOf(t *testing.T, event string) string {
	t.Helper()
	e, err := parseEvent([]byte(event))
	if err != nil {
		t.Fatal(err)
	}
	return e.Content[4:44]
}

// sealTuple makes an event by hand, to say what no honest client would.
func sealTuple(t testing.TB, way orders.Way, sealer, trade *Key, node orders.PubKey, plain string) nostr.Event {
	t.Helper()
	e, signer, err := seal(way, trade, sealer, node, []byte(plain), vectorTime, 0, named("by hand"))
	if err != nil {
		t.Fatal(err)
	}
	signEvent(signer, &e)
	return e
}

func TestOpenRefuses(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	j := vectorMessage
	sig := fmt.Sprintf("%x", trade.Sign(tradeDigest([]byte(j))))
	foreign := fmt.Sprintf("%x", identity.Sign(tradeDigest([]byte(j))))
	proof := func(k *Key, boundTo orders.PubKey) string {
		return fmt.Sprintf(`["%s","%x"]`, k.PubKey(), k.Sign(identityDigest(boundTo)([]byte(j))))
	}
	good := proof(identity, trade.PubKey())
	for _, c := range []struct {
		name, plain string
		way         orders.Way
		want        error
	}{
		{"a direct tuple of two", `[` + j + `,null]`, orders.Direct, errTuple},
		{"a wrapped tuple of three", `[` + j + `,null,null]`, orders.GiftWrap, errTuple},
		{"a tuple with something behind it", `[` + j + `,null,null]x`, orders.Direct, errTuple},
		{"a message that is none", `[{"foo":1},null,null]`, orders.Direct, errTuple},
		{"a trade signature of another key", `[` + j + `,"` + foreign + `",` + good + `]`, orders.Direct, errTrade},
		{"a wrapped trade signature of another key", `[` + j + `,"` + foreign + `"]`, orders.GiftWrap, errTrade},
		{"a trade signature over another message", `[` + strings.Replace(j, "7005", "7006", 1) + `,"` + sig + `",null]`, orders.Direct, errTrade},
		{"an identity proof for another trade key", `[` + j + `,"` + sig + `",` + proof(identity, node.PubKey()) + `]`, orders.Direct, errProof},
		{"an identity proof that is a plain signature", `[` + j + `,"` + sig + `",["` + identity.PubKey().String() + `","` + foreign + `"]]`, orders.Direct, errProof},
		{"an identity proof of one element", `[` + j + `,"` + sig + `",["` + identity.PubKey().String() + `"]]`, orders.Direct, errTuple},
		{"a signature that is too short", `[` + j + `,"ab",null]`, orders.Direct, errTuple},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Open(node, sealTuple(t, c.way, identity, trade, node.PubKey(), c.plain))
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestOpenAccepts(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	spaced := `{"order":{"version":2, "action":"take-sell", "id":"5C6F8A52-3D1E-4B77-9A40-2F6D1C0B9E11"}}`
	canon := string(canonical(mustDecode(t, spaced)))
	for _, c := range []struct {
		name, message, signed string
	}{
		{"a signature over the canonical form of a message that came in another", spaced, canon},
		{"a signature over the message as it came", spaced, spaced},
		{"a signature without the receipt", `{"order":{"version":2,"request_id":null,"trade_index":null,"action":"orders","payload":null,"receipt":"x"}}`,
			`{"order":{"version":2,"request_id":null,"trade_index":null,"action":"orders","payload":null}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			sig := trade.Sign(tradeDigest([]byte(c.signed)))
			proof := identity.Sign(identityDigest(trade.PubKey())([]byte(c.signed)))
			in, err := Open(node, sealTuple(t, orders.Direct, trade, trade, node.PubKey(),
				fmt.Sprintf(`[%s,"%X",["%s","%x"]]`, c.message, sig, identity.PubKey(), proof)))
			if err != nil || !in.Proven || in.Identity != identity.PubKey() {
				t.Errorf("direct: %+v, %v", in, err)
			}
			in, err = Open(node, sealTuple(t, orders.GiftWrap, identity, trade, node.PubKey(),
				fmt.Sprintf(`[%s, "%x"]`, c.message, sig)))
			if err != nil || !in.Proven || in.Identity != identity.PubKey() {
				t.Errorf("gift wrap: %+v, %v", in, err)
			}
		})
	}
	in, err := Open(node, sealTuple(t, orders.Direct, trade, trade, node.PubKey(),
		fmt.Sprintf(`[%s,"%x",null]`, vectorMessage, trade.Sign(tradeDigest([]byte(vectorMessage))))))
	if err != nil || !in.Proven || in.Identity != trade.PubKey() {
		t.Errorf("a trade signature in full privacy: %+v, %v", in, err)
	}
}

func TestTamperedEventsAreRefused(t *testing.T) {
	node, _, _ := vectorKeys(t)
	for _, vector := range []string{"direct", "wrap"} {
		e, err := parseEvent([]byte(envelope(t, vector)))
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func(e *nostr.Event){
			"id":        func(e *nostr.Event) { e.ID = strings.Repeat("0", 64) },
			"short id":  func(e *nostr.Event) { e.ID = "ab" },
			"case":      func(e *nostr.Event) { e.PubKey = strings.ToUpper(e.PubKey) },
			"time":      func(e *nostr.Event) { e.CreatedAt++ },
			"content":   func(e *nostr.Event) { e.Content = "A" + e.Content[1:] + "A" },
			"kind":      func(e *nostr.Event) { e.Kind = 1 },
			"tags":      func(e *nostr.Event) { e.Tags = nil },
			"signature": func(e *nostr.Event) { e.Sig = strings.Repeat("0", 128) },
			"no sig":    func(e *nostr.Event) { e.Sig = "" },
		} {
			bad := e
			change(&bad)
			if _, err := Open(node, bad); !errors.Is(err, errID) && !errors.Is(err, errSignature) {
				t.Errorf("%s with another %s: %v", vector, what, err)
			}
		}
	}
}

// A payload of line breaks alone decodes as empty base64, on which go-nostr v0.38.2 panics.
func TestPayloadOfLineBreaksIsRefused(t *testing.T) {
	node, trade, _ := vectorKeys(t)
	for _, content := range []string{strings.Repeat("\n", 200), strings.Repeat("\r\n", 100), "", "#", strings.Repeat("A", 132)} {
		e := nostr.Event{Kind: KindDirect, CreatedAt: vectorTime, Content: content}
		signEvent(trade, &e)
		if _, err := Open(node, e); !errors.Is(err, errDecrypt) {
			t.Errorf("%.10q: %v", content, err)
		}
	}
}

func TestSealsThatAreWrongAreRefused(t *testing.T) {
	node, trade, identity := vectorKeys(t)
	oneShot := namedKey(t, "mostro golden ephemeral")
	wrap := func(sealText string) nostr.Event {
		ck, err := oneShot.freshConversation(node.PubKey())
		if err != nil {
			t.Fatal(err)
		}
		content, err := encrypt([]byte(sealText), ck, named("w"))
		if err != nil {
			t.Fatal(err)
		}
		e := nostr.Event{Kind: KindGiftWrap, CreatedAt: vectorTime, Content: content}
		signEvent(oneShot, &e)
		return e
	}
	seal := func(kind int, rumor string) nostr.Event {
		ck, err := identity.conversation(node.PubKey())
		if err != nil {
			t.Fatal(err)
		}
		content, err := encrypt([]byte(rumor), ck, named("s"))
		if err != nil {
			t.Fatal(err)
		}
		e := nostr.Event{Kind: kind, CreatedAt: vectorTime, Content: content}
		signEvent(identity, &e)
		return e
	}
	rumor := string(appendEvent(nil, nostr.Event{PubKey: trade.PubKey().String(), Kind: KindRumor, Content: `[` + vectorMessage + `,null]`}))
	if _, err := Open(node, wrap(string(appendEvent(nil, seal(KindSeal, rumor))))); err != nil {
		t.Fatalf("the sound one: %v", err)
	}
	forged := seal(KindSeal, rumor)
	forged.PubKey = trade.PubKey().String()
	for what, text := range map[string]string{
		"a seal of another kind":     string(appendEvent(nil, seal(KindRumor, rumor))),
		"a seal of another's name":   string(appendEvent(nil, forged)),
		"a seal that is no event":    `{"id":1}`,
		"a rumor of another kind":    string(appendEvent(nil, seal(KindSeal, strings.Replace(rumor, `"kind":1`, `"kind":14`, 1)))),
		"a rumor without an author":  string(appendEvent(nil, seal(KindSeal, strings.Replace(rumor, trade.PubKey().String(), "", 1)))),
		"a rumor that is no event":   string(appendEvent(nil, seal(KindSeal, `[]`))),
		"a seal of the deepest nest": strings.Repeat("[", 60000),
	} {
		if _, err := Open(node, wrap(text)); !errors.Is(err, errLayers) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWorkEndsWithItsContext(t *testing.T) {
	node, trade, _ := vectorKeys(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := SealRequest(ctx, Request{Way: orders.Direct, Node: node.PubKey(), Trade: trade,
		Message: mustDecode(t, vectorMessage), At: vectorTime, Seed: named("s"), Work: 200})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func FuzzParseEvent(f *testing.F) {
	for _, name := range []string{"direct", "rumor", "seal", "wrap"} {
		f.Add([]byte(envelope(f, name)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, parse := range []func([]byte) (nostr.Event, error){parseEvent, parseRumor} {
			e, err := parse(data)
			if err != nil {
				continue
			}
			again, err := parseRumor(appendEvent(nil, e)) // an empty signature is left out
			if err != nil {
				t.Fatal(err)
			}
			if hashEvent(e) != hashEvent(again) {
				t.Fatal("the event changed on its way")
			}
			_, _, _ = verifyEvent(e)
		}
	})
}

func FuzzParseTuple(f *testing.F) {
	f.Add(`[`+vectorMessage+`,null,null]`, 3)
	f.Add(`[`+vectorMessage+`,null]`, 2)
	f.Fuzz(func(t *testing.T, data string, size int) {
		tu, err := parseTuple(data, size)
		if err != nil {
			return
		}
		if m, err := Decode(tu.raw); err != nil || string(m.Encode()) != string(tu.message.Encode()) {
			t.Fatalf("element 0 is not the message: %v", err)
		}
	})
}
