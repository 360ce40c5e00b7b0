package prices

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// The sources' answers. A single number that cannot be used, such as a null for a currency without a market, costs that
// currency alone; an answer without the object that holds them is an error.

var errShape = errors.New("answer of another shape")

// numbers reads the members of an object that are prices.
func numbers(object map[string]json.RawMessage) map[string]Price {
	out := map[string]Price{}
	for code, raw := range object {
		if p, err := ParsePrice(string(raw)); err == nil {
			out[code] = p
		}
	}
	return out
}

// readYadio: {"BTC":{"USD":75899.55,"BGN":null,…},"base":"BTC","timestamp":1779480604069}
func readYadio(body json.RawMessage, _ time.Time) (Answer, error) {
	var a struct {
		BTC map[string]json.RawMessage `json:"BTC"`
	}
	if err := json.Unmarshal(body, &a); err != nil || a.BTC == nil {
		return Answer{}, errShape
	}
	return Answer{PerBTC: numbers(a.BTC)}, nil
}

// geckoCodes are the currencies to ask CoinGecko for; it leaves out those that it does not know.
const geckoCodes = "usd,eur,gbp,jpy,ars,aud,bdt,bhd,bmd,brl,cad,chf,clp,cny,czk,dkk,gel,hkd,huf,idr,ils,inr,krw,kwd," +
	"lkr,mmk,mxn,myr,ngn,nok,nzd,php,pkr,pln,rub,sar,sek,sgd,thb,try,twd,uah,vnd,zar"

// readCoinGecko: {"bitcoin":{"usd":63410,"eur":54815,…}}
func readCoinGecko(body json.RawMessage, _ time.Time) (Answer, error) {
	var a struct {
		Bitcoin map[string]json.RawMessage `json:"bitcoin"`
	}
	if err := json.Unmarshal(body, &a); err != nil || a.Bitcoin == nil {
		return Answer{}, errShape
	}
	return Answer{PerBTC: numbers(a.Bitcoin)}, nil
}

// readBlockchain: {"ARS":{"15m":9.083198811E7,"last":9.083198811E7,"buy":…,"sell":…,"symbol":"ARS"},…}
func readBlockchain(body json.RawMessage, _ time.Time) (Answer, error) {
	var tickers map[string]json.RawMessage
	if err := json.Unmarshal(body, &tickers); err != nil || tickers == nil {
		return Answer{}, errShape
	}
	last := map[string]json.RawMessage{}
	for code, raw := range tickers {
		var t struct {
			Last json.RawMessage `json:"last"`
		}
		if json.Unmarshal(raw, &t) == nil {
			last[code] = t.Last
		}
	}
	return Answer{PerBTC: numbers(last)}, nil
}

// dailyLimit is how old the rates of a source may be that are made once a day.
const dailyLimit = 4 * 24 * time.Hour

// readCurrencyAPI: {"date":"2026-06-11","btc":{"aed":229602.12070884,"ada":377334.41,…}}
//
// It is made once a day. Its price of bitcoin would be a day old, which no order may be priced at, but what a dirham is
// to a dollar changes little in a day: so its numbers count in proportion to its dollar.
func readCurrencyAPI(body json.RawMessage, now time.Time) (Answer, error) {
	var a struct {
		Date string                     `json:"date"`
		BTC  map[string]json.RawMessage `json:"btc"`
	}
	if err := json.Unmarshal(body, &a); err != nil || a.BTC == nil {
		return Answer{}, errShape
	}
	made, err := time.Parse(time.DateOnly, a.Date)
	if err != nil {
		return Answer{}, errShape
	}
	if age := now.Sub(made); age > dailyLimit {
		return Answer{}, fmt.Errorf("rates are %d days old", age/(24*time.Hour))
	}
	return Answer{PerBTC: numbers(a.BTC), Base: "usd"}, nil
}
