// Package prices knows what a bitcoin costs in fiat: it asks several sources every few minutes, makes one price of
// their answers for each currency, and keeps it in memory.
//
//   - A Source is asked through one function. Those on the web (yadio, coingecko, blockchain, currency_api) go through
//     a Getter; the node's own currencyrate plugin is one more, see Node.
//   - One source must not move the market. Of three prices or more, those far from the median are left out and the mean
//     of the rest counts; two prices count by their mean.
//   - A source that fails again and again is left alone for a while.
//   - An old price is no price: Rate refuses it with ErrStale. After a start there is none until the first answers.
//
// Prices are integers (see Price) and so is the arithmetic, from the digits that a source sent to the sats of an order.
package prices
