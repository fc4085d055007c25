package shard

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

const (
	halvesPage = 5000
	// recheck is how often halves that do not agree are carried and looked at again, before it counts: the parts are not
	// read at one moment.
	recheck = 3
)

// Verify checks each part, and that what lies on two of them agrees. Mirrors that are pending are carried first; a whole
// check holds all follows and blocks between parts in memory, 24 bytes each. With fix a part mends what is its own; halves
// that do not agree are told.
func (s *Store) Verify(ctx context.Context, sample int, fix bool) (checked int, found []store.Violation, err error) {
	if err := s.deliver(ctx); err != nil {
		return 0, nil, fmt.Errorf("verify: carry what is pending: %w", err)
	}
	for i, p := range s.parts {
		v, ok := p.(store.Verifier)
		if !ok {
			return checked, found, fmt.Errorf("verify: part %d can't be verified", i)
		}
		n, bad, err := v.Verify(ctx, sample, fix)
		if err != nil {
			return checked, found, fmt.Errorf("verify part %d: %w", i, err)
		}
		checked, found = checked+n, append(found, bad...)
	}
	if sample > 0 {
		return checked, found, nil
	}
	for _, blocks := range []bool{false, true} {
		n, bad, err := s.agree(ctx, blocks)
		if err != nil {
			return checked, found, err
		}
		checked, found = checked+n, append(found, bad...)
	}
	return checked, found, nil
}

// pair is a follow or a block between two parts.
type pair struct{ actor, target, edge freshet.ID }

// agree compares originals and mirrors.
func (s *Store) agree(ctx context.Context, blocks bool) (checked int, found []store.Violation, err error) {
	for range recheck {
		left := make(map[pair]int)
		if checked, err = s.halves(ctx, blocks, left); err != nil || len(left) == 0 {
			return checked, nil, err
		}
		found = violations(blocks, left)
		if err := s.deliver(ctx); err != nil {
			return checked, nil, err
		}
	}
	return checked, found, nil
}

// halves adds each original and takes away each mirror: what is left has no other half.
func (s *Store) halves(ctx context.Context, blocks bool, left map[pair]int) (checked int, err error) {
	dir := s.dir.Load()
	for i, p := range s.parts {
		for _, mirror := range []bool{false, true} {
			q := store.HalfQuery{Blocks: blocks, Mirror: mirror, Limit: halvesPage}
			for page := make([]store.Half, halvesPage); len(page) == halvesPage; {
				if page, err = p.Halves(ctx, q); err != nil {
					return checked, err
				}
				for _, h := range page {
					if dir.owner(h.Here) != i { // on its way from one part to another: it counts where its user is
						continue
					}
					f, by := pair{h.Here, h.There, h.Edge}, 1
					if mirror {
						f, by = pair{h.There, h.Here, h.Edge}, -1
					}
					if left[f] += by; left[f] == 0 {
						delete(left, f)
					}
				}
				if checked += len(page); len(page) > 0 {
					q.After = page[len(page)-1]
				}
			}
		}
	}
	return checked, nil
}

func violations(blocks bool, left map[pair]int) (found []store.Violation) {
	what := "follows between parts agree"
	if blocks {
		what = "blocks between parts agree"
	}
	for f, n := range left {
		detail := fmt.Sprintf("%s → %s (edge %s) has no mirror", f.actor, f.target, f.edge)
		if n < 0 {
			detail = fmt.Sprintf("%s → %s (edge %s) has no original", f.actor, f.target, f.edge)
		}
		found = append(found, store.Violation{Invariant: what, Subject: f.actor, Detail: detail})
	}
	slices.SortFunc(found, func(a, b store.Violation) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Detail, b.Detail))
	})
	return found
}
