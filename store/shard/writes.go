package shard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// EraseUser removes a user and all that the user wrote, on every part.
func (s *Store) EraseUser(ctx context.Context, id freshet.ID, w store.Write) (gone store.Erased, at position.Token, err error) {
	var from int
	err = s.made(ctx, id, &at, func(p store.Part) (err error) {
		from = s.owner(id)
		gone, at, err = p.EraseUser(ctx, id, w)
		return err
	})
	if errors.Is(err, freshet.ErrNotFound) {
		err = s.erasing(ctx, id, err)
	}
	if err != nil {
		return gone, at, err
	}
	ctx, cancel := context.WithTimeout(ctx, withdrawalPatience)
	defer cancel()
	var mu sync.Mutex
	err = s.each(func(to int, _ store.Part) error {
		if to == from {
			return nil
		}
		r, err := s.couriers[from][to].flush(ctx)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		touched := r.touched[id]
		gone.Parents, gone.Neighbors = append(gone.Parents, touched.Parents...), append(gone.Neighbors, touched.Neighbors...)
		at = at.Merge(r.at)
		return nil
	})
	gone.Parents, gone.Neighbors = sorted(gone.Parents), sorted(gone.Neighbors)
	if err == nil {
		err = s.stayed(ctx, id, from)
	}
	if err != nil {
		err = unavailable("the erasure", err)
	}
	return gone, at, err
}

// erasing is nil where a user's part has erased it and others are still to be told: who was told to try again is.
func (s *Store) erasing(ctx context.Context, id freshet.ID, absent error) error {
	pending, err := s.parts[s.owner(id)].Pending(ctx, store.AllBuckets(), carriedMost)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(pending, func(m store.Mirror) bool { return m.Kind == store.Erasure && m.Actor == id }) {
		return nil
	}
	return absent
}

func sorted(ids []freshet.ID) []freshet.ID {
	slices.Sort(ids)
	return slices.Compact(ids)
}

// SetPassword replaces the hash and ends the user's sessions.
func (s *Store) SetPassword(ctx context.Context, id freshet.ID, hash string, admin bool) (ended []freshet.Session, err error) {
	err = s.on(ctx, id, func(p store.Part) (err error) {
		ended, err = p.SetPassword(ctx, id, hash, admin)
		return err
	})
	return ended, err
}

// exist fails where a user who is not on the part of a write does not exist: that part can't know. Where the user's part is
// out of reach the user is taken to exist: a follow or block of nobody is refused later, and undone.
func (s *Store) exist(ctx context.Context, user, at freshet.ID) error {
	if s.owner(user) == s.owner(at) {
		return nil
	}
	users, err := s.Users(ctx, []freshet.ID{user})
	switch {
	case freshet.CodeOf(err) == freshet.CodeUnavailable:
		return nil
	case err == nil && len(users) == 0:
		return freshet.NotFound("user")
	}
	return err
}

// edgeOp is a write on an edge, on the actor's part.
type edgeOp func(p store.Part, ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error)

// relate makes a write on an edge, without another half, or before it.
func (s *Store) relate(ctx context.Context, actor, target freshet.ID, w store.Write, op edgeOp) (changed bool, at position.Token, err error) {
	if err := s.exist(ctx, target, actor); err != nil {
		return false, nil, err
	}
	return s.edge(ctx, actor, target, w, op)
}

func (s *Store) edge(ctx context.Context, actor, target freshet.ID, w store.Write, op edgeOp) (changed bool, at position.Token, err error) {
	err = s.made(ctx, actor, &at, func(p store.Part) (err error) {
		changed, at, err = op(p, ctx, actor, target, w)
		return err
	})
	return changed, at, err
}

// Follow makes actor a follower of target.
func (s *Store) Follow(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	if err := s.admit(ctx, actor, target); err != nil {
		return false, nil, err
	}
	return s.follow(ctx, actor, target, w, store.Part.Follow)
}

// Unfollow ends a follow.
func (s *Store) Unfollow(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	if err := s.exist(ctx, target, actor); err != nil {
		return false, nil, err
	}
	return s.follow(ctx, actor, target, w, store.Part.Unfollow)
}

