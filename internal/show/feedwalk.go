package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/internal/show/naive"
)

const (
	pageSize    = 50
	feedWalkers = 6 // feeds that are walked at once
)

// walked is what a walk over every user's feed has seen.
type walked struct {
	users        int
	posts, pages int64
	short        int64 // pages with a cursor and fewer posts than asked for
	digest       [sha256.Size]byte
	took         time.Duration
}

func (w walked) String() string {
	s := fmt.Sprintf("%d feeds, %d posts on %d pages in %s", w.users, w.posts, w.pages, w.took.Round(100*time.Millisecond))
	if w.short > 0 {
		s += fmt.Sprintf(", %d pages short of %d with a cursor", w.short, pageSize)
	}
	return s
}

// walkFeeds walks the whole home feed of every user of a dataset and compares it,
// post by post, with the naive query; the user's counters too. The first
// difference is the error.
func walkFeeds(ctx context.Context, n *node, key string, d *dataset) (w walked, err error) {
	homes := d.homes()
	began := time.Now()
	c := newClient(n.url, "Bearer "+key, feedWalkers)
	defer c.close()
	sums := make([][sha256.Size]byte, len(d.users))
	var posts, pages, short atomic.Int64
	err = each(ctx, feedWalkers, len(d.users), func(ctx context.Context, i int) error {
		id, err := checkUser(ctx, c, d.network, d.users[i])
		if err != nil {
			return err
		}
		digest := sha256.New()
		check := feedChecker{want: homes[i]}
		err = walk(ctx, c, "/v1/feed", id, pageSize, func(p *pageJSON[postJSON], raw []byte) error {
			digest.Write(raw)
			pages.Add(1)
			if p.Next != "" && len(p.Items) < pageSize {
				short.Add(1)
			}
			return check.page(p.Items)
		})
		if err == nil {
			err = check.end()
		}
		if err != nil {
			return fmt.Errorf("feed of %s: %w", d.users[i], err)
		}
		digest.Sum(sums[i][:0])
		posts.Add(int64(check.seen))
		return nil
	})
	total := sha256.New()
	for i := range sums {
		total.Write(sums[i][:])
	}
	total.Sum(w.digest[:0])
	w.users, w.posts, w.pages, w.short, w.took = len(d.users), posts.Load(), pages.Load(), short.Load(), time.Since(began)
	return w, err
}

// checkUser finds a user by handle, compares its counters and gives its id.
func checkUser(ctx context.Context, c *client, network *naive.Network, handle string) (id string, err error) {
	var u userJSON
	if err := c.get(ctx, "/v1/users/by-handle/"+handle, "", &u); err != nil {
		return "", err
	}
	followers, following, posts := network.Counts(handle)
	if u.Handle != handle || u.Followers != followers || u.Following != following || u.Posts != posts {
		return "", fmt.Errorf("user %s has handle %q, %d followers, %d followed, %d posts; the files say %d, %d, %d",
			handle, u.Handle, u.Followers, u.Following, u.Posts, followers, following, posts)
	}
	return u.ID, nil
}

// feedChecker holds the pages of one feed against what they should be.
type feedChecker struct {
	want []*naive.Post
	seen int
	last string // the id seen last
}

func (f *feedChecker) page(items []postJSON) error {
	for i := range items {
		got := &items[i]
		if f.seen == len(f.want) {
			return fmt.Errorf("has more than the %d posts it should have: %s by %s", len(f.want), got.ID, got.Author.Handle)
		}
		want := f.want[f.seen]
		if got.Author.Handle != want.Author || got.Text != want.Text || !got.CreatedAt.Equal(want.At) {
			return fmt.Errorf("post %d is by %s at %s: %q\nit should be by %s at %s: %q", f.seen+1,
				got.Author.Handle, got.CreatedAt.Format(time.RFC3339Nano), got.Text, want.Author, want.At.Format(time.RFC3339Nano), want.Text)
		}
		if f.last != "" && laterID(got.ID, f.last) >= 0 {
			return fmt.Errorf("post %d has the id %s, which does not fall below %s", f.seen+1, got.ID, f.last)
		}
		f.last = got.ID
		f.seen++
	}
	return nil
}

func (f *feedChecker) end() error {
	if f.seen < len(f.want) {
		return fmt.Errorf("ends after %d posts, should have %d; the next is by %s: %q", f.seen, len(f.want), f.want[f.seen].Author, f.want[f.seen].Text)
	}
	return nil
}
