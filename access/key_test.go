package access_test

import (
	"strings"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/store"
)

func TestKeys(t *testing.T) {
	b := newBench(t)
	k, text := b.key(t, "host", false)
	if !strings.HasPrefix(text, "fk_") || len(text) != 46 {
		t.Errorf("key is %q", text)
	}
	if p := b.serves(t, text); p.Kind != access.ByKey || p.Key != k.ID || p.KeyName != "host" || p.Admin {
		t.Errorf("key is of %+v", p)
	}

	_, _, err := b.CreateKey(t.Context(), "host", true)
	wantCode(t, err, freshet.CodeConflict)
	for _, name := range []string{"", "two\nlines", strings.Repeat("x", 101)} {
		_, _, err := b.CreateKey(t.Context(), name, false)
		wantCode(t, err, freshet.CodeInvalid)
	}

	if _, err := b.RevokeKey(t.Context(), "host"); err != nil {
		t.Fatal(err)
	}
	b.refuses(t, text)
	_, err = b.RevokeKey(t.Context(), "host")
	wantCode(t, err, freshet.CodeNotFound)
	_, again := b.key(t, "host", false)
	b.serves(t, again)
	b.refuses(t, text)
	if all, err := b.ListKeys(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("listed are %v, %v", all, err)
	}
}

// Another process revoked a key that is cached here.
func TestFenceEndsCachedKey(t *testing.T) {
	b := newBench(t)
	k, text := b.key(t, "host", false)
	b.serves(t, text)
	b.db.RevokeKey(t.Context(), "host", b.clock.now())
	b.serves(t, text) // until the feed brings it, or a minute has passed
	if err := b.Fence(t.Context(), store.Change{Kind: store.KeyRevoked, Subject: k.ID}); err != nil {
		t.Fatal(err)
	}
	b.refuses(t, text)
}

// Keys that do not exist are not looked up each time.
func TestAbsenceIsCached(t *testing.T) {
	b := newBench(t)
	for range 5 {
		b.refuses(t, "fk_"+strings.Repeat("x", 43))
		b.refuses(t, "fs_"+strings.Repeat("x", 43))
	}
	if b.db.reads != 2 {
		t.Errorf("store was read %d times for two unknown tokens", b.db.reads)
	}
}
