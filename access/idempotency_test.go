package access_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/store"
)

const (
	scope = "user 7"
	idem  = "0b6f8c1e-key"
)

var (
	body  = [32]byte{1}
	other = [32]byte{2}
)

func newIdempotency(db *memory) *access.Idempotency {
	return access.NewIdempotency(access.IdempotencyOptions{Store: db, Secret: []byte(strings.Repeat("i", 32)), Now: newClock().now})
}

func begin(t testing.TB, i *access.Idempotency, hash [32]byte) *access.Try {
	t.Helper()
	try, err := i.Begin(t.Context(), scope, idem, hash)
	if err != nil {
		t.Fatal(err)
	}
	return try
}

// succeed carries a request out: the write makes subject, the answer is 201.
func succeed(t testing.TB, db *memory, try *access.Try, subject freshet.ID, answer string) {
	t.Helper()
	if try.State != access.Fresh || try.Claim == nil {
		t.Fatalf("state is %v", try.State)
	}
	if err := db.write(try.Claim, subject); err != nil {
		t.Fatal(err)
	}
	if err := try.Save(t.Context(), 201, []byte(answer)); err != nil {
		t.Fatal(err)
	}
	try.Release()
}

func TestSameBodySameAnswer(t *testing.T) {
	db := newMemory()
	succeed(t, db, begin(t, newIdempotency(db), body), 42, "the answer")
	for range 2 { // also by another process, as after a restart
		again := begin(t, newIdempotency(db), body)
		if again.State != access.Replayed || again.Status != 201 || string(again.Answer) != "the answer" || again.Claim != nil {
			t.Errorf("got %+v", again)
		}
		again.Release()
	}
}

func TestOtherBodyIsRefused(t *testing.T) {
	db := newMemory()
	i := newIdempotency(db)
	running := begin(t, i, body)
	_, err := i.Begin(t.Context(), scope, idem, other) // while it runs
	wantReused(t, err)
	succeed(t, db, running, 42, "the answer")
	_, err = i.Begin(t.Context(), scope, idem, other) // and after
	wantReused(t, err)
	if n := i.RunningTries(); n != 0 {
		t.Errorf("%d requests are left running", n)
	}
}

func wantReused(t *testing.T, err error) {
	t.Helper()
	if wantCode(t, err, freshet.CodeKeyReused); !strings.HasPrefix(err.Error(), access.IdempotencyHeader) {
		t.Errorf("%v does not name the header", err)
	}
}

func TestStillRunningIsRefused(t *testing.T) {
	db := newMemory()
	i := newIdempotency(db)
	running := begin(t, i, body)
	_, err := i.Begin(t.Context(), scope, idem, body)
	if wantCode(t, err, freshet.CodeInProgress); err.(*freshet.Error).RetryAfter <= 0 {
		t.Errorf("%v says not when to come again", err)
	}
	running.Release()
	next := begin(t, i, body)
	running.Release() // again: must not release another's
	_, err = i.Begin(t.Context(), scope, idem, body)
	wantCode(t, err, freshet.CodeInProgress)
	next.Release()
}

// The process died after the write and before the answer was saved.
func TestResumeAfterCrash(t *testing.T) {
	db := newMemory()
	died := begin(t, newIdempotency(db), body)
	if err := db.write(died.Claim, 42); err != nil {
		t.Fatal(err)
	}
	i := newIdempotency(db)
	resumed := begin(t, i, body)
	if resumed.State != access.Resumed || resumed.Subject != 42 || resumed.Claim != nil {
		t.Fatalf("got %+v", resumed)
	}
	if err := resumed.Save(t.Context(), 201, []byte("made again")); err != nil {
		t.Fatal(err)
	}
	resumed.Release()
	if again := begin(t, i, body); again.State != access.Replayed || string(again.Answer) != "made again" {
		t.Errorf("got %+v", again)
	}
}

