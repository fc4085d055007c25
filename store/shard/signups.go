package shard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

const (
	// importers is how many users of a chunk whose names are disputed are looked at at once.
	importers = 32
	// settlePatience is how long the end of a chunk's claims may take.
	settlePatience = 10 * time.Second
)

// find finds the users of the handles. New ones are signed up all together, as CreateUser does with one: ids are drawn, names claimed
// at home, users made, claims settled. Names that are pending, or that others claim at this moment, are looked at one by one.
func (u *imported) find(dir *directory) error {
	names, err := readOn(u.ctx, u.s, homeID, func(p store.Part) (map[string]store.Name, error) {
		i, err := importerOf(p)
		if err != nil {
			return nil, err
		}
		return i.NamesOf(u.ctx, u.names)
	})
	if err != nil {
		return err
	}
	var disputed, free []string
	for _, handle := range u.names {
		switch n, taken := names[nameKey(handle)]; {
		case !taken:
			free, u.ids[nameKey(handle)] = append(free, handle), 0
		case n.Pending:
			disputed = append(disputed, handle)
		default:
			u.ids[nameKey(handle)] = n.User
		}
	}
	if len(free) > 0 {
		lost, err := u.signUp(dir, free)
		if err != nil {
			return err
		}
		disputed = append(disputed, lost...)
	}
	return u.findEach(disputed)
}

// signUp makes users of handles that were free, and gives those of which it could not.
func (u *imported) signUp(dir *directory, handles []string) (lost []string, err error) {
	users, err := u.draw(dir, handles)
	if err != nil {
		return nil, err
	}
	home, err := importerOf(u.s.parts[dir.Home()])
	if err != nil {
		return nil, err
	}
	claimed, err := home.ClaimUsers(u.ctx, slices.Concat(users...))
	if err != nil {
		return nil, err
	}
	got := setOf(claimed)
	var mu sync.Mutex
	var kept, free []store.ImportedUser // whose claims are to be settled
	err = u.s.each(func(i int, p store.Part) error {
		ours := slices.DeleteFunc(users[i], func(n store.ImportedUser) bool { return !got[n.ID] })
		made, err := u.create(p, ours)
		mu.Lock()
		defer mu.Unlock()
		for _, n := range ours {
			switch {
			case made[n.ID]:
				kept, u.ids[nameKey(n.Handle)] = append(kept, n), n.ID
			case err == nil || notMade(err): // else nobody knows, and the claim stays pending
				free = append(free, n)
			}
		}
		return err
	})
	u.settle(home, kept, true)
	u.settle(home, free, false)
	for _, h := range handles {
		if u.ids[nameKey(h)] == 0 {
			lost = append(lost, h)
		}
	}
	return lost, err
}

// create makes the users of one part, and tells which are there now.
func (u *imported) create(p store.Part, users []store.ImportedUser) (map[freshet.ID]bool, error) {
	if len(users) == 0 {
		return nil, nil
	}
	importer, err := importerOf(p)
	if err != nil {
		return nil, err
	}
	made, err := importer.CreateUsers(u.ctx, users)
	if err == nil {
		u.add(store.ImportCount{Users: len(made), Touched: made})
	}
	return setOf(made), err
}

// settle ends claims, also where the caller has gone since. Where it can't they stay pending until somebody asks for them.
func (u *imported) settle(home store.PartImporter, users []store.ImportedUser, kept bool) {
	if len(users) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), settlePatience)
	defer cancel()
	if err := home.SettleUsers(ctx, users, kept); err != nil {
		u.s.options.Log.WarnContext(ctx, "handles of an import stay pending until somebody asks for them", "users", len(users), "error", err)
	}
}

func setOf(ids []freshet.ID) map[freshet.ID]bool {
	set := make(map[freshet.ID]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// draw places new users on parts, and draws their ids there.
func (u *imported) draw(dir *directory, handles []string) ([][]store.ImportedUser, error) {
	users, buckets := make([][]store.ImportedUser, len(u.s.parts)), make([][]int, len(u.s.parts))
	for _, h := range handles {
		bucket := u.s.options.Place(freshet.NewUser{Handle: h, Name: h})
		at := dir.owner(freshet.NewID(0, bucket, 0))
		users[at], buckets[at] = append(users[at], store.ImportedUser{Handle: h}), append(buckets[at], bucket)
	}
	err := u.s.each(func(i int, p store.Part) error {
		if len(users[i]) == 0 {
			return nil
		}
		importer, err := importerOf(p)
		if err != nil {
			return err
		}
		ids, err := importer.DrawUserIDs(u.ctx, buckets[i])
		for n, id := range ids {
			users[i][n].ID = id
		}
		return err
	})
	return users, err
}

// findOne finds the user of a handle or signs it up, as anybody would. It is about a name that another claims at this moment, or whose
// writer has died.
func (u *imported) findOne(handle string) (id freshet.ID, err error) {
	for range drawnHandles {
		if id, err = u.s.UserByHandle(u.ctx, handle); !errors.Is(err, freshet.ErrNotFound) {
			return id, err
		}
		var made freshet.User
		made, _, err = u.s.CreateUser(u.ctx, freshet.NewUser{Handle: handle, Name: handle}, store.Write{})
		if err == nil {
			u.add(store.ImportCount{Users: 1, Touched: []freshet.ID{made.ID}})
			return made.ID, nil
		}
		if freshet.CodeOf(err) != freshet.CodeConflict { // else somebody signs up at this moment
			return 0, err
		}
	}
	return 0, err
}

// findEach finds the users of some handles, some at a time, and gives the first error.
func (u *imported) findEach(handles []string) error {
	ids, errs := make([]freshet.ID, len(handles)), make([]error, len(handles))
	var running sync.WaitGroup
	free := make(chan struct{}, importers)
	for i, handle := range handles {
		free <- struct{}{}
		running.Go(func() {
			defer func() { <-free }()
			if errs[i] = u.ctx.Err(); errs[i] == nil {
				ids[i], errs[i] = u.findOne(handle)
			}
		})
	}
	running.Wait()
	for i, handle := range handles {
		u.ids[nameKey(handle)] = ids[i]
	}
	return first(errs)
}
