package feedtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/freshet/freshet"
)

func edgeOf(r relation, from, to int) edge { return edge{r, freshet.ID(from), freshet.ID(to)} }

func newHistory(users int) *history {
	h := &history{edges: make(map[edge]*register[bool])}
	for from := 1; from <= users; from++ {
		for to := 1; to <= users; to++ {
			for r := follows; r <= mutes; r++ {
				h.edges[edgeOf(r, from, to)] = new(register[bool])
			}
		}
	}
	return h
}

// judge looks at every page when all is done and every post's id is known.
func (h *history) judge(reads []*reading) error {
	slices.SortFunc(h.posts, func(a, b *record) int { return cmp.Compare(b.ID, a.ID) })
	for i := 1; i < len(h.posts); i++ {
		if h.posts[i].ID == h.posts[i-1].ID {
			return fmt.Errorf("two posts bear the id %s", h.posts[i].ID)
		}
	}
	for _, r := range reads {
		if err := h.judgePage(r); err != nil {
			return fmt.Errorf("user %d reads %d below %s between %d and %d, and goes on below %s: %w",
				r.reader, r.limit, r.before, r.begin, r.end, r.page.Next, err)
		}
	}
	return nil
}

func (h *history) judgePage(r *reading) error {
	before := r.before
	if before == 0 {
		before = math.MaxInt64
	}
	if len(r.page.Posts) > r.limit {
		return fmt.Errorf("%d posts came", len(r.page.Posts))
	}
	if r.page.Next >= before {
		return fmt.Errorf("no progress")
	}
	shown := make(map[freshet.ID]PageItem, len(r.page.Posts))
	last := before
	for _, p := range r.page.Posts {
		if p.ID >= last || p.ID < r.page.Next {
			return fmt.Errorf("%s follows %s", p.ID, last)
		}
		last = p.ID
		shown[p.ID] = p
	}
	for _, post := range h.posts {
		p, shows := shown[post.ID]
		delete(shown, post.ID)
		switch {
		case shows && !(post.there.may(r.span, true) && h.may(r.reader, post.Author, r.span)):
			return fmt.Errorf("post %s by user %d is there and must not be: %s", post.ID, post.Author, h.explain(r.reader, post))
		case shows && (p.Author != post.Author || !post.text.may(r.span, p.Text)):
			return fmt.Errorf("post %s by user %d shows as by user %d with the text %q: %v", post.ID, post.Author, p.Author, p.Text, post.text.writes)
		case shows && p.Edited != (p.Text != post.Text):
			return fmt.Errorf("post %s with the text %q shows as edited=%v", post.ID, p.Text, p.Edited)
		case !shows && post.ID < before && post.ID >= r.page.Next &&
			!post.there.may(r.span, false) && h.must(r.reader, post.Author, r.span):
			return fmt.Errorf("post %s by user %d is missing: %s", post.ID, post.Author, h.explain(r.reader, post))
		}
	}
	for id := range shown {
		return fmt.Errorf("nobody wrote post %s", id)
	}
	return nil
}

// explain gives the writes that decide whether a reader sees a post.
func (h *history) explain(reader int, post *record) string {
	return fmt.Sprintf("\n\tpost    %v\n\tfollows %v\n\tmutes   %v\n\tblocks  %v\n\tblocked %v",
		post.there.writes,
		h.edge(follows, reader, post.Author).writes, h.edge(mutes, reader, post.Author).writes,
		h.edge(blocks, reader, post.Author).writes, h.edge(blocks, post.Author, reader).writes)
}