// Two processes run the same request; the second write finds the claim.
func TestClaimedByAnotherProcess(t *testing.T) {
	db := newMemory()
	here, there := begin(t, newIdempotency(db), body), begin(t, newIdempotency(db), body)
	if err := db.write(there.Claim, 42); err != nil {
		t.Fatal(err)
	}
	if err := db.write(here.Claim, 43); !errors.Is(err, store.ErrClaimed) {
		t.Fatal(err)
	}
	if err := here.Again(t.Context()); err != nil || here.State != access.Resumed || here.Subject != 42 {
		t.Errorf("got %+v, %v", here, err)
	}
	if err := there.Save(t.Context(), 201, []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	if err := here.Again(t.Context()); err != nil || here.State != access.Replayed || string(here.Answer) != "theirs" {
		t.Errorf("got %+v, %v", here, err)
	}
}

func TestOnlySuccessIsSaved(t *testing.T) {
	db := newMemory()
	i := newIdempotency(db)
	for _, status := range []int{100, 199, 300, 304, 401, 409, 422, 429, 500, 503} {
		try := begin(t, i, body)
		if try.State != access.Fresh {
			t.Fatalf("before %d: %+v", status, try)
		}
		if err := try.Save(t.Context(), status, []byte("no")); err != nil {
			t.Error(err)
		}
		try.Release()
	}
	try := begin(t, i, body)
	if err := try.Save(t.Context(), 204, nil); err != nil { // a write that changed nothing made no claim
		t.Fatal(err)
	}
	try.Release()
	if again := begin(t, i, body); again.State != access.Replayed || again.Status != 204 || len(again.Answer) != 0 {
		t.Errorf("got %+v", again)
	}
}

// A client that hung up will ask again.
func TestSaveAfterClientIsGone(t *testing.T) {
	db := newMemory()
	i := newIdempotency(db)
	try := begin(t, i, body)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := try.Save(ctx, 201, []byte("the answer")); err != nil {
		t.Fatal(err)
	}
	try.Release()
	if again := begin(t, i, body); again.State != access.Replayed {
		t.Errorf("got %+v", again)
	}
}

func TestScopesDoNotMeet(t *testing.T) {
	db := newMemory()
	i := newIdempotency(db)
	succeed(t, db, begin(t, i, body), 42, "the answer")
	try, err := i.Begin(t.Context(), "user 8", idem, other)
	if err != nil || try.State != access.Fresh {
		t.Errorf("got %+v, %v", try, err)
	}
	if access.ClaimKey("a", "bc") == access.ClaimKey("ab", "c") {
		t.Error("scope and key run into each other")
	}
}

// What is in the file tells nobody a session's token, and can't be exchanged.
func TestAnswersAreSealed(t *testing.T) {
	db := newMemory()
	answer := `{"token":"fs_secret"}`
	succeed(t, db, begin(t, newIdempotency(db), body), 42, answer)
	key := access.ClaimKey(scope, idem)
	saved := db.claims[key]
	if bytes.Contains(saved.Answer, []byte("fs_secret")) {
		t.Errorf("the answer is kept as %q", saved.Answer)
	}
	for name, change := range map[string]func(c *freshet.Claim){
		"other status": func(c *freshet.Claim) { c.Status = 200 },
		"bent":         func(c *freshet.Claim) { c.Answer = append([]byte{^c.Answer[0]}, c.Answer[1:]...) },
		"cut":          func(c *freshet.Claim) { c.Answer = c.Answer[:5] },
		"gone":         func(c *freshet.Claim) { c.Answer = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := saved
			change(&c)
			db.claims[key] = c
			defer func() { db.claims[key] = saved }()
			try := begin(t, newIdempotency(db), body)
			if try.State != access.Resumed || try.Subject != 42 || try.Answer != nil {
				t.Errorf("got %+v", try)
			}
		})
	}
	other := access.NewIdempotency(access.IdempotencyOptions{Store: db, Secret: make([]byte, 32)})
	if try := begin(t, other, body); try.State != access.Resumed || try.Subject != 42 {
		t.Errorf("under another secret: %+v", try)
	}
}

// Of many that come at once one runs, and all who are let in later get its answer.
func TestManyAtOnce(t *testing.T) {
	db := newMemory()
	i := newIdempotency(db)
	var ran, replayed atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for {
				try, err := i.Begin(t.Context(), scope, idem, body)
				if freshet.CodeOf(err) == freshet.CodeInProgress {
					continue
				} else if err != nil {
					t.Error(err)
					return
				}
				if try.State == access.Replayed {
					replayed.Add(1)
				} else {
					ran.Add(1)
					succeed(t, db, try, 42, "the answer")
				}
				try.Release()
				return
			}
		})
	}
	if wg.Wait(); ran.Load() != 1 || replayed.Load() != 31 || i.RunningTries() != 0 {
		t.Errorf("%d ran, %d were replayed, %d are left", ran.Load(), replayed.Load(), i.RunningTries())
	}
}

func TestIdempotencyKeys(t *testing.T) {
	for key, ok := range map[string]bool{
		"a": true, "with space": true, "~!\"": true, strings.Repeat("k", 255): true,
		"": false, strings.Repeat("k", 256): false, "é": false, "a\nb": false, "\x7f": false, "tab\t": false,
	} {
		try, err := newIdempotency(newMemory()).Begin(t.Context(), scope, key, body)
		if ok != (err == nil) || ok != (try != nil) {
			t.Errorf("%q: %v", key, err)
		}
		if !ok {
			wantCode(t, err, freshet.CodeInvalid)
		}
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", "a", "é", "a\x00", strings.Repeat("k", 256)} {
		f.Add(s)
	}
	db := newMemory()
	i := newIdempotency(db)
	f.Fuzz(func(t *testing.T, key string) {
		if access.CheckIdempotencyKey(key) != nil {
			return
		}
		try, err := i.Begin(t.Context(), scope, key, body)
		if err != nil {
			t.Fatal(err)
		}
		defer try.Release()
		if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is a key", key)
		}
		if try.State == access.Fresh {
			if err := try.Save(t.Context(), 200, []byte(key)); err != nil {
				t.Fatal(err)
			}
		} else if string(try.Answer) != key {
			t.Errorf("%q has the answer of %q", key, try.Answer)
		}
	})
}

func TestClaimsAreKeptADay(t *testing.T) {
	db, c := newMemory(), newClock()
	i := newIdempotency(db)
	if n, err := i.Purge(t.Context()); n != 1 || err != nil || !db.purged.Equal(c.now().Add(-24*time.Hour)) {
		t.Errorf("purged %d before %v, %v", n, db.purged, err)
	}
}
