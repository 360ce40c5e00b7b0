package safehttp

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxURL bounds a URL, bytes. A Lightning address's callback has a few hundred.
const maxURL = 4096

// localSuffixes are names that mean something in somebody's own network at most (RFC 6761, 6762 and 8375, and what
// routers use). Such a name is refused even where the proxy would resolve it.
var localSuffixes = []string{
	"localhost", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa", "localdomain", "invalid", "test",
}

// target is a URL that passed.
type target struct {
	url   *url.URL
	host  string // lower case, no port
	onion bool
}

// judge decides by the text alone whether a URL may be asked. Errors wrap ErrURL, or ErrAddress for a literal address.
func (c *Client) judge(raw string) (target, error) {
	refuse := func(why string) (target, error) { return target{}, fmt.Errorf("%w: %s", ErrURL, why) }
	if len(raw) > maxURL {
		return refuse("too long")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return refuse("not a URL") // the parser's error repeats the text
	}
	t := target{url: u, host: strings.ToLower(u.Hostname())}
	literal, err := netip.ParseAddr(t.host)
	isLiteral := err == nil
	switch {
	case u.User != nil:
		return refuse("with user information")
	case isLiteral && !c.allowed(literal):
		return target{}, fmt.Errorf("%w: a literal address", ErrAddress)
	case !isLiteral && !hostName(t.host):
		return refuse("not a host name of the internet")
	case !validPort(u):
		return refuse("bad port")
	}
	t.onion = strings.HasSuffix(t.host, ".onion")
	if t.onion && !onionName(t.host) {
		return refuse("not an onion name")
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && (t.onion || c.config.PlainHTTP):
	default:
		return refuse("not https")
	}
	u.Fragment, u.RawFragment = "", ""
	u.Host = strings.ToLower(u.Host)
	if len(u.String()) > maxURL { // escaped, as it will be sent
		return refuse("too long")
	}
	return t, nil
}

// hostName reports whether s is a name that can belong to a host of the internet: two labels or more of letters,
// digits and hyphens (RFC 1123), of which the last begins with a letter. Some resolvers read 127.1 and 0x7f.1 as
// addresses.
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	if top := labels[len(labels)-1]; len(s) > 253 || len(labels) < 2 || top == "" || top[0] < 'a' || top[0] > 'z' {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, letters+"0123456789-") != "" {
			return false
		}
	}
	for _, suffix := range localSuffixes {
		if strings.HasSuffix(s, "."+suffix) {
			return false
		}
	}
	return true
}

const letters = "abcdefghijklmnopqrstuvwxyz"

// onionName reports whether the label before ".onion" is an address of version 3: 56 characters of base32.
func onionName(s string) bool {
	labels := strings.Split(s, ".")
	label := labels[len(labels)-2]
	return len(label) == 56 && strings.Trim(label, letters+"234567") == ""
}

func validPort(u *url.URL) bool {
	if strings.HasSuffix(u.Host, ":") {
		return false
	}
	if u.Port() == "" {
		return true
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}
