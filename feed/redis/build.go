package redis

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/internal/scan"
)

// buildFor bounds a build: after that somebody else may begin one.
const buildFor = 10 // seconds

// A build goes through the log, so that its owner collects what is published meanwhile, and what voids it has a place in the order:
//
//	builder:  'O' ─ reads follows ─ 'A' authors ─ pulls ──────── 'F' posts
//	owner:            the timeline ─ collects ────────────────── fills it: pulled ∪ collected
//	follow:                                   commit ─ 'D' ─ …   no timeline any more: 'F' is of no use
//
// What was acknowledged before 'A' was committed before the pull; what is published after it stands behind it in the log.

// build makes a reader's timeline, and the page of the same pull.
func (e *Engine) build(ctx context.Context, s *scan.Scan) error {
	me := reader(s.Reader)
	token, ok := e.open(ctx, me)
	if !ok {
		return e.pull(ctx, s)
	}
	latest, read := keeping(ctx)
	relations, err := e.o.Graph.Relations(latest, s.Reader)
	if err != nil {
		return err
	}
	if relations == nil {
		relations = &scan.Nobody
	}
	r := ring{token: token}
	// Rates come from what there is to read: a pull before the plan tells how often the followed post.
	var history []freshet.PostRef
	if e.o.Mode == feed.Adaptive {
		e.pulled.Add(1)
		if history, err = e.o.Source.Home(latest, s.Reader, 0, e.o.Length); err != nil {
			return err
		}
	}
	pushed, err := e.plan(ctx, s.Reader, relations.Following, history, &r)
	if err != nil {
		return err
	}
	if r.all {
		e.hand(ctx, me, &r, nil)
		return e.pull(ctx, s)
	}
	if !e.address(ctx, me, token, append(slices.Clone(pushed), s.Reader)) {
		return e.pull(ctx, s)
	}
	e.pulled.Add(1)
	refs, err := e.o.Source.Home(latest, s.Reader, 0, e.o.Length)
	if err != nil {
		return err
	}
	read()
	if len(refs) == e.o.Length {
		r.floor = refs[len(refs)-1].ID
	}
	e.hand(ctx, me, &r, slices.DeleteFunc(slices.Clone(refs), func(p freshet.PostRef) bool {
		_, merged := slices.BinarySearch(r.merged, p.Author)
		return merged
	}))
	for _, p := range refs {
		if s.Take(p) {
			return nil
		}
	}
	if len(refs) < e.o.Length {
		return nil
	}
	return e.pull(ctx, s)
}

// buildRing makes the ring of an author.
func (e *Engine) buildRing(ctx context.Context, author freshet.ID) error {
	h := ringOf(author)
	token, ok := e.open(ctx, h)
	if !ok || !e.address(ctx, h, token, []freshet.ID{author}) {
		return nil
	}
	latest, read := keeping(ctx)
	e.pulled.Add(1)
	refs, err := e.o.Source.ByAuthor(latest, author, 0, e.o.Ring)
	if err != nil {
		return err
	}
	read()
	r := ring{token: token}
	if len(refs) == e.o.Ring {
		r.floor = refs[len(refs)-1].ID
	}
	e.hand(ctx, h, &r, refs)
	return nil
}

// open begins a build, unless somebody is at one.
func (e *Engine) open(ctx context.Context, h holder) (token uint64, ok bool) {
	var random [8]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	token = binary.BigEndian.Uint64(random[:])
	ctx, cancel := within(ctx, patience)
	defer cancel()
	b := e.client.B()
	err := e.asks(ctx, func() error {
		return e.client.Do(ctx, b.Set().Key(e.keys.build(h)).Value("1").Nx().ExSeconds(buildFor).Build()).Error()
	})
	if err == nil {
		err = e.tell(ctx, entry{opened, uint64(h), token})
	}
	return token, err == nil
}

// address names the authors whose posts are to be collected.
func (e *Engine) address(ctx context.Context, h holder, token uint64, authors []freshet.ID) bool {
	ctx, cancel := within(ctx, patience)
	defer cancel()
	return e.leave(ctx, h, addressed, token, rueidis.BinaryString(appendIDs(nil, authors))) == nil
}

// hand gives the owner what was pulled, newest first.
func (e *Engine) hand(ctx context.Context, h holder, r *ring, pulled []freshet.PostRef) {
	for _, p := range slices.Backward(pulled) {
		r.ids = append(r.ids, p.ID)
	}
	r.places = len(r.ids)
	ctx, cancel := within(ctx, patience)
	defer cancel()
	_ = e.leave(ctx, h, filled, r.token, rueidis.BinaryString(r.encode())) // else nothing is kept
}

// leave puts a parcel where the owner finds it, and says so in the log.
func (e *Engine) leave(ctx context.Context, h holder, kind byte, token uint64, parcel string) error {
	err := e.asks(ctx, func() error {
		return e.client.Do(ctx, e.client.B().Set().Key(e.keys.parcel(h, kind, token)).Value(parcel).ExSeconds(buildFor).Build()).Error()
	})
	if err != nil {
		return err
	}
	return e.tell(ctx, entry{kind, uint64(h), token})
}

func (e *Engine) tell(ctx context.Context, en entry) error {
	defer e.wake()
	return e.asks(ctx, func() error {
		stripe := stripeOf(en.holder())
		n, err := e.client.Do(ctx, e.client.B().Rpushx().Key(e.keys.log(stripe)).Element(en.String()).Build()).AsInt64()
		if err == nil && n > int64(e.o.InFlight) {
			err = e.end(ctx, stripe)
		}
		return err
	})
}

// plan decides whose posts are to be delivered to a reader, and whose merged.
func (e *Engine) plan(ctx context.Context, id freshet.ID, authors []freshet.ID, history []freshet.PostRef, r *ring) (pushed []freshet.ID, err error) {
	switch e.o.Mode {
	case feed.Hybrid:
		if len(authors) == 0 {
			return nil, nil
		}
		sizes, err := e.o.Source.Audience(ctx, authors)
		if err != nil {
			return nil, err
		}
		for i, a := range authors {
			if sizes[i] >= int64(e.o.Threshold) {
				r.merged = append(r.merged, a)
			} else {
				pushed = append(pushed, a)
			}
		}
		return pushed, nil
	case feed.Adaptive:
		r.made = e.o.Now()
		r.reads = e.reads.Rate(id, r.made)
		pull := make([]bool, len(authors))
		switch e.o.Costs.Choose(r.reads, ratesOf(authors, history), pull) {
		case feed.PullAll:
			r.all = true
			return nil, nil
		case feed.PerAuthor:
			for i, a := range authors {
				if pull[i] {
					r.merged = append(r.merged, a)
				} else {
					pushed = append(pushed, a)
				}
			}
			return pushed, nil
		}
	}
	return authors, nil
}

// ratesOf estimates how many posts an hour each author writes, by the newest of them all.
func ratesOf(authors []freshet.ID, history []freshet.PostRef) []float64 {
	rates := make([]float64, len(authors))
	if len(history) == 0 {
		return rates
	}
	span := history[0].ID.Time().Sub(history[len(history)-1].ID.Time()).Hours()
	per := 1 / max(span, 1)
	for _, p := range history {
		if i, found := slices.BinarySearch(authors, p.Author); found {
			rates[i] += per
		}
	}
	return rates
}
