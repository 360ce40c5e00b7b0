// Package nostrio is the exchange's side of Nostr: the message codec, the two transports, the relays, the spam gate and
// the events that a node publishes.
//
// A message goes this way:
//
//	relay → Pool (dedupe) → Gate (cheap to dear) → Incoming → the exchange
//	relay ← Pool.Publish  ← Seal                 ← Message  ← the exchange
//
// The files:
//
//	message.go action.go payload.go uuid.go   what a message is
//	scan.go decode.go encode.go shape.go      strict JSON in, canonical JSON out, which payload an action needs
//	keys.go event.go                          our key and its signatures; events, their ids and their JSON
//	incoming.go direct.go giftwrap.go         the two transports in; both yield one Incoming
//	seal.go                                   the two transports out, for a server and for a client
//	relays.go                                 Pool: all relays as one; publish and count who took it
//	relay.go subscription.go outqueue.go      one relay: its connection, what we read there, what it has yet to take
//	keep.go audit.go                          what a relay has of us, compared with what it should have; the rest sent again
//	frame.go                                  the messages between us and a relay
//	gate.go                                   which events are worth the exchange's time
//	orderevent.go infoevent.go profile.go     the events that a node publishes: value in, signed event out
//	inbox.go courier.go                       from a message to the exchange's input, from its letters to events
//	lru.go                                    a bounded map
//
// Sealing and publishing are pure functions of values, a key and a seed: what is sent again after a crash is the same
// event, and relays drop it. Secrets stay in Key, which never prints.
package nostrio
