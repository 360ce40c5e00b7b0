package safehttp

import "net/netip"

// notPublic4 is what no host on the internet answers from (IANA IPv4 Special-Purpose Address Registry, and multicast).
var notPublic4 = prefixes(
	"0.0.0.0/8",       // this host, unspecified
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // shared by carrier-grade NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, cloud metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast
)

// global6 is all that is given out for hosts so far. Loopback, link-local, unique-local, multicast and the NAT64
// prefixes lie outside.
var global6 = netip.MustParsePrefix("2000::/3")

// notPublic6 are the parts of global6 that are not hosts, or that hide an IPv4 address.
var notPublic6 = prefixes(
	"2001::/23",     // protocol assignments, Teredo among them
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4
	"3ffe::/16",     // the former 6bone
	"3fff::/20",     // documentation
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// Public reports whether a host on the internet can have this address. An IPv4-mapped address is judged as the IPv4
// address in it; one with a zone is never public.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	switch {
	case !a.IsValid() || a.Zone() != "":
		return false
	case a.Is4():
		return !within(a, notPublic4)
	default:
		return global6.Contains(a) && !within(a, notPublic6)
	}
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
