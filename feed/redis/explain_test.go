package redis_test

import (
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/redis"
	"github.com/freshet/freshet/internal/testenv"
)

// Where a post is found is told as it is: on its way, on the timeline, in its author's ring, or in the store.
func TestExplain(t *testing.T) {
	server := testenv.StartRedis(t)
	for _, c := range []struct {
		o    redis.Options
		edge feed.Edge
		then feed.Place
	}{
		{options(clientOf(server.Addr)), feed.Pushed, feed.InTimeline},
		{redis.Options{Client: clientOf(server.Addr), Mode: feed.Hybrid, Threshold: 1, Disorder: 8}, feed.Merged, feed.InRing},
		{redis.Options{Client: clientOf(server.Addr), Mode: feed.Pull}, feed.Merged, feed.InStore},
	} {
		s := network(t, c.o)
		id := s.post(t, 2)
		if c.o.Mode != feed.Pull {
			s.served(t)
			id = s.post(t, 2)
		}
		s.explains(t, id, c.edge, c.then)
		if c.o.Mode != feed.Pull {
			s.explains(t, s.post(t, 2), c.edge, feed.InFlight)
		}
		if x := s.explain(t, 9, id); x.InFeed || x.Relation != feed.Stranger || x.Edge != "" || x.Found != "" {
			t.Errorf("mode %q: to a stranger %+v", c.o.Mode, x)
		}
		s.must(t, s.Delete(2, id))
		if x := s.explain(t, 1, id); x.InFeed {
			t.Errorf("mode %q: a deleted post: %+v", c.o.Mode, x)
		}
	}
}

// explains waits for a post to be found in a place, of which a busy machine may leave some out.
func (s *system) explains(t *testing.T, id freshet.ID, edge feed.Edge, place feed.Place) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		x := s.explain(t, 1, id)
		if x.InFeed && x.Relation == feed.Followed && x.Edge == edge && x.Found == place {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %s in %s: %+v", edge, place, x)
		}
		if place == feed.InFlight {
			id = s.post(t, 2)
		}
		s.check(t)
	}
}

func (s *system) explain(t *testing.T, reader, id freshet.ID) feed.Explanation {
	t.Helper()
	x, err := s.any().Explain(t.Context(), reader, freshet.PostRef{ID: id, Author: 2})
	s.must(t, err)
	return x
}
