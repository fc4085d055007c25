package api

import (
	"testing"

	"github.com/freshet/freshet/position"
)

// Two writes of one client can end in another order than they were committed in, also where the clients of some minutes pass into
// the older generation between them.
func TestTheLatestWriteIsRemembered(t *testing.T) {
	at := func(offset uint64) position.Token { return position.Token{{System: 1, Timeline: 1, Offset: offset}} }
	for _, turn := range []bool{false, true} {
		var l lastTokens
		raise := func(offset uint64) {
			if err := l.Raise(t.Context(), "s7", at(offset)); err != nil {
				t.Fatal(err)
			}
		}
		raise(9)
		if turn {
			l.turned = l.turned.Add(-lastTokenAge)
		}
		raise(8)
		if got, err := l.Last(t.Context(), "s7"); err != nil || got.At(1).Offset != 9 {
			t.Errorf("turned %t: remembers %v, want 9", turn, got)
		}
	}
}
