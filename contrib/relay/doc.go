// Package relay is a small Nostr relay that keeps everything in memory. It is made for demos and tests: it answers as
// the NIPs say, and it misbehaves on command, as relays do on a bad day.
//
//	srv, err := relay.Listen(ctx, "127.0.0.1:0") // srv.URL is the ws:// address
//	defer srv.Close()
//	events, err := srv.Await(ctx, nostr.Filter{Kinds: []int{38383}}, 1) // instead of sleeping
//	srv.Stop()                                   // an outage: the port is closed, the events are kept
//	err = srv.Start()                            // the same port again
//
// It speaks NIP-01 (EVENT, REQ, CLOSE, EOSE, OK, CLOSED, NOTICE), NIP-09 (deletion), NIP-11 (information document),
// NIP-40 (expiration) and, if asked, NIP-42 (AUTH). The id and signature of every event are verified. Kinds outside the
// ranges that NIP-01 names, and kind 14, are stored as regular events.
//
// Where to look: store.go holds the events and their rules, filter.go reads and matches filters, conn.go is one
// client's connection, relay.go joins them, faults.go has the switches, await.go what tests wait with, listen.go the
// listening socket.
package relay
