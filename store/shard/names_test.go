package shard_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
)

// TestASignUpThatStopsMidway: a name belongs to nobody until the user's row is made, and to the user from then on, whether or not
// home was told.
func TestASignUpThatStopsMidway(t *testing.T) {
	w := openWorld(t, shard.Options{})
	ctx, home, part := t.Context(), w.gates[0], w.gates[1]
	bucket := w.far.Bucket()

	// It claimed the name, and no more.
	id, err := part.DrawUserID(ctx, bucket)
	w.ok(err)
	claim := store.NameClaim{ID: id, User: id, Handle: "Ada", Ref: "crm:1"}
	taken, err := home.ClaimNames(ctx, claim)
	if err != nil || len(taken) > 0 {
		t.Fatal(taken, err)
	}
	if _, err := w.UserByHandle(ctx, "ada"); !errors.Is(err, freshet.ErrNotFound) {
		t.Errorf("a name without a user: %v", err)
	}
	u, _, err := w.CreateUser(ctx, freshet.NewUser{Handle: "ada"}, store.Write{})
	w.ok(err)
	if got, err := w.UserByHandle(ctx, "ADA"); err != nil || got != u.ID {
		t.Errorf("the name is %v's, %v, want %v", got, err, u.ID)
	}
	if _, _, err := part.CreateNamed(ctx, id, freshet.NewUser{Handle: "Ada", Ref: "crm:1"}, store.Write{}); freshet.CodeOf(err) != freshet.CodeConflict {
		t.Errorf("the first one goes on, late: %v", err)
	}
	if v, created, _, err := w.UpsertUser(ctx, freshet.NewUser{Ref: "crm:1", Name: "A"}, store.Write{}); err != nil || !created || v.ID == id {
		t.Errorf("its ref: %+v, %v, %v", v, created, err)
	}

	// It made the user as well, and did not say so at home.
	id, err = part.DrawUserID(ctx, bucket)
	w.ok(err)
	claim = store.NameClaim{ID: id, User: id, Handle: "Bob", Ref: "crm:2"}
	taken, err = home.ClaimNames(ctx, claim)
	if err != nil || len(taken) > 0 {
		t.Fatal(taken, err)
	}
	_, _, err = part.CreateNamed(ctx, id, freshet.NewUser{Handle: "Bob", Ref: "crm:2"}, store.Write{})
	w.ok(err)
	if got, err := w.UserByHandle(ctx, "bob"); err != nil || got != id {
		t.Errorf("the name is %v's, %v, want %v", got, err, id)
	}
	if _, _, err := w.CreateUser(ctx, freshet.NewUser{Handle: "BOB"}, store.Write{}); freshet.CodeOf(err) != freshet.CodeConflict {
		t.Errorf("the same name: %v", err)
	}
	if v, created, _, err := w.UpsertUser(ctx, freshet.NewUser{Ref: "crm:2", Name: "B"}, store.Write{}); err != nil || created || v.ID != id {
		t.Errorf("the same ref: %+v, %v, %v", v, created, err)
	}
	w.agrees()
}

// TestARenameThatStopsMidway: as a sign-up.
func TestARenameThatStopsMidway(t *testing.T) {
	w := openWorld(t, shard.Options{})
	ctx, home, part := t.Context(), w.gates[0], w.gates[1]
	old := w.handleOf(w.far)
	id, err := part.DrawUserID(ctx, w.far.Bucket())
	w.ok(err)
	taken, err := home.ClaimNames(ctx, store.NameClaim{ID: id, User: w.far, Handle: "eve"})
	if err != nil || len(taken) > 0 {
		t.Fatal(taken, err)
	}
	if _, err := w.UserByHandle(ctx, "eve"); !errors.Is(err, freshet.ErrNotFound) {
		t.Errorf("a name that nobody bears: %v", err)
	}
	if got, err := w.UserByHandle(ctx, old); err != nil || got != w.far {
		t.Errorf("the name before is %v's, %v", got, err)
	}
	u, _, err := w.CreateUser(ctx, freshet.NewUser{Handle: "Eve"}, store.Write{})
	w.ok(err)
	name := "eve"
	if _, _, err := part.UpdateNamed(ctx, w.far, freshet.UserPatch{Handle: &name}, id, store.Write{}); freshet.CodeOf(err) != freshet.CodeConflict {
		t.Errorf("the rename goes on, late: %v", err)
	}
	if got, err := w.UserByHandle(ctx, "eve"); err != nil || got != u.ID {
		t.Errorf("the name is %v's, %v, want %v", got, err, u.ID)
	}
	w.agrees()
}

func (w *world) handleOf(user freshet.ID) string {
	w.Helper()
	users, err := w.Users(w.Context(), []freshet.ID{user})
	if err != nil || len(users) != 1 {
		w.Fatal(users, err)
	}
	return users[0].Handle
}

