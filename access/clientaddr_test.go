package access_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/freshet/freshet/access"
)

var proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("127.0.0.1/32")}

func TestClientAddr(t *testing.T) {
	for name, tt := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"direct":                         {"203.0.113.9:1234", nil, "203.0.113.9"},
		"direct over IPv6":               {"[2001:db8::9]:1234", nil, "2001:db8::9"},
		"stranger's header":              {"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		"one proxy":                      {"10.0.0.1:80", []string{"203.0.113.9"}, "203.0.113.9"},
		"two proxies":                    {"10.0.0.1:80", []string{"203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"two headers":                    {"10.0.0.1:80", []string{"203.0.113.9", "10.0.0.2"}, "203.0.113.9"},
		"spoofed at the left":            {"10.0.0.1:80", []string{"127.0.0.1, 203.0.113.9"}, "203.0.113.9"},
		"spoofed in a header of its own": {"10.0.0.1:80", []string{"127.0.0.1", "203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"spoofed proxy":                  {"10.0.0.1:80", []string{"10.9.9.9, 203.0.113.9"}, "203.0.113.9"},
		"all are proxies":                {"10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"proxy that adds nothing":        {"10.0.0.1:80", nil, "10.0.0.1"},
		"empty header":                   {"10.0.0.1:80", []string{""}, "10.0.0.1"},
		"garbage":                        {"10.0.0.1:80", []string{"unknown"}, "10.0.0.1"},
		"garbage behind a proxy":         {"10.0.0.1:80", []string{"203.0.113.9, ???, 10.0.0.2"}, "10.0.0.2"},
		"garbage at the left":            {"10.0.0.1:80", []string{"???, 203.0.113.9"}, "203.0.113.9"},
		"trailing comma":                 {"10.0.0.1:80", []string{"203.0.113.9,"}, "10.0.0.1"},
		"with a port":                    {"10.0.0.1:80", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6 client":                    {"[fd00::1]:80", []string{"2001:db8::9"}, "2001:db8::9"},
		"IPv6 in brackets":               {"[fd00::1]:80", []string{"[2001:db8::9]"}, "2001:db8::9"},
		"IPv6 with a port":               {"[fd00::1]:80", []string{"[2001:db8::9]:4711"}, "2001:db8::9"},
		"half a bracket":                 {"[fd00::1]:80", []string{"[2001:db8::9"}, "fd00::1"},
		"zone":                           {"[fe80::1%eth0]:80", nil, "fe80::1"},
		"IPv4 in IPv6":                   {"[::ffff:203.0.113.9]:80", nil, "203.0.113.9"},
		"proxy as IPv4 in IPv6":          {"[::ffff:10.0.0.1]:80", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"tabs and spaces":                {"10.0.0.1:80", []string{"\t203.0.113.9 ,  10.0.0.2 "}, "203.0.113.9"},
		"without a port":                 {"203.0.113.9", nil, "203.0.113.9"},
		"Unix socket":                    {"@", []string{"203.0.113.9"}, "invalid IP"},
		"empty":                          {"", nil, "invalid IP"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := access.ClientAddr(tt.remote, tt.forwarded, proxies); got.String() != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
	if got := access.ClientAddr("10.0.0.1:80", []string{"203.0.113.9"}, nil); got.String() != "10.0.0.1" {
		t.Errorf("without trusted proxies: %v", got)
	}
}

// Whatever a client writes into the header, it stays where the last trusted
// proxy saw it.
func FuzzClientAddr(f *testing.F) {
	for _, s := range []string{"", ",", "127.0.0.1", "10.0.0.1, 10.0.0.2", "[::1]:80", "a,b,,c", "1.2.3.4%eth0", "::ffff:10.0.0.1"} {
		f.Add("203.0.113.9:1234", s)
		f.Add(s, s)
	}
	const client = "203.0.113.9"
	f.Fuzz(func(t *testing.T, remote, header string) {
		got := access.ClientAddr(remote, []string{header}, proxies)
		direct := access.ClientAddr(remote, nil, proxies)
		trusted := slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(direct) })
		if !trusted && got != direct {
			t.Errorf("%q was moved from %v to %v by %q", remote, direct, got, header)
		}
		for _, spoofed := range [][]string{{header + "," + client}, {header, client}, {header, client + ", 10.0.0.2"}} {
			if got := access.ClientAddr("10.0.0.1:80", spoofed, proxies); got.String() != client {
				t.Errorf("%q behind a proxy is %v", spoofed, got)
			}
		}
	})
}
