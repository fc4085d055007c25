package access_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
)

func TestOriginsOfWrites(t *testing.T) {
	origins, err := access.NewOrigins("https://app.example.com")
	if err != nil {
		t.Fatal(err)
	}
	type headers map[string]string
	for name, tt := range map[string]struct {
		method  string
		headers headers
		refused bool
	}{
		"own page":                        {"POST", headers{"Sec-Fetch-Site": "same-origin"}, false},
		"typed by the user":               {"POST", headers{"Sec-Fetch-Site": "none"}, false},
		"other site":                      {"POST", headers{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, true},
		"other host of the site":          {"POST", headers{"Sec-Fetch-Site": "same-site", "Origin": "https://blog.freshet.example"}, true},
		"trusted page":                    {"POST", headers{"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com"}, false},
		"trusted name, other scheme":      {"POST", headers{"Sec-Fetch-Site": "cross-site", "Origin": "http://app.example.com"}, true},
		"old browser, own page":           {"POST", headers{"Origin": "https://freshet.example"}, false},
		"old browser, other site":         {"POST", headers{"Origin": "https://evil.example"}, true},
		"old browser, opaque origin":      {"POST", headers{"Origin": "null"}, true},
		"no browser":                      {"POST", nil, false},
		"PUT":                             {"PUT", headers{"Sec-Fetch-Site": "cross-site"}, true},
		"DELETE":                          {"DELETE", headers{"Sec-Fetch-Site": "cross-site"}, true},
		"read from another site":          {"GET", headers{"Sec-Fetch-Site": "cross-site"}, false},
		"other site with a token":         {"POST", headers{"Sec-Fetch-Site": "cross-site", "Authorization": "Bearer x"}, false},
		"other site with an empty header": {"POST", headers{"Sec-Fetch-Site": "cross-site", "Authorization": ""}, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "https://freshet.example/v1/posts", nil)
			for k, v := range tt.headers {
				r.Header.Set(k, v)
			}
			err := origins.Check(r)
			if tt.refused {
				wantCode(t, err, freshet.CodeForbidden)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	for _, bad := range []string{"app.example.com", "*", "https://app.example.com/path", ""} {
		if _, err := access.NewOrigins(bad); err == nil {
			t.Errorf("%q is an origin", bad)
		}
	}
}

// gated is a gate whose limits are one write, one read and two requests an hour.
func gated(t *testing.T) (*access.Gate, *bench) {
	b := newBench(t)
	origins, err := access.NewOrigins()
	if err != nil {
		t.Fatal(err)
	}
	hour := func(n int) access.Rate { return access.Rate{Count: n, Per: time.Hour} }
	return &access.Gate{
		Auth:    b.Authenticator,
		Origins: origins,
		Limiter: newLimiter(b.clock, access.Limits{Writes: hour(1), Reads: hour(1), PerAddress: hour(2)}),
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	}, b
}

func request(method, remote string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "https://freshet.example/v1/feed", nil)
	r.RemoteAddr = remote
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func TestGate(t *testing.T) {
	const far = "203.0.113.9:1234"
	bear := func(token string) []string { return []string{"Authorization", "Bearer " + token} }
	type ask struct {
		method, remote string
		headers        []string
		code           freshet.Code
	}
	g, b := gated(t)
	b.person(t, "ana")
	_, session := b.signIn(t, "ana")
	_, key := b.key(t, "host", false)
	cookie := []string{"Cookie", "other=1; freshet_session=" + session}
	evil := append([]string{"Sec-Fetch-Site", "cross-site"}, cookie...)

	for name, asks := range map[string][]ask{
		"a user's limits": {
			{"GET", "203.0.113.1:1", bear(session), ""},
			{"POST", "203.0.113.2:1", bear(session), ""},
			{"GET", "203.0.113.3:1", bear(session), freshet.CodeRateLimited},
			{"DELETE", "203.0.113.4:1", cookie, freshet.CodeRateLimited},
		},
		"an address's limit": {
			{"GET", far, nil, ""},
			{"GET", far, bear("fs_wrong"), freshet.CodeUnauthenticated},
			{"GET", far, nil, freshet.CodeRateLimited},
			{"GET", far, bear(session), freshet.CodeRateLimited},
		},
		"a key has no limit": {
			{"GET", far, bear(key), ""},
			{"POST", far, bear(key), ""},
			{"POST", far, append(bear(key), "Freshet-User", "ref:ref-ana"), ""},
			{"POST", far, bear(key), ""},
		},
		"a wrong key has": {
			{"GET", far, bear("fk_wrong"), freshet.CodeUnauthenticated},
			{"GET", far, bear("fk_wrong"), freshet.CodeUnauthenticated},
			{"GET", far, bear("fk_wrong"), freshet.CodeRateLimited},
			{"GET", far, bear(key), freshet.CodeRateLimited},
			{"GET", "203.0.113.8:1", bear(key), ""},
		},
		"this machine has none": {
			{"POST", "127.0.0.1:1", bear(session), ""},
			{"POST", "127.0.0.1:1", bear(session), ""},
			{"POST", "[::1]:1", bear(session), ""},
		},
		"what is forwarded is not of this machine": {
			{"GET", "127.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9"}, ""},
			{"GET", "127.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9"}, ""},
			{"GET", "127.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.8"}, freshet.CodeRateLimited},
		},
		"a client can't choose its address": {
			{"GET", far, []string{"X-Forwarded-For", "198.51.100.1"}, ""},
			{"GET", far, []string{"X-Forwarded-For", "198.51.100.2"}, ""},
			{"GET", far, []string{"X-Forwarded-For", "127.0.0.1"}, freshet.CodeRateLimited},
		},
		"a proxy brings its clients": {
			{"GET", "10.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9"}, ""},
			{"GET", "10.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9"}, ""},
			{"GET", "10.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.9"}, freshet.CodeRateLimited},
			{"GET", "10.0.0.1:1", []string{"X-Forwarded-For", "203.0.113.8"}, ""},
		},
		"a page of another site": {
			{"POST", "127.0.0.1:1", evil, freshet.CodeForbidden},
			{"GET", "127.0.0.1:1", evil, ""},
			{"POST", "127.0.0.1:1", cookie, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g.Limiter = newLimiter(b.clock, access.Limits{
				Writes: access.Rate{Count: 1, Per: time.Hour}, Reads: access.Rate{Count: 1, Per: time.Hour}, PerAddress: access.Rate{Count: 2, Per: time.Hour},
			})
			for i, a := range asks {
				p, err := g.Admit(request(a.method, a.remote, a.headers...))
				if freshet.CodeOf(err) != a.code {
					t.Errorf("request %d: %v, want code %q", i+1, err, a.code)
				}
				if err != nil && (p != access.Principal{Addr: p.Addr, Exempt: p.Exempt}) {
					t.Errorf("request %d is refused and of %+v", i+1, p)
				}
			}
		})
	}
}

