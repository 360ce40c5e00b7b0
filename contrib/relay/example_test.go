package relay_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nbd-wtf/go-nostr"

	"github.com/mostro-cln/mostro/contrib/relay"
)

func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	srv, err := relay.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	e := nostr.Event{Kind: 1, CreatedAt: nostr.Now(), Content: "hello"}
	if err := e.Sign("0000000000000000000000000000000000000000000000000000000000000001"); err != nil {
		fmt.Println(err)
		return
	}
	go srv.Publish(e) // or any client, at srv.URL
	events, err := srv.Await(ctx, nostr.Filter{Kinds: []int{1}}, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(events[0].Content)
	// Output: hello
}
