package access_test

import (
	"strings"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
)

// What a request may bear, and who asks by it.
func TestAuthenticate(t *testing.T) {
	b := newBench(t)
	ana := b.person(t, "ana")
	session, token := b.signIn(t, "ana")
	host, key := b.key(t, "host", false)
	root, rootKey := b.key(t, "root", true)
	grant, _, err := b.MintUserToken(t.Context(), access.Principal{Kind: access.ByKey, Key: host.ID}, ana, 0)
	if err != nil {
		t.Fatal(err)
	}
	bySession := access.Principal{Kind: access.BySession, User: ana, Session: session.ID}
	byCookie := bySession
	byCookie.ViaCookie = true
	byKey := func(user freshet.ID) access.Principal {
		return access.Principal{Kind: access.ByKey, User: user, Key: host.ID, KeyName: "host"}
	}

	for name, tt := range map[string]struct {
		by   access.Presented
		want access.Principal
		code freshet.Code
	}{
		"nothing":              {},
		"session":              {by: access.Presented{Authorization: "Bearer " + token}, want: bySession},
		"scheme in lower case": {by: access.Presented{Authorization: "bearer  " + token}, want: bySession},
		"cookie":               {by: access.Presented{Cookie: token}, want: byCookie},
		"header before cookie": {by: access.Presented{Authorization: "Bearer " + key, Cookie: token}, want: byKey(0)},
		"user token": {
			by:   access.Presented{Authorization: "Bearer " + grant},
			want: access.Principal{Kind: access.ByUserToken, User: ana, Key: host.ID, KeyName: "host"},
		},
		"key":        {by: access.Presented{Authorization: "Bearer " + key}, want: byKey(0)},
		"key for id": {by: access.Presented{Authorization: "Bearer " + key, ActFor: ana.String()}, want: byKey(ana)},
		"key for ref": {
			by: access.Presented{Authorization: "Bearer " + key, ActFor: "ref:ref-ana"}, want: byKey(ana),
		},
		"key of an administrator": {
			by:   access.Presented{Authorization: "Bearer " + rootKey},
			want: access.Principal{Kind: access.ByKey, Admin: true, Key: root.ID, KeyName: "root"},
		},

		"wrong scheme":               {by: access.Presented{Authorization: "Basic YTpi"}, code: freshet.CodeMalformed},
		"no token":                   {by: access.Presented{Authorization: "Bearer "}, code: freshet.CodeMalformed},
		"two tokens":                 {by: access.Presented{Authorization: "Bearer a b"}, code: freshet.CodeMalformed},
		"not ours":                   {by: access.Presented{Authorization: "Bearer eyJhbGciOi"}, code: freshet.CodeUnauthenticated},
		"short":                      {by: access.Presented{Authorization: "Bearer fs_abc"}, code: freshet.CodeUnauthenticated},
		"long":                       {by: access.Presented{Authorization: "Bearer " + token + "x"}, code: freshet.CodeUnauthenticated},
		"unknown session":            {by: access.Presented{Authorization: "Bearer fs_" + strings.Repeat("A", 43)}, code: freshet.CodeUnauthenticated},
		"unknown key":                {by: access.Presented{Authorization: "Bearer fk_" + strings.Repeat("A", 43)}, code: freshet.CodeUnauthenticated},
		"unknown cookie":             {by: access.Presented{Cookie: "fs_" + strings.Repeat("A", 43)}, code: freshet.CodeUnauthenticated},
		"key in the cookie":          {by: access.Presented{Cookie: key}, code: freshet.CodeUnauthenticated},
		"user token in the cookie":   {by: access.Presented{Cookie: grant}, code: freshet.CodeUnauthenticated},
		"session's hash as a key":    {by: access.Presented{Authorization: "Bearer fk_" + token[3:]}, code: freshet.CodeUnauthenticated},
		"nobody acts for somebody":   {by: access.Presented{ActFor: ana.String()}, code: freshet.CodeForbidden},
		"session acts for somebody":  {by: access.Presented{Authorization: "Bearer " + token, ActFor: ana.String()}, code: freshet.CodeForbidden},
		"user token acts":            {by: access.Presented{Authorization: "Bearer " + grant, ActFor: ana.String()}, code: freshet.CodeForbidden},
		"key for an unknown id":      {by: access.Presented{Authorization: "Bearer " + key, ActFor: "12345"}, code: freshet.CodeInvalid},
		"key for an unknown ref":     {by: access.Presented{Authorization: "Bearer " + key, ActFor: "ref:nobody"}, code: freshet.CodeInvalid},
		"key for an empty ref":       {by: access.Presented{Authorization: "Bearer " + key, ActFor: "ref:"}, code: freshet.CodeInvalid},
		"key for what is no id":      {by: access.Presented{Authorization: "Bearer " + key, ActFor: "ana"}, code: freshet.CodeInvalid},
		"wrong key for somebody":     {by: access.Presented{Authorization: "Bearer fk_x", ActFor: ana.String()}, code: freshet.CodeUnauthenticated},
		"wrong token and right cook": {by: access.Presented{Authorization: "Bearer fs_x", Cookie: token}, code: freshet.CodeUnauthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := b.Authenticate(t.Context(), tt.by)
			if got != tt.want || freshet.CodeOf(err) != tt.code || (err != nil) != (tt.code != "") {
				t.Errorf("got %+v, %v\nwant %+v, code %q", got, err, tt.want, tt.code)
			}
			if tt.code == freshet.CodeInvalid && !strings.Contains(err.Error(), access.UserHeader) {
				t.Errorf("%v does not name the header", err)
			}
			if err != nil && (strings.Contains(err.Error(), token[3:]) || strings.Contains(err.Error(), key[3:])) {
				t.Errorf("%v bears a token", err)
			}
		})
	}
}

