package replica_test

import (
	"errors"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/replica"
)

// A part with replicas: what decides a write is asked where it is made, so nothing here brings a token but the reads of posts.
func TestPartsWithReplicas(t *testing.T) {
	var has [2]store.Buckets
	for n := range freshet.Buckets {
		has[n*2/freshet.Buckets].Add(n)
	}
	ctx, w := t.Context(), store.Write{}
	var parts [2]*replica.Store
	var users [2]freshet.ID
	for i := range parts {
		parts[i] = shared.open(t, replica.Options{})
		err := parts[i].SetElsewhere(ctx, has[1-i])
		there, err2 := parts[i].Elsewhere(ctx)
		if err = errors.Join(err, err2); err != nil || there != has[1-i] {
			t.Fatal(err, there)
		}
	}
	for i, handle := range []string{"ada", "bob"} {
		id, err := parts[i].DrawUserID(ctx, i*freshet.Buckets/2)
		if err != nil {
			t.Fatal(err)
		}
		c := store.NameClaim{ID: id, User: id, Handle: handle, Ref: handle}
		taken, err := parts[0].ClaimNames(ctx, c)
		if err != nil || len(taken) > 0 {
			t.Fatal(taken, err)
		}
		name, err1 := parts[0].NameOf(ctx, handle)
		ref, err2 := parts[0].RefOf(ctx, handle)
		_, _, err3 := parts[i].CreateNamed(ctx, id, freshet.NewUser{Handle: handle, Ref: handle, PasswordHash: "hash"}, w)
		_, err4 := parts[0].SettleNames(ctx, c, true)
		credentials, err5 := parts[i].CredentialsOf(ctx, id)
		updated, _, err6 := parts[i].UpdateNamed(ctx, id, freshet.UserPatch{Name: &handle}, 0, w)
		called, _, err7 := parts[i].EndClaim(ctx, id, id)
		if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
			t.Fatal(err)
		}
		if !name.Pending || ref != name || credentials.PasswordHash != "hash" || updated.Name != handle || called != handle {
			t.Errorf("%+v %+v %+v %q %q", name, ref, credentials, updated.Name, called)
		}
		users[i] = id
	}
	if _, _, err := parts[0].Follow(ctx, users[0], users[1], w); err != nil {
		t.Fatal(err)
	}
	told, err := parts[0].Pending(ctx, has[1], 10)
	if err != nil || len(told) != 1 {
		t.Fatal(told, err)
	}
	applied, _, err1 := parts[1].Apply(ctx, told)
	_, err2 := parts[0].Settle(ctx, []store.Settled{{ID: told[0].ID, Refused: applied[0].Refused}})
	left, err3 := parts[0].Pending(ctx, has[1], 10)
	original, err4 := parts[0].Halves(ctx, store.HalfQuery{Limit: 10})
	mirror, err5 := parts[1].Halves(ctx, store.HalfQuery{Mirror: true, Limit: 10})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 || len(original) != 1 || len(mirror) != 1 || original[0].Edge != mirror[0].Edge || original[0].Here != mirror[0].There {
		t.Errorf("left %v, halves %v and %v", left, original, mirror)
	}

	post, at, err := parts[1].CreatePost(ctx, freshet.NewPost{Author: users[1], Text: "hello"}, w)
	if err != nil {
		t.Fatal(err)
	}
	for before := parts[1].Stats().OnReplicas; parts[1].Stats().OnReplicas == before; { // until one has replayed it
		asking, _ := position.WithReading(t.Context(), at)
		refs, err := parts[1].PostsOf(asking, []freshet.ID{users[1]}, 0, 10)
		if err != nil || len(refs) != 1 || refs[0].ID != post.ID {
			t.Fatal(refs, err)
		}
	}
}
