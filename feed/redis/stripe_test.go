package redis

import (
	"testing"

	"github.com/freshet/freshet"
)

// Readers whose timelines are built again and again leave nothing behind with authors who never post.
func TestAudienceOfASilentAuthor(t *testing.T) {
	s := newStripe(0, 1)
	for i := range 10_000 {
		h := reader(freshet.ID(1 + i%4))
		s.open(h, uint64(i), 10, 100)
		s.address(s.find(h, uint64(i)), []freshet.ID{7})
	}
	if n := len(s.audience[7]); n > 100 {
		t.Errorf("4 readers are %d members of an audience", n)
	}
	if n := len(s.of(7)); n != 4 {
		t.Errorf("4 readers are %d live members of an audience", n)
	}
}