// TestOneNameIsOnePersons: of many who want the same handle or ref at a time one gets it, and renames there and back leave no
// name taken that nobody bears.
func TestOneNameIsOnePersons(t *testing.T) {
	w := openWorld(t, shard.Options{})
	var racers sync.WaitGroup
	var mu sync.Mutex
	won, made := 0, 0
	for i := range 8 {
		racers.Go(func() {
			_, _, err := w.CreateUser(t.Context(), freshet.NewUser{Handle: "Wanted"}, store.Write{})
			u, created, _, upsert := w.UpsertUser(t.Context(), freshet.NewUser{Ref: "crm:9", Name: fmt.Sprint(i)}, store.Write{})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case freshet.CodeOf(err) != freshet.CodeConflict:
				t.Error(err)
			}
			if upsert != nil || u.ID == 0 {
				t.Error(u, upsert)
			}
			if created {
				made++
			}
		})
	}
	racers.Wait()
	if won != 1 || made != 1 {
		t.Errorf("%d got the handle and %d made the user of the ref, want 1 and 1", won, made)
	}
	first := w.handleOf(w.far)
	for _, name := range []string{"moved", "Moved", first, "moved", first} {
		if _, _, err := w.UpdateUser(t.Context(), w.far, freshet.UserPatch{Handle: &name}, store.Write{}); err != nil {
			t.Fatalf("to %s: %v", name, err)
		}
	}
	for racer := range 4 {
		racers.Go(func() {
			name := fmt.Sprintf("name_%d", racer%2)
			if _, _, err := w.UpdateUser(t.Context(), w.far, freshet.UserPatch{Handle: &name}, store.Write{}); err != nil {
				t.Errorf("to %s: %v", name, err)
			}
		})
	}
	racers.Wait()
	bears := w.handleOf(w.far)
	for _, name := range []string{"moved", first, "name_0", "name_1"} {
		_, _, err := w.CreateUser(t.Context(), freshet.NewUser{Handle: name}, store.Write{})
		if name == bears && freshet.CodeOf(err) != freshet.CodeConflict || name != bears && err != nil {
			t.Errorf("%s, while %s bears %s: %v", name, w.far, bears, err)
		}
	}
	w.agrees()
}

// TestTheSameRenameAgain: a rename that stopped midway is made again, and of two to the same handle at a time both end.
func TestTheSameRenameAgain(t *testing.T) {
	w := openWorld(t, shard.Options{})
	ctx, name := t.Context(), "eve"
	id, err := w.gates[1].DrawUserID(ctx, w.far.Bucket())
	w.ok(err)
	taken, err := w.gates[0].ClaimNames(ctx, store.NameClaim{ID: id, User: w.far, Handle: name})
	if err != nil || len(taken) > 0 {
		t.Fatal(taken, err)
	}
	if u, _, err := w.UpdateUser(ctx, w.far, freshet.UserPatch{Handle: &name}, store.Write{}); err != nil || u.Handle != name {
		t.Fatalf("%+v, %v", u, err)
	}
	var racers sync.WaitGroup
	again := "zoe"
	for range 4 {
		racers.Go(func() {
			if _, _, err := w.UpdateUser(ctx, w.far, freshet.UserPatch{Handle: &again}, store.Write{}); err != nil {
				t.Error(err)
			}
		})
	}
	racers.Wait()
	if got, err := w.UserByHandle(ctx, again); err != nil || got != w.far || w.handleOf(w.far) != again {
		t.Errorf("%s is %v's, %v; %v is called %s", again, got, err, w.far, w.handleOf(w.far))
	}
	w.agrees()
}

// TestAnImportMeetsPendingNames: of a name that somebody has claimed and not settled the user's row decides, also for an import. The
// other users of the chunk are signed up together, whatever case their handles are in.
func TestAnImportMeetsPendingNames(t *testing.T) {
	f := openFiles(t, 2, nil)
	s := openStore(t, f.parts, shard.Options{})
	ctx, home, part := t.Context(), f.parts[0], f.parts[1]
	begin := func(handle string) freshet.ID {
		id, err := part.DrawUserID(ctx, 1000)
		if err == nil {
			_, err = home.ClaimNames(ctx, store.NameClaim{ID: id, User: id, Handle: handle})
		}
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	ada, bob := begin("Ada"), begin("Bob")
	if _, _, err := part.CreateNamed(ctx, ada, freshet.NewUser{Handle: "Ada"}, store.Write{}); err != nil {
		t.Fatal(err)
	}
	rows := []store.ImportedFollow{{Follower: "ada", Followee: "bob"}, {Follower: "bob", Followee: "Cid"}, {Follower: "CID", Followee: "ada"}}
	for _, want := range []string{"2 users, 3 follows", "0 users, 0 follows"} {
		n, err := s.ImportFollows(ctx, rows)
		if got := fmt.Sprintf("%d users, %d follows", n.Users, n.Follows); err != nil || got != want {
			t.Errorf("the import added %s, %v, want %s", got, err, want)
		}
	}
	if id, err := s.UserByHandle(ctx, "ada"); err != nil || id != ada {
		t.Errorf("ada is %v, %v, want %v, who was made", id, err, ada)
	}
	if id, err := s.UserByHandle(ctx, "bob"); err != nil || id == bob {
		t.Errorf("bob is %v, %v, want somebody new: %v was never made", id, err, bob)
	}
	if name, err := home.NameOf(ctx, "cid"); err != nil || name.Pending {
		t.Errorf("a new user's name is %+v, %v, want it settled", name, err)
	}
	if _, found, err := s.Verify(ctx, 0, false); err != nil || len(found) > 0 {
		t.Errorf("broken: %v, %v", found, err)
	}
}
