package feedtest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/freshet/freshet"
)

// Run applies random streams of operations to the model and to every system
// that open gives, and compares each page read. At the end of a stream every
// user reads the whole feed. The first stream that fails is shrunk for up to
// Options.Shrink and printed.
func Run(t *testing.T, open Open, o Options) {
	t.Helper()
	o = o.withDefaults()
	systems := 0
	counted := func(t T, users int) map[string]System {
		all := open(t, users)
		systems = len(all)
		return all
	}
	for i := range o.Checks {
		seed := o.Seed + uint64(i)
		s := newStream(random(seed), o.Users, o.Ops)
		n, err := play(t, counted, o.Users, s)
		if err == nil {
			continue
		}
		s = shrink(s[:n], time.Now().Add(o.Shrink), func(s stream) (int, bool) {
			n, last := play(t, open, o.Users, s)
			if last != nil {
				err = last
			}
			return n, last != nil
		})
		t.Fatalf("seed %d: %v\nin this stream:%s", seed, err, s)
	}
	t.Logf("%d operations on each of %d systems", o.Checks*o.Ops, systems)
}

// play runs one stream on fresh systems. It gives the first failure and how
// many operations led to it.
func play(t *testing.T, open Open, users int, s stream) (n int, err error) {
	st := &stage{T: t}
	defer st.clear()
	var r runner
	systems := open(st, users)
	for _, name := range slices.Sorted(maps.Keys(systems)) {
		r.subjects = append(r.subjects, &subject{name: name, system: systems[name], numbers: make(map[freshet.ID]freshet.ID)})
	}
	for i, op := range s {
		if err := r.apply(op); err != nil {
			return i + 1, fmt.Errorf("operation %d, %s: %w", i, op, err)
		}
	}
	for user := 1; user <= users; user++ {
		if err := r.walk(user, 3); err != nil {
			return len(s), fmt.Errorf("at the end, user %d reads all: %w", user, err)
		}
	}
	return len(s), nil
}

// stage is the test as systems see it that live for one stream only.
type stage struct {
	*testing.T
	cleanups []func()
}

func (s *stage) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *stage) clear() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// runner holds subjects against the model.
type runner struct {
	model    Model
	edits    int
	subjects []*subject
}

// subject is a system and the names that it and the model have for posts.
type subject struct {
	name    string
	system  System
	ids     []freshet.ID // of the model's post n, at n-1
	numbers map[freshet.ID]freshet.ID
}

func (s *subject) id(number freshet.ID) freshet.ID {
	if number == 0 {
		return 0
	}
	return s.ids[number-1]
}

// each asks every system for the same thing.
func (r *runner) each(do func(s *subject) error) error {
	for _, s := range r.subjects {
		if err := do(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (r *runner) apply(o op) error {
	switch o.kind {
	case opPost:
		return r.post(o.user)
	case opEdit, opDelete:
		return r.change(o)
	case opRead:
		return r.each(func(s *subject) error {
			_, err := r.read(s, o.user, o.newest(r.model.Len(), o.post-1), o.limit)
			return err
		})
	case opWalk:
		return r.walk(o.user, o.limit)
	case opRestart:
		return r.each(func(s *subject) error { return s.system.Restart() })
	}
	return r.relate(o)
}

func (r *runner) post(author int) error {
	text := fmt.Sprintf("post %d", r.model.Len()+1)
	number := r.model.Post(freshet.ID(author), text)
	return r.each(func(s *subject) error {
		id, err := s.system.Post(author, text)
		if err == nil && len(s.ids) > 0 && id <= s.ids[len(s.ids)-1] {
			err = fmt.Errorf("the new post's id %s does not lie above %s", id, s.ids[len(s.ids)-1])
		}
		s.ids = append(s.ids, id)
		s.numbers[id] = number
		return err
	})
}

func (r *runner) change(o op) error {
	number := o.newest(r.model.Len(), o.post)
	if number == 0 || r.model.Get(number).Deleted {
		return nil
	}
	author := int(r.model.Get(number).Author)
	if o.kind == opDelete {
		r.model.Delete(number)
		return r.each(func(s *subject) error { return s.system.Delete(author, s.id(number)) })
	}
	r.edits++
	text := fmt.Sprintf("post %d, edit %d", number, r.edits)
	r.model.Edit(number, text)
	return r.each(func(s *subject) error { return s.system.Edit(author, s.id(number), text) })
}

func (r *runner) relate(o op) error {
	actor, target := freshet.ID(o.user), freshet.ID(o.other)
	if actor == target {
		return nil
	}
	switch o.kind {
	case opFollow:
		if !r.model.Follow(actor, target) {
			return r.each(func(s *subject) error {
				if err := s.system.Follow(o.user, o.other); freshet.CodeOf(err) != freshet.CodeNotFound {
					return fmt.Errorf("a follow of a blocked user gives %v", err)
				}
				return nil
			})
		}
		return r.each(func(s *subject) error { return s.system.Follow(o.user, o.other) })
	case opUnfollow:
		r.model.Unfollow(actor, target)
		return r.each(func(s *subject) error { return s.system.Unfollow(o.user, o.other) })
	case opBlock:
		r.model.Block(actor, target)
		return r.each(func(s *subject) error { return s.system.Block(o.user, o.other) })
	case opUnblock:
		r.model.Unblock(actor, target)
		return r.each(func(s *subject) error { return s.system.Unblock(o.user, o.other) })
	case opMute:
		r.model.Mute(actor, target)
		return r.each(func(s *subject) error { return s.system.Mute(o.user, o.other) })
	case opUnmute:
		r.model.Unmute(actor, target)
		return r.each(func(s *subject) error { return s.system.Unmute(o.user, o.other) })
	}
	return fmt.Errorf("no operation %d", o.kind)
}

// walk reads a whole feed.
func (r *runner) walk(reader, limit int) error {
	return r.each(func(s *subject) error {
		for before := freshet.ID(0); ; {
			next, err := r.read(s, reader, before, limit)
			if err != nil || next == 0 {
				return err
			}
			before = next
		}
	})
}