func TestGateTellsTheAddress(t *testing.T) {
	g, b := gated(t)
	b.person(t, "ana")
	s, session := b.signIn(t, "ana")
	p, err := g.Admit(request("GET", "10.0.0.1:1", "X-Forwarded-For", "203.0.113.9", "Cookie", "freshet_session="+session))
	want := access.Principal{Kind: access.BySession, User: s.User, Session: s.ID, ViaCookie: true, Addr: netip.MustParseAddr("203.0.113.9")}
	if p != want || err != nil {
		t.Errorf("got %+v, %v\nwant %+v", p, err, want)
	}
	g.Loopback = true
	for range 2 {
		g.Admit(request("GET", "127.0.0.1:1"))
	}
	_, err = g.Admit(request("GET", "127.0.0.1:1"))
	wantCode(t, err, freshet.CodeRateLimited)
}

// Who is exempt here is so further in, also where a cookie of old is passed over.
func TestGateTellsWhoIsExempt(t *testing.T) {
	for name, tt := range map[string]struct {
		loopback bool
		r        *http.Request
		want     bool
	}{
		"this machine":           {false, request("GET", "127.0.0.1:1"), true},
		"this machine, limited":  {true, request("GET", "127.0.0.1:1"), false},
		"refused":                {false, request("GET", "[::1]:1", "Cookie", "freshet_session=old"), true},
		"forwarded, by X-F-F":    {false, request("GET", "127.0.0.1:1", "X-Forwarded-For", "203.0.113.9"), false},
		"forwarded, by RFC 7239": {false, request("GET", "127.0.0.1:1", "Forwarded", "for=203.0.113.9"), false},
		"elsewhere":              {false, request("GET", "203.0.113.9:1"), false},
	} {
		t.Run(name, func(t *testing.T) {
			g, _ := gated(t)
			g.Loopback = tt.loopback
			if p, err := g.Admit(tt.r); p.Exempt != tt.want {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// Keys that are tried cost the store no read once their address is over its limit.
func TestTriedKeysAreNotLookedUp(t *testing.T) {
	const tries = 50
	g, b := gated(t)
	for i := range tries {
		_, err := g.Admit(request("GET", "203.0.113.9:1", "Authorization", fmt.Sprintf("Bearer fk_%043d", i)))
		if err == nil {
			t.Fatal("a key that is none was let in")
		}
	}
	if b.db.reads != 2 {
		t.Errorf("the store was read %d times for %d keys, want 2", b.db.reads, tries)
	}
}
