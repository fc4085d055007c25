package api

import (
	"testing"

	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/position"
)

// Two writes of one client can end in another order than they were committed in, also where the clients of a minute pass into
// the older generation between them.
func TestTheLatestWriteIsRemembered(t *testing.T) {
	who := access.Principal{Kind: access.BySession, User: 7}
	at := func(offset uint64) position.Token { return position.Token{{System: 1, Timeline: 1, Offset: offset}} }
	for _, turn := range []bool{false, true} {
		var l lastTokens
		l.put(who, at(9))
		if turn {
			l.turned = l.turned.Add(-lastTokenAge)
		}
		l.put(who, at(8))
		if got := l.get(who); got.At(1).Offset != 9 {
			t.Errorf("turned %t: remembers %v, want 9", turn, got)
		}
	}
}
