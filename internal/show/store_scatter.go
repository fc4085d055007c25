package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/shard"
)

const (
	scatterParts   = 4
	scatterAuthors = 40    // whom a reader follows, spread over the parts
	scatterPage    = 50    // posts
	scatterDeep    = 1_000 // the page that is compared with the first
)

// scatter compares a home feed's page 1,000 over four databases with its first page.
func scatter(ctx context.Context, l *lab) (found []ratio, err error) {
	l.say("pages of a scatter over %d databases", scatterParts)
	var servers testenv.Scope
	defer servers.Close()
	server := testenv.StartPostgres(&servers, "max_connections=300", "shared_buffers=256MB", "max_wal_size=4GB", "wal_level=logical")
	var parts []store.Part
	var opened []*postgres.DB
	defer func() {
		for _, db := range opened {
			err = errors.Join(err, db.Close())
		}
	}()
	for range scatterParts {
		db, err := postgres.Open(ctx, server.CreateDatabase(&servers), postgres.Options{})
		if err != nil {
			return nil, err
		}
		parts, opened = append(parts, db), append(opened, db)
	}
	s, err := shard.Open(ctx, parts, shard.Options{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	reader, err := scatterNetwork(ctx, s)
	if err != nil {
		return nil, err
	}
	deep, posts, err := scatterWalk(ctx, s, reader)
	if err != nil {
		return nil, err
	}
	page := func(before freshet.ID) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error {
			refs, err := s.Home(ctx, reader, before, scatterPage)
			if err == nil && len(refs) != scatterPage {
				err = fmt.Errorf("a page of %d posts", len(refs))
			}
			return err
		}
	}
	n := size(200, 2_000)
	one := &contender{name: "page 1", clients: 1, n: n, worth: 1, do: page(0)}
	far := &contender{name: fmt.Sprintf("page %d", scatterDeep), clients: 1, n: n, worth: 1, do: page(deep)}
	if err := takeTurns(ctx, size(9, 31), one, far); err != nil {
		return nil, err
	}
	r := against(fmt.Sprintf("page 1 / page %d, at least 1 / 1.5:", scatterDeep), 1/1.5, far, one)
	r.said += fmt.Sprintf("; page %d takes %.2f of the time of page 1; %d posts of %d authors on %d databases were walked, each once",
		scatterDeep, 1/r.value, posts, scatterAuthors, scatterParts)
	return []ratio{r}, nil
}

// scatterNetwork makes a reader who follows authors on every part, with posts enough for deep pages.
func scatterNetwork(ctx context.Context, s *shard.Store) (reader freshet.ID, err error) {
	people := make([]freshet.ID, 1+scatterAuthors)
	for i := range people {
		u, _, err := s.CreateUser(ctx, freshet.NewUser{Handle: fmt.Sprintf("user%d", i)}, store.Write{})
		if err != nil {
			return 0, err
		}
		people[i] = u.ID
	}
	for _, author := range people[1:] {
		if _, _, err := s.Follow(ctx, people[0], author, store.Write{}); err != nil {
			return 0, err
		}
	}
	each := (scatterDeep*scatterPage)/scatterAuthors + scatterPage
	return people[0], eachOf(ctx, people[1:], func(ctx context.Context, author freshet.ID) error {
		for n := range each {
			if _, _, err := s.CreatePost(ctx, freshet.NewPost{Author: author, Text: fmt.Sprintf("post %d", n)}, store.Write{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachOf does something for all of a list at a time.
func eachOf(ctx context.Context, list []freshet.ID, do func(context.Context, freshet.ID) error) error {
	return each(ctx, len(list), len(list), func(ctx context.Context, i int) error { return do(ctx, list[i]) })
}

// scatterWalk walks the feed page by page to the end, and gives where page 1,000 begins and how many posts there are.
func scatterWalk(ctx context.Context, s *shard.Store, reader freshet.ID) (deep freshet.ID, posts int, err error) {
	before := freshet.ID(0)
	for page := 1; ; page++ {
		if page == scatterDeep {
			deep = before
		}
		refs, err := s.Home(ctx, reader, before, scatterPage)
		if err != nil {
			return 0, 0, err
		}
		for _, r := range refs {
			if before != 0 && r.ID >= before {
				return 0, 0, fmt.Errorf("page %d holds %s after %s", page, r.ID, before)
			}
			before = r.ID
		}
		if posts += len(refs); len(refs) < scatterPage {
			break
		}
	}
	if want := scatterAuthors * (scatterDeep*scatterPage/scatterAuthors + scatterPage); posts != want || deep == 0 {
		return 0, 0, fmt.Errorf("the walk met %d posts of %d", posts, want)
	}
	return deep, posts, nil
}