func TestPrincipalRequires(t *testing.T) {
	for name, tt := range map[string]struct {
		p         access.Principal
		user, key freshet.Code
	}{
		"anonymous":      {access.Principal{}, freshet.CodeUnauthenticated, freshet.CodeUnauthenticated},
		"person":         {access.Principal{Kind: access.BySession, User: 1}, "", freshet.CodeForbidden},
		"user token":     {access.Principal{Kind: access.ByUserToken, User: 1}, "", freshet.CodeForbidden},
		"key":            {access.Principal{Kind: access.ByKey, Key: 2}, freshet.CodeMalformed, ""},
		"key for a user": {access.Principal{Kind: access.ByKey, Key: 2, User: 1}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			id, err := tt.p.RequireUser()
			wantCode(t, err, tt.user)
			if id != tt.p.User {
				t.Errorf("user is %v, want %v", id, tt.p.User)
			}
			wantCode(t, tt.p.RequireKey(), tt.key)
		})
	}
}

func TestScopesDiffer(t *testing.T) {
	seen := map[string]access.Principal{}
	for _, p := range []access.Principal{
		{},
		{Kind: access.BySession, User: 1},
		{Kind: access.BySession, User: 2},
		{Kind: access.ByKey, Key: 1},
		{Kind: access.ByKey, Key: 1, User: 1},
		{Kind: access.ByKey, Key: 2, User: 1},
	} {
		if other, taken := seen[p.Scope()]; taken {
			t.Errorf("%+v and %+v share the scope %q", p, other, p.Scope())
		}
		seen[p.Scope()] = p
	}
	token := access.Principal{Kind: access.ByUserToken, User: 1, Key: 7}
	if session := (access.Principal{Kind: access.BySession, User: 1}); token.Scope() != session.Scope() {
		t.Error("a user is two callers")
	}
}

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"", "Bearer", "Bearer ", "bearer x", "Bearer a,b", "Basic x", "Bearer  fs_x", "Bearer\tx"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, err := access.Bearer(s)
		if err != nil {
			wantCode(t, err, freshet.CodeMalformed)
			return
		}
		if token == "" || strings.ContainsAny(token, " \t,") || !strings.HasSuffix(s, token) {
			t.Errorf("%q bears %q", s, token)
		}
	})
}

func FuzzToken(f *testing.F) {
	b := newBench(f)
	ana := b.person(f, "ana")
	_, token := b.signIn(f, "ana")
	host, key := b.key(f, "host", false)
	grant, _, err := b.MintUserToken(f.Context(), access.Principal{Kind: access.ByKey, Key: host.ID}, ana, 0)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{token, key, grant, "fs_", "ft_", "fk_", "ft_" + strings.Repeat("A", 76), grant[:78] + "="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := b.Authenticate(t.Context(), access.Presented{Authorization: "Bearer " + s})
		trimmed := strings.TrimLeft(s, " ")
		if known := trimmed == token || trimmed == key || trimmed == grant; known != (err == nil) {
			t.Errorf("%q is %+v, %v", s, p, err)
		}
	})
}
