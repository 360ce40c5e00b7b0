package safehttp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// maxTried bounds how many addresses of a name are tried.
const maxTried = 4

// allowed reports whether the configuration lets an address through that need not be public.
func (c *Client) allowed(a netip.Addr) bool { return within(a.Unmap(), c.config.Allow) }

// dial connects to an address of addr's name that has been checked. Errors wrap ErrResolve, ErrAddress, ErrTimeout or
// ErrConnect.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURL, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%w: bad port", ErrURL)
	}
	addrs, err := c.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Connect)
	defer cancel()
	deadline, _ := ctx.Deadline()
	for i, a := range addrs {
		share := time.Until(deadline) / time.Duration(len(addrs)-i)
		d := net.Dialer{Timeout: max(share, time.Millisecond)}
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, netip.AddrPortFrom(a, uint16(port)).String()); err == nil {
			return conn, conn.SetDeadline(time.Now().Add(c.config.Total))
		}
	}
	return nil, connectError(err)
}

// dialProxy connects to the proxy itself, which the operator has named. The deadline also bounds its handshake.
func (c *Client) dialProxy(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: c.config.Connect}
	conn, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", connectError(err))
	}
	return conn, conn.SetDeadline(time.Now().Add(c.config.Slow))
}

func connectError(err error) error {
	if netErr := net.Error(nil); errors.As(err, &netErr) && netErr.Timeout() {
		return fmt.Errorf("%w: connecting", ErrTimeout)
	}
	return fmt.Errorf("%w: %w", ErrConnect, err)
}

// resolve returns the addresses of host, IPv4 first, or an error if a single one of them may not be asked: a name that
// points at a private network as well as at a public one is up to something.
func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		if !c.allowed(a) {
			return nil, fmt.Errorf("%w: a literal address", ErrAddress)
		}
		return []netip.Addr{a}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Resolve)
	defer cancel()
	found, err := c.config.Lookup(ctx, host)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: resolving the name", ErrTimeout)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrResolve, err)
	case len(found) == 0:
		return nil, fmt.Errorf("%w: no address", ErrResolve)
	}
	addrs := make([]netip.Addr, 0, len(found))
	for _, a := range found {
		a = a.Unmap()
		if !Public(a) && !c.allowed(a) {
			return nil, ErrAddress
		}
		addrs = append(addrs, a)
	}
	slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return a.BitLen() - b.BitLen() })
	return addrs[:min(len(addrs), maxTried)], nil
}
