package position_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/freshet/freshet/position"
)

var signer = position.NewSigner([]byte("0123456789abcdef0123456789abcdef"))

func Example() {
	written := position.Position{System: 7, Timeline: 1, Offset: 41}
	text := signer.Seal(position.Token{}.Raise(written))

	token, err := signer.Open(text)
	fmt.Println(token, err)

	behind := position.Position{System: 7, Timeline: 1, Offset: 40}
	fmt.Println(behind.Reached(token.At(7)), written.Reached(token.At(7)))
	// Output:
	// [{7 1 41}] <nil>
	// false true
}

func tokens() *rapid.Generator[position.Token] {
	return rapid.Custom(func(t *rapid.T) position.Token {
		var tok position.Token
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			tok = tok.Raise(position.Position{
				System:   rapid.Uint64Range(0, 4).Draw(t, "system"),
				Timeline: rapid.Uint32Range(0, 3).Draw(t, "timeline"),
				Offset:   rapid.Uint64().Draw(t, "offset"),
			})
		}
		return tok
	})
}

func TestATokenSurvivesItsCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tok := tokens().Draw(t, "token")
		back, err := signer.Open(signer.Seal(tok))
		if err != nil || !slices.Equal(back, tok) {
			t.Fatalf("%v became %v, %v", tok, back, err)
		}
	})
}

func TestMergeIsTheLeastUpperBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := tokens().Draw(t, "a"), tokens().Draw(t, "b")
		m := a.Merge(b)
		if !slices.Equal(m, b.Merge(a)) || !slices.Equal(m, m.Merge(a)) {
			t.Fatalf("merge of %v and %v is not commutative and idempotent", a, b)
		}
		for _, p := range append(slices.Clone(a), b...) {
			if order, ok := m.At(p.System).Compare(p); !ok || order < 0 {
				t.Fatalf("%v is below %v", m, p)
			}
		}
		for i := 1; i < len(m); i++ {
			if m[i-1].System >= m[i].System {
				t.Fatalf("%v is not in order", m)
			}
		}
	})
}

func TestRaiseLeavesTheOldTokenAlone(t *testing.T) {
	old := position.Token{{System: 1, Timeline: 1, Offset: 1}}
	_ = old.Raise(position.Position{System: 1, Timeline: 1, Offset: 2})
	if old[0].Offset != 1 {
		t.Error("raise changed its receiver")
	}
}

func TestAnotherTimelineHasReachedNothing(t *testing.T) {
	want := position.Position{System: 1, Timeline: 2, Offset: 5}
	for _, at := range []position.Position{
		{System: 1, Timeline: 1, Offset: 99},
		{System: 1, Timeline: 3, Offset: 99},
		{System: 2, Timeline: 2, Offset: 99},
		{System: 1, Timeline: 2, Offset: 4},
	} {
		if at.Reached(want) {
			t.Errorf("%v has reached %v", at, want)
		}
	}
	if !want.Reached(want) {
		t.Error("a position has not reached itself")
	}
}

func TestAForgedTokenIsRefused(t *testing.T) {
	text := signer.Seal(position.Token{{System: 1, Timeline: 1, Offset: 1}})
	if _, err := position.NewSigner([]byte("another secret of thirty-two byt")).Open(text); err == nil {
		t.Error("opened under another key")
	}
	for i := range len(text) {
		b := []byte(text)
		if b[i]++; b[i] == text[i] {
			continue
		}
		if tok, err := signer.Open(string(b)); err == nil {
			t.Errorf("with byte %d changed it opened as %v", i, tok)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(signer.Seal(nil))
	f.Add(signer.Seal(position.Token{{System: 1, Timeline: 2, Offset: 3}}))
	f.Add("")
	f.Add(signer.Seal(nil) + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		tok, err := signer.Open(text)
		if err == nil && signer.Seal(tok) != text {
			t.Errorf("%q opened as %v, which seals to another text", text, tok)
		}
	})
}
