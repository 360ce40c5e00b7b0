package safehttp

import (
	"net/netip"
	"testing"
)

func TestPublicAddresses(t *testing.T) {
	for _, c := range []struct {
		name, addr string
		want       bool
	}{
		{"an ordinary IPv4 host", "93.184.216.34", true},
		{"an ordinary IPv6 host", "2606:2800:220:1:248:1893:25c8:1946", true},
		{"the first address after private 10/8", "11.0.0.0", true},
		{"the last address before private 172.16/12", "172.15.255.255", true},
		{"the first address after private 172.16/12", "172.32.0.0", true},
		{"the first address after carrier-grade NAT", "100.128.0.0", true},
		{"the last address before multicast", "223.255.255.255", true},
		{"an IPv4-mapped ordinary host", "::ffff:93.184.216.34", true},
		{"unspecified", "0.0.0.0", false},
		{"this network", "0.1.2.3", false},
		{"private 10/8", "10.1.2.3", false},
		{"carrier-grade NAT, first", "100.64.0.0", false},
		{"carrier-grade NAT, last", "100.127.255.255", false},
		{"loopback", "127.0.0.1", false},
		{"loopback, far end", "127.255.255.254", false},
		{"link-local", "169.254.1.1", false},
		{"cloud metadata", "169.254.169.254", false},
		{"private 172.16/12, first", "172.16.0.0", false},
		{"private 172.16/12, last", "172.31.255.255", false},
		{"protocol assignments", "192.0.0.8", false},
		{"documentation 1", "192.0.2.1", false},
		{"documentation 2", "198.51.100.7", false},
		{"documentation 3", "203.0.113.9", false},
		{"6to4 relay", "192.88.99.1", false},
		{"private 192.168/16", "192.168.1.1", false},
		{"benchmarks", "198.19.255.255", false},
		{"multicast", "224.0.0.251", false},
		{"reserved", "240.0.0.1", false},
		{"broadcast", "255.255.255.255", false},
		{"IPv6 unspecified", "::", false},
		{"IPv6 loopback", "::1", false},
		{"IPv6 link-local", "fe80::1", false},
		{"IPv6 link-local with a zone", "fe80::1%eth0", false},
		{"a public address with a zone", "2606:2800:220:1::1%eth0", false},
		{"IPv6 site-local", "fec0::1", false},
		{"unique local fc", "fc00::1", false},
		{"unique local fd", "fd12:3456::1", false},
		{"IPv6 multicast", "ff02::1", false},
		{"IPv6 documentation", "2001:db8::1", false},
		{"IPv6 documentation, new", "3fff:123::1", false},
		{"discard only", "100::1", false},
		{"NAT64 of a private address", "64:ff9b::10.0.0.1", false},
		{"NAT64 of a public address", "64:ff9b::93.184.216.34", false},
		{"local-use NAT64", "64:ff9b:1::1", false},
		{"IPv4-mapped loopback", "::ffff:127.0.0.1", false},
		{"IPv4-mapped private", "::ffff:192.168.0.1", false},
		{"IPv4-mapped metadata", "::ffff:a9fe:a9fe", false},
		{"IPv4-compatible loopback", "::127.0.0.1", false},
		{"6to4 of loopback", "2002:7f00:1::1", false},
		{"6to4 of a public address", "2002:5db8:d822::1", false},
		{"Teredo", "2001:0:4136:e378:8000:63bf:3fff:fdd2", false},
		{"ORCHID", "2001:20::1", false},
		{"the former 6bone", "3ffe::1", false},
		{"not given out yet", "4000::1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Public(netip.MustParseAddr(c.addr)); got != c.want {
				t.Errorf("Public(%s) = %v, want %v", c.addr, got, c.want)
			}
		})
	}
	if Public(netip.Addr{}) {
		t.Error("no address at all is public")
	}
}
