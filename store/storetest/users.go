package storetest

import (
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var userCases = []testCase{
	{"AUserIsFoundByEveryName", testNames},
	{"ATakenHandleOrRefIsAConflict", testTakenNames},
	{"AnUpdateChangesWhatIsGiven", testUpdate},
	{"AnUpsertMakesOrChanges", testUpsert},
	{"UsersAreListedById", testListUsers},
	{"APasswordEndsSessions", testPassword},
}

func testNames(e *env) {
	ctx := e.Context()
	h := e.handle("Ada_L")
	before := time.Now().Add(-time.Minute)
	u, at, err := e.CreateUser(ctx, freshet.NewUser{
		Ref: "crm:" + h, Handle: h, Name: "Ada Ł", AvatarURL: "https://a.example/1.png", Email: "ada@example.org",
	}, store.Write{})
	e.ok(err)
	if u.ID == 0 || len(at) == 0 || u.CreatedAt.Before(before) {
		e.Fatalf("got id %d, token %v, time %v", u.ID, at, u.CreatedAt)
	}
	want := freshet.User{
		ID: u.ID, Ref: "crm:" + h, Handle: h, Name: "Ada Ł", AvatarURL: "https://a.example/1.png", CreatedAt: u.CreatedAt,
	}
	e.same("what was returned", u, want)
	e.same("what is read", e.profile(u.ID), want)

	for _, form := range []string{h, strings.ToLower(h), strings.ToUpper(h)} {
		id, err := e.UserByHandle(ctx, form)
		e.ok(err)
		e.same("user by handle "+form, id, u.ID)
	}
	id, err := e.UserByRef(ctx, u.Ref)
	e.ok(err)
	e.same("user by ref", id, u.ID)
	email, err := e.Email(ctx, u.ID)
	e.ok(err)
	e.same("email", email, "ada@example.org")

	_, err = e.UserByHandle(ctx, "nobody")
	e.code(err, freshet.CodeNotFound)
	_, err = e.UserByRef(ctx, strings.ToUpper(u.Ref))
	e.code(err, freshet.CodeNotFound)
	_, err = e.Email(ctx, 42)
	e.code(err, freshet.CodeNotFound)
	users, err := e.Users(ctx, []freshet.ID{42, u.ID, 43})
	e.ok(err)
	e.same("users of which one exists", users, []freshet.User{want})
	users, err = e.Users(ctx, nil)
	e.ok(err)
	e.same("no users", len(users), 0)
}

func testTakenNames(e *env) {
	ctx := e.Context()
	h := e.handle("ada")
	_, _, err := e.CreateUser(ctx, freshet.NewUser{Handle: h, Ref: h}, store.Write{})
	e.ok(err)
	for field, u := range map[string]freshet.NewUser{
		"handle": {Handle: strings.ToUpper(h)},
		"ref":    {Handle: e.handle("other"), Ref: h},
	} {
		_, _, err := e.CreateUser(ctx, u, store.Write{})
		e.code(err, freshet.CodeConflict)
		e.same("the field in conflict", err.(*freshet.Error).Field, field)
	}
	_, _, _, err = e.UpsertUser(ctx, freshet.NewUser{Handle: strings.ToUpper(h), Ref: e.handle("ref")}, store.Write{})
	e.code(err, freshet.CodeConflict)
	other := e.user("other")
	_, _, err = e.UpdateUser(ctx, other, freshet.UserPatch{Handle: ptr(strings.ToUpper(h))}, store.Write{})
	e.code(err, freshet.CodeConflict)
}

func testUpdate(e *env) {
	ctx := e.Context()
	id := e.user("ada")
	was := e.profile(id)
	u, _, err := e.UpdateUser(ctx, id, freshet.UserPatch{Bio: ptr("numbers"), Email: ptr("a@b.example")}, store.Write{})
	e.ok(err)
	was.Bio = "numbers"
	e.same("after the update", u, was)

	shout := strings.ToUpper(was.Handle)
	u, _, err = e.UpdateUser(ctx, id, freshet.UserPatch{Handle: &shout, Name: ptr(""), AvatarURL: ptr("x")}, store.Write{})
	e.ok(err)
	e.same("handle in another case", u.Handle, shout)
	moved := e.handle("moved")
	u, _, err = e.UpdateUser(ctx, id, freshet.UserPatch{Handle: &moved}, store.Write{})
	e.ok(err)
	was.Handle, was.Name, was.AvatarURL = moved, "", "x"
	e.same("after the move", u, was)
	e.same("as read", e.profile(id), was)
	_, err = e.UserByHandle(ctx, shout)
	e.code(err, freshet.CodeNotFound)
	_, _, err = e.CreateUser(ctx, freshet.NewUser{Handle: shout}, store.Write{})
	e.ok(err)
	email, err := e.Email(ctx, id)
	e.ok(err)
	e.same("email", email, "a@b.example")

	_, _, err = e.UpdateUser(ctx, 42, freshet.UserPatch{Name: ptr("x")}, store.Write{})
	e.code(err, freshet.CodeNotFound)
}

func testUpsert(e *env) {
	ctx := e.Context()
	ref := e.handle("crm")
	u, created, _, err := e.UpsertUser(ctx, freshet.NewUser{Ref: ref, Name: "Ada"}, store.Write{})
	e.ok(err)
	if !created || freshet.CheckHandle("handle", u.Handle) != nil {
		e.Fatalf("created %v with the handle %q", created, u.Handle)
	}
	id, err := e.UserByHandle(ctx, u.Handle)
	e.ok(err)
	e.same("user by the handle that was drawn", id, u.ID)

	h := e.handle("ada")
	again, created, _, err := e.UpsertUser(ctx, freshet.NewUser{Ref: ref, Handle: h, AvatarURL: "x"}, store.Write{})
	e.ok(err)
	u.Handle, u.AvatarURL = h, "x"
	e.same("created", created, false)
	e.same("after the second", again, u)
	again, created, _, err = e.UpsertUser(ctx, freshet.NewUser{Ref: ref}, store.Write{})
	e.ok(err)
	e.same("created", created, false)
	e.same("after the empty one", again, u)
	e.same("as read", e.profile(u.ID), u)
}

func testListUsers(e *env) {
	made := ascending(e.users(23)...)
	got := walk(e, 5, func(u freshet.User) freshet.ID { return u.ID }, func(at freshet.ID) ([]freshet.User, error) {
		return e.ListUsers(e.Context(), at, 5)
	})
	var ids []freshet.ID
	for _, u := range got {
		ids = append(ids, u.ID)
	}
	e.same("all users", ids, made)
}

func testPassword(e *env) {
	ctx := e.Context()
	h := e.handle("ada")
	u, _, err := e.CreateUser(ctx, freshet.NewUser{Handle: h, PasswordHash: "one"}, store.Write{})
	e.ok(err)
	c, err := e.Credentials(ctx, strings.ToUpper(h))
	e.ok(err)
	e.same("credentials", c, freshet.Credentials{User: u.ID, PasswordHash: "one"})

	mine := e.session(u.ID, 1)
	other := e.session(e.user("bob"), 2)
	ended, err := e.SetPassword(ctx, u.ID, "two", true)
	e.ok(err)
	e.same("sessions that ended", ended, []freshet.Session{mine})
	_, err = e.SessionByHash(ctx, mine.Hash)
	e.code(err, freshet.CodeNotFound)
	_, err = e.SessionByHash(ctx, other.Hash)
	e.ok(err)
	c, err = e.Credentials(ctx, h)
	e.ok(err)
	e.same("credentials", c, freshet.Credentials{User: u.ID, PasswordHash: "two", Admin: true})
	ended, err = e.SetPassword(ctx, u.ID, "three", false)
	e.ok(err)
	e.same("sessions that ended", len(ended), 0)
	c, err = e.Credentials(ctx, h)
	e.ok(err)
	e.same("an administrator stays one", c.Admin, true)

	_, err = e.Credentials(ctx, "nobody")
	e.code(err, freshet.CodeNotFound)
	_, err = e.SetPassword(ctx, 42, "x", false)
	e.code(err, freshet.CodeNotFound)
}
