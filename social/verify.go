package social

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

const (
	verifyPosts = 200                   // of the top of each home feed
	verifyTries = 5                     // a live write between two reads is no violation
	verifyPause = 20 * time.Millisecond // for it to be fenced
)

// Verify compares what the caches and the feed say for one user with the store:
// the profile, the relations, the top of the home feed with the reference query,
// and the posts on it with their counts and likes.
func (s *Service) Verify(ctx context.Context, user freshet.ID) (found []store.Violation, err error) {
	for try := range verifyTries {
		if try > 0 {
			time.Sleep(verifyPause)
		}
		if found, err = s.verify(ctx, user); err != nil || len(found) == 0 {
			return nil, err
		}
	}
	return found, nil
}

func (s *Service) verify(ctx context.Context, user freshet.ID) (found []store.Violation, err error) {
	differ := func(what string, got, want any) {
		found = append(found, store.Violation{Invariant: what, Subject: user, Detail: fmt.Sprintf("is %v, the store says %v", got, want)})
	}
	users, err := s.store.Users(ctx, []freshet.ID{user})
	if err != nil || len(users) == 0 {
		return nil, err
	}
	profile, err := s.User(ctx, user, user)
	if err != nil {
		return nil, err
	}
	if profile.User != users[0] {
		differ("cached user equals the store", profile.User, users[0])
	}
	all, err := s.store.Relations(ctx, []freshet.ID{user})
	if err != nil {
		return nil, err
	}
	want := all[user]
	got, err := s.spaces.relations.Get(ctx, user)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(got.Following, want.Following) || !slices.Equal(got.Hidden, want.Hidden) || !slices.Equal(got.Blocked, want.Blocked) {
		differ("cached relations equal the store", *got, want)
	}
	if ref := users[0].Ref; ref != "" {
		if id, err := s.UserByRef(ctx, ref); err != nil || id != user {
			differ("cached ref equals the store", id, user)
		}
	}
	views, err := s.homeTop(ctx, user, verifyPosts)
	if err != nil {
		return nil, err
	}
	page := make([]freshet.ID, len(views))
	for i, v := range views {
		page[i] = v.ID
	}
	reference, err := s.referenceHome(ctx, user, &want, len(page)+1)
	if err != nil {
		return nil, err
	}
	if len(page) >= verifyPosts {
		reference = reference[:min(len(reference), len(page))]
	}
	if !slices.Equal(page, reference) {
		differ("home feed equals the reference query", page, reference)
	}
	return found, s.verifyViews(ctx, user, views, page, differ)
}

// verifyViews compares what was shown of posts with the store: texts, counts
// and the reader's likes.
func (s *Service) verifyViews(ctx context.Context, user freshet.ID, views []PostView, ids []freshet.ID, differ func(what string, got, want any)) error {
	if len(ids) == 0 {
		return nil
	}
	posts, err := s.store.Posts(ctx, ids)
	if err != nil {
		return err
	}
	counts, err := s.store.Counts(ctx, ids)
	if err != nil {
		return err
	}
	likes, err := s.store.LikedBy(ctx, user, ids[0]+1, likedKept)
	if err != nil {
		return err
	}
	liked := newLikedSet(likes)
	stored := make(map[freshet.ID]freshet.Post, len(posts))
	for _, p := range posts {
		stored[p.ID] = p
	}
	for _, v := range views {
		if p := stored[v.ID]; v.Text != p.Text || !bytes.Equal(v.Data, p.Data) || !v.EditedAt.Equal(p.EditedAt) {
			differ("cached post equals the store", v.Post, p)
		}
		if v.Counts != counts[v.ID] {
			differ("cached counts equal the store", v.Counts, counts[v.ID])
		}
		if v.ID >= liked.floor && v.Liked != liked.has(v.ID) {
			differ("cached likes equal the store", v.Liked, !v.Liked)
		}
	}
	return nil
}

func (s *Service) homeTop(ctx context.Context, reader freshet.ID, n int) (views []PostView, err error) {
	var page Page
	for before := freshet.ID(0); len(views) < n; before = page.Next {
		if err := s.Home(ctx, reader, before, 50, &page); err != nil {
			return nil, err
		}
		views = append(views, page.Posts...)
		if page.Next == 0 {
			break
		}
	}
	return views, nil
}

// referenceHome evaluates the home feed author by author, without the feed
// engine, its pull query or a cache.
func (s *Service) referenceHome(ctx context.Context, reader freshet.ID, r *freshet.Relations, n int) (ids []freshet.ID, err error) {
	for _, author := range append([]freshet.ID{reader}, r.Following...) {
		if author != reader && r.Hides(author) {
			continue
		}
		refs, err := s.store.ByAuthor(ctx, author, 0, n)
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			ids = append(ids, ref.ID)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids[:min(len(ids), n)], nil
}
