package access

import (
	"net/netip"
	"slices"
	"strings"
)

// ClientAddr gives the address of the client behind trusted proxies. remote is
// where the connection comes from (host and port), forwarded the values of the
// request's X-Forwarded-For headers, in order.
//
// Every proxy adds the address it was called from at the right, so the walk goes
// from right to left and ends at the first address that no trusted proxy has:
// what stands left of it was written by the client and says nothing. An entry
// that is no address ends the walk too. The zero Addr means that remote is none,
// as with a Unix socket.
func ClientAddr(remote string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	addr, _ := parseAddr(remote)
	for _, values := range slices.Backward(forwarded) {
		for more := true; more; {
			if !isTrusted(addr, trusted) {
				return addr
			}
			var entry string
			if i := strings.LastIndexByte(values, ','); i >= 0 {
				values, entry = values[:i], values[i+1:]
			} else {
				entry, more = values, false
			}
			next, ok := parseAddr(strings.Trim(entry, " \t"))
			if !ok {
				return addr
			}
			addr = next
		}
	}
	return addr
}

// parseAddr reads an address with or without a port, and IPv6 with or without
// brackets. An IPv4 address in IPv6 form becomes IPv4; a zone is dropped.
func parseAddr(s string) (netip.Addr, bool) {
	inner, bracket := strings.CutPrefix(s, "[")
	if closed, ok := strings.CutSuffix(inner, "]"); bracket && ok {
		s, bracket = closed, false
	}
	if bracket || strings.Count(s, ":") == 1 {
		ap, err := netip.ParseAddrPort(s)
		return ap.Addr().Unmap().WithZone(""), err == nil
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap().WithZone(""), err == nil
}

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}
