package access_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
)

func TestPasswords(t *testing.T) {
	p := access.NewPasswords(access.PasswordOptions{})
	hash, err := p.Hash(t.Context(), "pässwörd")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatal(hash, err)
	}
	for password, want := range map[string]bool{"pässwörd": true, "passwörd": false, "": false, "pässwörd ": false} {
		if got, err := p.Verify(t.Context(), hash, password); got != want || err != nil {
			t.Errorf("%q is %v, %v", password, got, err)
		}
	}
	if ok, err := p.Verify(t.Context(), "", "pässwörd"); ok || err != nil {
		t.Errorf("no hash: %v, %v", ok, err)
	}
	if again, _ := p.Hash(t.Context(), "pässwörd"); again == hash {
		t.Error("two hashes share a salt")
	}
}

// The vector of the reference implementation (phc-winner-argon2, test.c: argon2id,
// 64 MiB, two passes, "password", "somesalt").
func TestPasswordOfTheReference(t *testing.T) {
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	p := access.NewPasswords(access.PasswordOptions{})
	if ok, err := p.Verify(t.Context(), hash, "password"); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestPasswordLengths(t *testing.T) {
	p := access.CheapPasswords(access.PasswordOptions{Min: 10})
	for password, code := range map[string]freshet.Code{
		"":                          freshet.CodeInvalid,
		"123456789":                 freshet.CodeInvalid,
		"1234567890":                "",
		"éééééééééé":                "",
		strings.Repeat("x", 1024):   "",
		strings.Repeat("x", 1025):   freshet.CodeInvalid,
		strings.Repeat("é", 513):    freshet.CodeInvalid,
		strings.Repeat("x", 1<<20):  freshet.CodeInvalid,
		"secret-that-must-not-leak": "",
	} {
		_, err := p.Hash(t.Context(), password)
		wantCode(t, err, code)
		if err != nil && password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("%v bears the password", err)
		}
	}
}

// Two are hashed at once; who waits too long is told to come again.
func TestPasswordsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := access.CheapPasswords(access.PasswordOptions{Wait: time.Second})
		free := p.Occupy()
		p.Occupy()
		start := time.Now()
		_, err := p.Hash(t.Context(), rightPassword)
		if wantCode(t, err, freshet.CodeUnavailable); err.(*freshet.Error).RetryAfter <= 0 || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Hash(ctx, rightPassword); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(time.Second/2, free)
		if _, err := p.Hash(t.Context(), rightPassword); err != nil {
			t.Error(err)
		}
	})
}

var notPHC = []string{
	"", "$", "plain", "$2b$12$abcdefghijklmnopqrstuv",
	"$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=8,t=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=0,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=8,t=1,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=8,t=1000000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=08,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=8,t=1,p=1$$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$",
	"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPd",
	"$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc$",
	"$argon2id$v=19$m=8,t=1,p=1$c29t\nZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
}

func TestParsePHC(t *testing.T) {
	for _, s := range notPHC {
		if again, err := access.ParsePHC(s); err == nil {
			t.Errorf("%q reads as %q", s, again)
		}
	}
}

func FuzzPHC(f *testing.F) {
	for _, s := range notPHC {
		f.Add(s)
	}
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, s string) {
		if again, err := access.ParsePHC(s); err == nil && again != s {
			t.Errorf("%q reads as %q: a hash has one form", s, again)
		}
	})
}
