package notify

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// scene is a hub of one shard, on which everybody follows user 7.
type scene struct {
	*testing.T
	hub *Hub
	at  position.Position
}

func newScene(t *testing.T, o Options) *scene {
	o.Shards = 1
	if o.Relations == nil {
		o.Relations = func(context.Context, freshet.ID, position.Token) (*freshet.Relations, error) {
			return &freshet.Relations{Following: []freshet.ID{7}}, nil
		}
	}
	s := &scene{t, New(o), position.Position{System: 1, Timeline: 1, Offset: 100}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.hub.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	s.begin()
	return s
}

func (s *scene) begin() {
	s.hub.Begin(0, s.at)
	s.hub.Publish(0, nil, s.at, false)
}

func (s *scene) posts(n int) {
	for range n {
		s.at.Offset++
		s.hub.Publish(0, []store.Change{{At: s.at, Kind: store.PostCreated, Subject: freshet.ID(s.at.Offset), Object: 7}}, s.at, false)
	}
}

func (s *scene) subscribe(user freshet.ID, last string) *Stream {
	s.Helper()
	stream, err := s.hub.Subscribe(s.Context(), Watcher{User: user}, last)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(stream.Close)
	return stream
}

// drains reads a stream up to a post.
func (s *scene) drains(stream *Stream, upTo freshet.ID) (events []*Event) {
	s.Helper()
	for len(events) == 0 || events[len(events)-1].Post < upTo {
		n := len(events)
		var err error
		if events, err = stream.Next(s.Context(), 10*time.Second, events); err != nil || len(events) == n {
			s.Fatalf("%d events, then %v", n, err)
		}
		if len(events)-n > queued {
			s.Fatalf("%d events at once", len(events)-n)
		}
	}
	return events
}

func (s *scene) wantsStart(last string, resumed, reset bool) {
	s.Helper()
	if got := s.subscribe(freshet.ID(1000+len(s.hub.readers)), last).Start(); got.Resumed != resumed || got.Reset != reset {
		s.Errorf("after %q it begins with %+v", last, got)
	}
}

// A stream that is not read holds no more than its queue; what it lacks it finds in the ring, once each, while that has it.
func TestAStreamThatIsNotRead(t *testing.T) {
	s := newScene(t, Options{Keep: 2000})
	slow := s.subscribe(1, "")
	s.posts(1)
	s.drains(slow, 101)
	s.posts(1500)
	if n := len(slow.queue); n != queued {
		t.Errorf("%d events wait", n)
	}
	for i, e := range s.drains(slow, 1601) {
		if e.Post != freshet.ID(102+i) {
			t.Fatalf("event %d is %d", i, e.Post)
		}
	}
	s.posts(2500)
	var err error
	for err == nil {
		_, err = slow.Next(t.Context(), time.Second, nil)
	}
	if !errors.Is(err, errBehind) {
		t.Errorf("a stream whose place is gone: %v", err)
	}
}

// Only an id of this history that the ring reaches back to is resumed.
func TestWhatCanBeResumed(t *testing.T) {
	clock := time.Unix(1e9, 0)
	s := newScene(t, Options{Keep: 10, KeepFor: time.Minute, Now: func() time.Time { return clock }})
	id := func(timeline uint32, offset uint64) string {
		return vector{{position.Position{System: 1, Timeline: timeline, Offset: offset}, 1}}.text()
	}
	s.wantsStart(id(1, 99), false, true)
	s.posts(15)
	s.wantsStart(id(1, 104), false, true)
	s.wantsStart(id(1, 105), true, false)
	s.wantsStart(id(1, 115), true, false)
	s.wantsStart(id(1, 200), true, false) // another node is further
	s.wantsStart(id(2, 115), false, true)
	s.wantsStart("", false, false)
	s.wantsStart("?", false, true)
	if events := s.drains(s.subscribe(1, id(1, 105)), 115); len(events) != 10 || events[0].Post != 106 {
		t.Errorf("after 105 come %d events, the first is %d", len(events), events[0].Post)
	}
	clock = clock.Add(2 * time.Minute)
	s.posts(1)
	s.wantsStart(id(1, 114), false, true)
	s.wantsStart(id(1, 115), true, false)

	open := s.subscribe(2, "")
	s.hub.Lost(0)
	if _, err := open.Next(t.Context(), time.Second, nil); !errors.Is(err, errLost) {
		t.Errorf("when the feed is lost a stream is told %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.hub.Subscribe(ctx, Watcher{User: 3}, id(1, 115)); err == nil {
		t.Error("a stream begins while nothing is heard")
	}
	s.at.Offset += 10
	s.begin()
	s.wantsStart(id(1, 116), false, true)
}

// Some change while relations are read: they are read again, and nobody is told by the old ones.
func TestRelationsThatChangeWhileTheyAreRead(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan *freshet.Relations)
	s := newScene(t, Options{Relations: func(ctx context.Context, _ freshet.ID, _ position.Token) (*freshet.Relations, error) {
		select {
		case asked <- struct{}{}:
			return <-answer, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}})
	await := func() {
		t.Helper()
		select {
		case <-asked:
		case <-time.After(500 * time.Millisecond):
			t.Fatal("nobody reads the relations")
		}
	}
	stream := s.subscribe(1, "")
	await()
	s.at.Offset++
	s.hub.Publish(0, []store.Change{{At: s.at, Kind: store.BlockChanged, Subject: 7, Object: 1}}, s.at, false)
	answer <- &freshet.Relations{Following: []freshet.ID{7}}
	await()
	s.posts(1)
	answer <- &freshet.Relations{Hidden: []freshet.ID{7}, Blocked: []freshet.ID{7}}
	if events, err := stream.Next(t.Context(), 50*time.Millisecond, nil); err != nil || len(events) > 0 {
		t.Errorf("told %v, %v", events, err)
	}
	if stream.Position() == "" {
		t.Error("it has not caught up")
	}
}

// Who follows very many is not in the index, and is told the same.
func TestAReaderOfVeryMany(t *testing.T) {
	many := make([]freshet.ID, indexed+1)
	for i := range many {
		many[i] = freshet.ID(i + 2)
	}
	s := newScene(t, Options{Relations: func(context.Context, freshet.ID, position.Token) (*freshet.Relations, error) {
		return &freshet.Relations{Following: many}, nil
	}})
	stream := s.subscribe(1, "")
	s.posts(3)
	if events := s.drains(stream, 103); len(events) != 3 {
		t.Errorf("%d events", len(events))
	}
	if n := len(s.hub.followers); n != 1 {
		t.Errorf("%d authors are indexed", n)
	}
	stream.Close()
	if len(s.hub.followers)+len(s.hub.wide)+len(s.hub.readers) > 0 {
		t.Error("who is gone is remembered")
	}
}

func TestIDsAreRead(t *testing.T) {
	v := vector{{position.Position{System: 1 << 63, Timeline: 3, Offset: 1 << 60}, whole}, {position.Position{System: 2, Timeline: 1, Offset: 5}, 7}}
	if got, ok := parseVector(v.text()); !ok || got[0] != v[0] || got[1] != v[1] {
		t.Errorf("%v, want %v", got, v)
	}
}

func FuzzParseVector(f *testing.F) {
	f.Add(vector{{position.Position{System: 1, Timeline: 1, Offset: 5}, 7}}.text())
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, text string) {
		if v, ok := parseVector(text); ok {
			if again, ok := parseVector(v.text()); !ok || len(again) != len(v) {
				t.Errorf("%q is read as %v and written as %q", text, v, v.text())
			}
		}
	})
}
