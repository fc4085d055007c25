package feedtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

// modelSystem is the model itself as a system, honest or with one fault.
type modelSystem struct {
	m     Model
	fault string
}

func (s *modelSystem) Post(author int, text string) (freshet.ID, error) {
	return s.m.Post(freshet.ID(author), text), nil
}

func (s *modelSystem) Edit(_ int, post freshet.ID, text string) error {
	if s.fault != "edits are lost" {
		s.m.Edit(post, text)
	}
	return nil
}

func (s *modelSystem) Delete(_ int, post freshet.ID) error {
	if s.fault != "deletions are lost" {
		s.m.Delete(post)
	}
	return nil
}

func (s *modelSystem) Follow(actor, target int) error {
	if !s.m.Follow(freshet.ID(actor), freshet.ID(target)) {
		return freshet.NotFound("user")
	}
	return nil
}

func (s *modelSystem) Unfollow(actor, target int) error {
	if s.fault != "unfollows are lost" {
		s.m.Unfollow(freshet.ID(actor), freshet.ID(target))
	}
	return nil
}

func (s *modelSystem) Block(actor, target int) error {
	s.m.Block(freshet.ID(actor), freshet.ID(target))
	return nil
}

func (s *modelSystem) Unblock(actor, target int) error {
	s.m.Unblock(freshet.ID(actor), freshet.ID(target))
	return nil
}

func (s *modelSystem) Mute(actor, target int) error {
	if s.fault != "mutes are lost" {
		s.m.Mute(freshet.ID(actor), freshet.ID(target))
	}
	return nil
}

func (s *modelSystem) Unmute(actor, target int) error {
	s.m.Unmute(freshet.ID(actor), freshet.ID(target))
	return nil
}

func (s *modelSystem) Restart() error {
	if s.fault == "restarts fail" {
		return errors.New("fails")
	}
	return nil
}

func (s *modelSystem) Page(reader int, before freshet.ID, limit int) (Page, error) {
	page, err := s.m.Page(context.Background(), feed.Query{Reader: freshet.ID(reader), Before: before, Limit: limit})
	n := len(page.Refs)
	switch {
	case s.fault == "a post is passed over at the end of pages" && page.Scanned > 1:
		page.Scanned--
	case s.fault == "the newest post comes late" && before == 0 && n > 1:
		page.Refs = page.Refs[1:]
	case s.fault == "pages overlap" && before > 0 && n > 0 && n < limit:
		page.Refs = append(page.Refs, page.Refs[n-1])
	}
	out := Page{Next: page.Scanned}
	for _, ref := range page.Refs {
		p := s.m.Get(ref.ID)
		out.Posts = append(out.Posts, PageItem{p.ID, int(p.Author), p.Text, p.Edited})
	}
	return out, err
}

var (
	faults = []string{
		"edits are lost", "deletions are lost", "unfollows are lost", "mutes are lost",
		"the newest post comes late", "pages overlap", "a post is passed over at the end of pages",
	}
	alone = append(slices.Clone(faults), "restarts fail")
)

func TestHonestSystem(t *testing.T) {
	honest := func(T, int) map[string]System { return map[string]System{"model": new(modelSystem)} }
	Run(t, honest, Options{Checks: 50})
	RunConcurrent(t, honest, Options{Ops: 1000})
}

// TestFaults breaks the system in one way after the other: a stream of the
// usual length finds each, and shrinks to a few operations.
func TestFaults(t *testing.T) {
	for _, fault := range alone {
		t.Run(fault, func(t *testing.T) {
			open := func(T, int) map[string]System { return map[string]System{"broken": &modelSystem{fault: fault}} }
			fails := func(s stream) (int, bool) {
				n, err := play(t, open, 6, s)
				return n, err != nil
			}
			s := newStream(random(1), 6, 200)
			if _, failed := fails(s); !failed {
				t.Fatal("a stream of 200 operations does not find it")
			}
			s = shrink(s, time.Now().Add(10*time.Second), fails)
			if len(s) > 8 {
				t.Errorf("the shortest stream that finds it is%s", s)
			}
		})
	}
}

func TestFaultsUnderConcurrency(t *testing.T) {
	for _, fault := range faults {
		t.Run(fault, func(t *testing.T) {
			if _, _, err := playConcurrently(&modelSystem{fault: fault}, Options{Users: 6, Ops: 1000}); err == nil {
				t.Fatal("1000 operations do not find it")
			}
		})
	}
}

func TestShrink(t *testing.T) {
	// It takes a deletion after two posts.
	fails := func(s stream) (int, bool) {
		posts := 0
		for i, o := range s {
			switch {
			case o.kind == opPost:
				posts++
			case o.kind == opDelete && posts >= 2:
				return i + 1, true
			}
		}
		return 0, false
	}
	s := shrink(newStream(random(1), 6, 500), time.Now().Add(10*time.Second), fails)
	if len(s) != 3 {
		t.Errorf("shrunk to%s", s)
	}
}

// TestStreamReads shows every operation as it is printed.
func TestStreamReads(t *testing.T) {
	var s stream
	for k := opPost; k <= opRestart; k++ {
		s = append(s, op{kind: k, user: 1, other: 2, post: int(k), limit: 5})
	}
	for i, want := range []string{
		"user 1 posts", "user 1 reads 5 from below post 0 from the newest", "user 1 follows user 2",
		"user 1 unfollows user 2", "post 4 from the newest is deleted", "post 5 from the newest is edited",
		"user 1 mutes user 2", "user 1 unmutes user 2", "user 1 blocks user 2", "user 1 unblocks user 2",
		"user 1 reads all by 5", "the system restarts",
	} {
		if !strings.Contains(s.String(), fmt.Sprintf("%d: %s", i, want)) {
			t.Errorf("%d: %q is not in%s", i, want, s)
		}
	}
}
