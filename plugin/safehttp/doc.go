// Package safehttp fetches small documents over HTTPS from hosts that a stranger may have named: a trader's Lightning
// address, the callback that its server answers with, a price source.
//
// Such a host must not make this machine talk to the operator's own network, wait for long or read much. So:
//
//   - only https, by name, without user information; plain http for .onion names alone, which a Tor proxy carries;
//   - the name is resolved here, every address that it has must be public, and the connection goes to one of those
//     addresses: a second answer of the DNS server has no say;
//   - no redirects, no proxies from the environment, no cookies, no connection kept;
//   - limits on the time to resolve, to connect and in all, and on the size of the body.
//
// With a SOCKS5 proxy the name is resolved at its far end, which then decides what it connects to (Tor refuses private
// addresses); the rules for the URL hold all the same.
//
// Errors name the host and what happened, never the path or the query, which may be somebody's secret.
package safehttp