// follow is acknowledged when its own half is made. The other half comes before that where it takes no longer than
// followPatience; where that can't be, because the target was erased, blocks the actor or
// became private at this moment, it is undone.
func (s *Store) follow(ctx context.Context, actor, target freshet.ID, w store.Write, op edgeOp) (bool, position.Token, error) {
	changed, at, err := s.edge(ctx, actor, target, w, op)
	if err != nil || !changed {
		return changed, at, err
	}
	r, err := s.carry(ctx, actor, target, false, followPatience)
	switch {
	case err != nil:
		s.options.Log.InfoContext(ctx, "the other half of a follow comes later", "actor", actor, "target", target, "error", err)
		return true, at, nil
	case r.refused[edge{store.FollowMade, actor, target}]:
		if err := s.admit(ctx, actor, target); err != nil {
			return false, nil, err
		}
		return false, nil, freshet.NotFound("user")
	}
	return true, at.Merge(r.at), nil
}

// carry carries what an actor's part has to tell a target's, and back what comes of it, where anything may. It is empty where
// they are one.
func (s *Store) carry(ctx context.Context, actor, target freshet.ID, back bool, patience time.Duration) (*round, error) {
	from, to := s.owner(actor), s.owner(target)
	if from == to {
		return &round{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := s.couriers[from][to].flush(ctx)
	if err != nil || !back {
		return r, err
	}
	home, err := s.couriers[to][from].flush(ctx)
	if err == nil {
		err = s.stayed(ctx, actor, from)
	}
	if err == nil && s.owner(target) != to {
		err = errLeft
	}
	if err != nil {
		return nil, err
	}
	return &round{at: r.at.Merge(home.at), refused: r.refused}, nil
}

// errLeft is what couriers could not carry: it goes with the bucket that it lies in, and is carried from there.
var errLeft = errors.New("a bucket has left meanwhile")

// stayed fails where a user's bucket has left the part that couriers were to carry from: its mirrors went along.
func (s *Store) stayed(ctx context.Context, user freshet.ID, from int) error {
	elsewhere, err := s.parts[from].Elsewhere(ctx)
	if err == nil && elsewhere.Has(user.Bucket()) {
		err = errLeft
	}
	return err
}

// Block notes a block and ends both follows.
func (s *Store) Block(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return s.withdraw(ctx, actor, target, w, "the block", store.Part.Block)
}

// Unblock lifts a block; the follows it ended stay ended.
func (s *Store) Unblock(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return s.withdraw(ctx, actor, target, w, "the end of the block", store.Part.Unblock)
}

// withdraw is acknowledged when both parts have it, also where it had been made before: by a caller who was told to try again.
func (s *Store) withdraw(ctx context.Context, actor, target freshet.ID, w store.Write, what string, op edgeOp) (bool, position.Token, error) {
	changed, at, err := s.relate(ctx, actor, target, w, op)
	if err != nil {
		return changed, at, err
	}
	r, err := s.carry(ctx, actor, target, true, withdrawalPatience)
	switch {
	case err != nil:
		return changed, at, unavailable(what, err)
	case r.refused[edge{store.BlockMade, actor, target}]:
		return false, nil, freshet.NotFound("user")
	}
	return changed, at.Merge(r.at), nil
}

// Mute notes that actor does not want to see target.
func (s *Store) Mute(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return s.relate(ctx, actor, target, w, store.Part.Mute)
}

// Unmute lifts a mute.
func (s *Store) Unmute(ctx context.Context, actor, target freshet.ID, w store.Write) (bool, position.Token, error) {
	return s.relate(ctx, actor, target, w, store.Part.Unmute)
}

// CreatePost is made on the author's part.
func (s *Store) CreatePost(ctx context.Context, p freshet.NewPost, w store.Write) (out freshet.Post, at position.Token, err error) {
	err = s.made(ctx, p.Author, &at, func(part store.Part) (err error) {
		out, at, err = part.CreatePost(ctx, p, w)
		return err
	})
	return out, at, err
}

// EditPost is made on the post's part.
func (s *Store) EditPost(ctx context.Context, author, post freshet.ID, p freshet.PostPatch, w store.Write) (out freshet.Post, at position.Token, err error) {
	err = s.made(ctx, post, &at, func(part store.Part) (err error) {
		out, at, err = part.EditPost(ctx, author, post, p, w)
		return err
	})
	return out, at, err
}

// DeletePost is made on the post's part.
func (s *Store) DeletePost(ctx context.Context, author, post freshet.ID, w store.Write) (at position.Token, err error) {
	err = s.made(ctx, post, &at, func(part store.Part) (err error) {
		at, err = part.DeletePost(ctx, author, post, w)
		return err
	})
	return at, err
}

// Like is made on the post's part.
func (s *Store) Like(ctx context.Context, actor, post freshet.ID, w store.Write) (int64, bool, position.Token, error) {
	return s.like(ctx, actor, post, w, store.Part.Like)
}

// Unlike is made on the post's part.
func (s *Store) Unlike(ctx context.Context, actor, post freshet.ID, w store.Write) (int64, bool, position.Token, error) {
	return s.like(ctx, actor, post, w, store.Part.Unlike)
}

type likeOp func(p store.Part, ctx context.Context, actor, post freshet.ID, w store.Write) (int64, bool, position.Token, error)

func (s *Store) like(ctx context.Context, actor, post freshet.ID, w store.Write, op likeOp) (n int64, changed bool, at position.Token, err error) {
	if err := s.exist(ctx, actor, post); err != nil {
		return 0, false, nil, err
	}
	err = s.made(ctx, post, &at, func(p store.Part) (err error) {
		n, changed, at, err = op(p, ctx, actor, post, w)
		return err
	})
	return n, changed, at, err
}

// CreateComment is made on the post's part.
func (s *Store) CreateComment(ctx context.Context, c freshet.NewComment, w store.Write) (out freshet.Comment, at position.Token, err error) {
	if err := s.exist(ctx, c.Author, c.Post); err != nil {
		return out, nil, err
	}
	err = s.made(ctx, c.Post, &at, func(p store.Part) (err error) {
		out, at, err = p.CreateComment(ctx, c, w)
		return err
	})
	return out, at, err
}

// DeleteComment is made on the part of the post, whose bucket the comment bears.
func (s *Store) DeleteComment(ctx context.Context, actor, comment freshet.ID, w store.Write) (out freshet.Comment, at position.Token, err error) {
	err = s.made(ctx, comment, &at, func(p store.Part) (err error) {
		out, at, err = p.DeleteComment(ctx, actor, comment, w)
		return err
	})
	return out, at, err
}

// CountViews adds to each part what was seen of its posts, and at last to home, which knows by that that all have the batch.
func (s *Store) CountViews(ctx context.Context, b store.ViewBatch) error {
	groups, dir := make([][]store.ViewedPost, len(s.parts)), s.dir.Load()
	home := dir.Home()
	for _, v := range b.Posts {
		i := dir.owner(v.Post)
		groups[i] = append(groups[i], v)
	}
	err := s.each(func(i int, p store.Part) error {
		if i == home || len(groups[i]) == 0 {
			return nil
		}
		return p.CountViews(ctx, store.ViewBatch{Journal: b.Journal, Seq: b.Seq, Posts: groups[i]})
	})
	if err == nil {
		err = s.parts[home].CountViews(ctx, store.ViewBatch{Journal: b.Journal, Seq: b.Seq, Posts: groups[home]})
	}
	if errors.Is(err, store.ErrMoved) {
		err = &freshet.Error{Code: freshet.CodeUnavailable, Message: "a part of the posts is being moved", RetryAfter: time.Second, Err: err}
	}
	return err
}

// CreateSession is made on the user's part.
func (s *Store) CreateSession(ctx context.Context, n freshet.Session, w store.Write) (out freshet.Session, at position.Token, err error) {
	err = s.made(ctx, n.User, &at, func(p store.Part) (err error) {
		out, at, err = p.CreateSession(ctx, n, w)
		return err
	})
	return out, at, err
}

// TouchSession is made on the part of the user, whose bucket the session bears.
func (s *Store) TouchSession(ctx context.Context, id freshet.ID, used, expires time.Time) error {
	return s.on(ctx, id, func(p store.Part) error { return p.TouchSession(ctx, id, used, expires) })
}

// EndSession is made on the user's part.
func (s *Store) EndSession(ctx context.Context, user, id freshet.ID, w store.Write) (out freshet.Session, at position.Token, err error) {
	if id.Bucket() != user.Bucket() {
		return out, nil, freshet.NotFound("session") // it is nobody's, or another's
	}
	err = s.made(ctx, user, &at, func(p store.Part) (err error) {
		out, at, err = p.EndSession(ctx, user, id, w)
		return err
	})
	return out, at, err
}

// CreateKey is made at home.
func (s *Store) CreateKey(ctx context.Context, k freshet.APIKey) (out freshet.APIKey, err error) {
	err = s.on(ctx, homeID, func(p store.Part) (err error) {
		out, err = p.CreateKey(ctx, k)
		return err
	})
	return out, err
}

// RevokeKey is made at home.
func (s *Store) RevokeKey(ctx context.Context, name string, at time.Time) (out freshet.APIKey, err error) {
	err = s.on(ctx, homeID, func(p store.Part) (err error) {
		out, err = p.RevokeKey(ctx, name, at)
		return err
	})
	return out, err
}

// SaveAnswer keeps the answer beside the claim, on whichever part that is; at home where there is none.
func (s *Store) SaveAnswer(ctx context.Context, id freshet.Idempotency, status int, answer []byte) error {
	at, c, err := s.claimed(ctx, id.Key)
	if err != nil {
		return err
	}
	if at >= 0 && c.Subject == 0 { // it lies wherever the request was made
		return s.parts[at].SaveAnswer(ctx, id, status, answer)
	}
	return s.on(ctx, c.Subject, func(p store.Part) error { return p.SaveAnswer(ctx, id, status, answer) })
}

// purge removes from every part and tells how many.
func (s *Store) purge(call func(store.Part) (int, error)) (int, error) {
	counts := make([]int, len(s.parts))
	err := s.each(func(i int, p store.Part) (err error) {
		counts[i], err = call(p)
		return err
	})
	n := 0
	for _, c := range counts {
		n += c
	}
	return n, err
}

// PurgeSessions removes what expired before a time.
func (s *Store) PurgeSessions(ctx context.Context, before time.Time) (int, error) {
	return s.purge(func(p store.Part) (int, error) { return p.PurgeSessions(ctx, before) })
}

// PurgeClaims removes what is older than a time.
func (s *Store) PurgeClaims(ctx context.Context, before time.Time) (int, error) {
	return s.purge(func(p store.Part) (int, error) { return p.PurgeClaims(ctx, before) })
}

// PurgeViewHours removes the hours before one.
func (s *Store) PurgeViewHours(ctx context.Context, before freshet.Hour) (int, error) {
	return s.purge(func(p store.Part) (int, error) { return p.PurgeViewHours(ctx, before) })
}

// Secret is kept at home.
func (s *Store) Secret(ctx context.Context, name string) (secret []byte, err error) {
	err = s.on(ctx, homeID, func(p store.Part) (err error) {
		secret, err = p.Secret(ctx, name)
		return err
	})
	return secret, err
}

// claimed finds the part that knows an idempotency key: the one whose write was made under it, if there is one; -1: none.
func (s *Store) claimed(ctx context.Context, key [32]byte) (at int, c freshet.Claim, err error) {
	found := make([]*freshet.Claim, len(s.parts))
	err = s.each(func(i int, p store.Part) error {
		c, err := p.Claim(ctx, key)
		if err == nil && (c.Subject == 0 || s.owner(c.Subject) == i) { // else it is on its way from one part to another
			found[i] = &c
		}
		if errors.Is(err, freshet.ErrNotFound) || freshet.CodeOf(err) == freshet.CodeUnavailable {
			err = nil // the same request goes to the same part, and can't be made there while that is out of reach
		}
		return err
	})
	at = -1
	for i, f := range found {
		if f != nil && (at < 0 || c.Subject == 0) {
			at, c = i, *f
		}
	}
	if c.Subject != 0 {
		err = nil // what is out of reach can't know more
	}
	return at, c, err
}

// Claim gives what is known of a key.
func (s *Store) Claim(ctx context.Context, key [32]byte) (freshet.Claim, error) {
	at, c, err := s.claimed(ctx, key)
	if err == nil && at < 0 {
		err = freshet.NotFound("claim")
	}
	return c, err
}
