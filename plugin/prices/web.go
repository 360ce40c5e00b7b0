package prices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mostro-cln/mostro/plugin/safehttp"
)

// Getter fetches JSON; *safehttp.Client is one.
type Getter interface {
	GetJSON(ctx context.Context, url string, v any, header ...safehttp.Header) error
}

// web is a source on the web: where it is, and how to read its answer.
type web struct {
	id     string
	urls   []string // in the order in which they are tried
	path   string
	read   func(body json.RawMessage, now time.Time) (Answer, error)
	except []string
}

// webSources are those that can be named in the configuration.
var webSources = []web{
	{id: "yadio", urls: []string{"https://api.yadio.io"}, path: "/exrates/BTC", read: readYadio},
	{id: "coingecko", urls: []string{"https://api.coingecko.com/api/v3"}, path: "/simple/price?ids=bitcoin&vs_currencies=" + geckoCodes, read: readCoinGecko},
	{id: "blockchain", urls: []string{"https://blockchain.info"}, path: "/ticker", read: readBlockchain},
	{
		id:   "currency_api",
		urls: []string{"https://cdn.jsdelivr.net/npm/@fawazahmed0/currency-api@latest/v1", "https://latest.currency-api.pages.dev/v1"},
		path: "/currencies/btc.min.json",
		read: readCurrencyAPI,
		// It has official rates, which are far from what people trade these at.
		except: []string{"CUP", "IRR", "IRT", "MLC", "VES"},
	},
}

// WebNames lists the sources that Web knows.
func WebNames() (names []string) {
	for _, w := range webSources {
		names = append(names, w.id)
	}
	return names
}

// Web is the source of that name: yadio, coingecko, blockchain or currency_api.
//
// URLs, where given, replace its own; they are tried in order until one answers. The key is CoinGecko's, for its demo
// plan or, at a host with "pro-api" in its name, the paid one; empty for none. Other sources take no key.
func Web(name string, g Getter, key string, urls ...string) (Source, error) {
	for _, w := range webSources {
		if w.id != name {
			continue
		}
		if len(urls) > 0 {
			w.urls = urls
		}
		for _, u := range w.urls {
			if parsed, err := url.Parse(u); err != nil || parsed.Host == "" || parsed.RawQuery != "" {
				return Source{}, fmt.Errorf("price source %s: not the address of an API", name)
			}
		}
		if key != "" && name != "coingecko" {
			return Source{}, fmt.Errorf("price source %s takes no key", name)
		}
		return Source{
			ID: w.id, Tries: len(w.urls), Except: w.except,
			Fetch: func(ctx context.Context) (Answer, error) { return w.fetch(ctx, g, key) },
		}, nil
	}
	return Source{}, fmt.Errorf("no price source is called %q; there are %s", name, strings.Join(WebNames(), ", "))
}

func (w web) fetch(ctx context.Context, g Getter, key string) (Answer, error) {
	var failed []error
	for _, u := range w.urls {
		var body json.RawMessage
		err := g.GetJSON(ctx, strings.TrimRight(u, "/")+w.path, &body, keyHeader(u, key)...)
		if err == nil {
			var a Answer
			if a, err = w.read(body, time.Now()); err == nil {
				return a, nil
			}
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return Answer{}, errors.Join(failed...)
}

// keyHeader carries a key of CoinGecko (CoinGecko API, "Authentication").
func keyHeader(base, key string) []safehttp.Header {
	if key == "" {
		return nil
	}
	if u, err := url.Parse(base); err == nil && strings.Contains(u.Host, "pro-api") {
		return []safehttp.Header{{Name: "x-cg-pro-api-key", Value: key}}
	}
	return []safehttp.Header{{Name: "x-cg-demo-api-key", Value: key}}
}
