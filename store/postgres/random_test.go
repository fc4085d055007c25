package postgres_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
)

// naive is what Home must give, without heads.
const naive = `SELECT id, author FROM posts WHERE id < $2
	AND (author = $1 OR author IN (SELECT followee FROM follows WHERE follower = $1)) ORDER BY id DESC LIMIT $3`

// network is users whose data changes at random.
type network struct {
	db    *postgres.DB
	file  *pgdb.DB
	rng   *rand.Rand
	users []freshet.ID
	posts []freshet.PostRef
}

func (n *network) user() freshet.ID { return n.users[n.rng.IntN(len(n.users))] }

// step changes something. What is not there any more is no error.
func (n *network) step(t *testing.T) {
	var err error
	switch a, b := n.user(), n.user(); n.rng.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		var p freshet.Post
		if p, _, err = n.db.CreatePost(t.Context(), freshet.NewPost{Author: a, Text: "text"}, store.Write{}); err == nil {
			n.posts = append(n.posts, freshet.PostRef{ID: p.ID, Author: p.Author})
		}
	case 8, 9, 10:
		if i := n.rng.IntN(len(n.posts) + 1); i < len(n.posts) {
			if n.rng.IntN(2) == 0 {
				i = len(n.posts) - 1 // somebody's head, as likely as not
			}
			_, err = n.db.DeletePost(t.Context(), n.posts[i].Author, n.posts[i].ID, store.Write{})
			n.posts = slices.Delete(n.posts, i, i+1)
		}
	case 11, 12, 13, 14:
		if a != b {
			_, _, err = n.db.Follow(t.Context(), a, b, store.Write{})
		}
	case 15, 16:
		if a != b {
			_, _, err = n.db.Unfollow(t.Context(), a, b, store.Write{})
		}
	case 17:
		if a != b {
			_, _, err = n.db.Block(t.Context(), a, b, store.Write{})
		}
	case 18:
		// Some are older than all posts, some newer: the head moves for those alone.
		at := time.Now().Add(time.Duration(n.rng.IntN(100)-50) * time.Hour / 10).UTC().Truncate(time.Second)
		_, err = n.db.ImportPosts(t.Context(), []store.ImportedPost{{
			Author: fmt.Sprintf("u%d", n.rng.IntN(len(n.users))), Millis: freshet.Millis(at), CreatedAt: at, Text: fmt.Sprint(n.rng.Uint64()),
		}})
	case 19:
		if n.rng.IntN(4) == 0 {
			_, _, err = n.db.EraseUser(t.Context(), a, store.Write{})
		}
	}
	if err != nil && !errors.Is(err, freshet.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestHomeIsTheNaiveAnswer(t *testing.T) {
	db, file := open(t)
	seed := rand.Uint64()
	n := &network{db: db, file: file, rng: rand.New(rand.NewPCG(seed, 1))}
	for i := range 12 {
		n.users = append(n.users, newUser(t, db, fmt.Sprintf("u%d", i)))
	}
	for i := range 600 {
		n.step(t)
		reader, limit, before := n.user(), 1+n.rng.IntN(8), freshet.ID(0)
		if j := n.rng.IntN(len(n.posts) + 3); j < len(n.posts) {
			before = n.posts[j].ID + freshet.ID(n.rng.IntN(3)-1)
		}
		got, err := db.Home(t.Context(), reader, before, limit)
		if err != nil {
			t.Fatal(err)
		}
		var want []freshet.PostRef
		bound := int64(before)
		if before == 0 {
			bound = 1<<63 - 1
		}
		if err := file.Read(t.Context(), naive, []any{int64(reader), bound, limit}, func(r pgx.Rows) error {
			var p freshet.PostRef
			err := r.Scan((*int64)(&p.ID), (*int64)(&p.Author))
			want = append(want, p)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, step %d: home of %s below %s, %d at most:\ngot  %v\nwant %v", seed, i, reader, before, limit, got, want)
		}
	}
	sound(t, db)
}

// Whatever happens at a time, each write is one of those that callers may be told of, and no counter is wrong afterwards.
func TestWritesAtATime(t *testing.T) {
	db, _ := open(t)
	const users, writers, each = 6, 8, 100
	var ids [users]atomic.Int64
	for i := range ids {
		ids[i].Store(int64(newUser(t, db, fmt.Sprintf("u%d", i))))
	}
	p, _, err := db.CreatePost(t.Context(), freshet.NewPost{Author: freshet.ID(ids[0].Load()), Text: "first"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	var post, comment atomic.Int64 // what all fight for
	post.Store(int64(p.ID))
	seed := rand.Uint64()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for range each {
				i := rng.IntN(users)
				a, b := freshet.ID(ids[i].Load()), freshet.ID(ids[rng.IntN(users)].Load())
				about := freshet.ID(post.Load())
				wr := store.Write{Effects: []freshet.Effect{{Kind: "k", Key: "key", Unique: fmt.Sprint("once ", rng.IntN(3))}}}
				alone := store.Write{}
				if rng.IntN(2) == 0 {
					alone = wr // a like with effects shares no transaction
				}
				var err error
				switch rng.IntN(16) {
				case 0, 1, 2:
					_, _, _, err = db.Like(t.Context(), a, about, alone)
				case 3:
					_, _, _, err = db.Unlike(t.Context(), a, about, alone)
				case 4, 5:
					var c freshet.Comment
					if c, _, err = db.CreateComment(t.Context(), freshet.NewComment{Author: a, Post: about, Text: "x"}, wr); err == nil {
						comment.Store(int64(c.ID))
					}
				case 6:
					_, _, err = db.DeleteComment(t.Context(), a, freshet.ID(comment.Load()), wr)
				case 7, 8:
					var p freshet.Post
					if p, _, err = db.CreatePost(t.Context(), freshet.NewPost{Author: a, Ref: fmt.Sprint(rng.IntN(9)), Text: "x"}, wr); err == nil {
						post.Store(int64(p.ID))
					}
				case 9:
					_, err = db.DeletePost(t.Context(), a, about, wr)
				case 10, 11, 12:
					if a != b {
						do := []func(store.Write) error{
							func(w store.Write) error { _, _, err := db.Follow(t.Context(), a, b, w); return err },
							func(w store.Write) error { _, _, err := db.Unfollow(t.Context(), a, b, w); return err },
							func(w store.Write) error { _, _, err := db.Block(t.Context(), a, b, w); return err },
							func(w store.Write) error { _, _, err := db.Unblock(t.Context(), a, b, w); return err },
							func(w store.Write) error { _, _, err := db.Mute(t.Context(), a, b, w); return err },
						}
						err = do[rng.IntN(len(do))](wr)
					}
				case 13:
					handle := fmt.Sprintf("H%d", rng.IntN(users))
					_, _, err = db.UpdateUser(t.Context(), a, freshet.UserPatch{Handle: &handle}, wr)
				case 14:
					at := time.Now().UTC()
					_, err = db.ImportPosts(t.Context(), []store.ImportedPost{{Author: fmt.Sprintf("h%d", rng.IntN(users)), Millis: freshet.Millis(at), CreatedAt: at, Text: "x"}})
				case 15:
					if rng.IntN(3) > 0 {
						break
					}
					if _, _, err = db.EraseUser(t.Context(), a, wr); err == nil || errors.Is(err, freshet.ErrNotFound) {
						var u freshet.User
						if u, _, _, err = db.UpsertUser(t.Context(), freshet.NewUser{Ref: fmt.Sprint("ref ", i)}, wr); err == nil {
							ids[i].Store(int64(u.ID))
							_, _, err = db.CreateSession(t.Context(), freshet.Session{User: u.ID, Hash: [32]byte{byte(w), byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}}, wr)
						}
					}
				}
				if code := freshet.CodeOf(err); err != nil && code != freshet.CodeNotFound && code != freshet.CodeConflict {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
	all.Wait()
	sound(t, db)
}

// No text makes an error that nobody expects: a NUL is refused, or not found where it was looked for.
func TestNoTextHoldsANUL(t *testing.T) {
	db, _ := open(t)
	ctx := t.Context()
	ada := newUser(t, db, "ada")
	p, _, err := db.CreatePost(ctx, freshet.NewPost{Author: ada, Ref: "1", Text: "text"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	const bad = "a\x00b"
	text := bad
	effect := func(e freshet.Effect) error {
		_, _, err := db.UpdateUser(ctx, ada, freshet.UserPatch{Name: new(fmt.Sprint(e))}, store.Write{Effects: []freshet.Effect{e}})
		return err
	}
	patch := func(p freshet.UserPatch) error {
		_, _, err := db.UpdateUser(ctx, ada, p, store.Write{})
		return err
	}
	create := func(u freshet.NewUser) error {
		_, _, err := db.CreateUser(ctx, u, store.Write{})
		return err
	}
	at := time.Now().UTC()
	for name, do := range map[string]func() error{
		"name":     func() error { return create(freshet.NewUser{Handle: "x1", Name: bad}) },
		"ref":      func() error { return create(freshet.NewUser{Handle: "x2", Ref: bad}) },
		"email":    func() error { return create(freshet.NewUser{Handle: "x3", Email: bad}) },
		"avatar":   func() error { return create(freshet.NewUser{Handle: "x4", AvatarURL: bad}) },
		"handle":   func() error { return create(freshet.NewUser{Handle: bad}) },
		"upsert":   func() error { _, _, _, err := db.UpsertUser(ctx, freshet.NewUser{Ref: bad}, store.Write{}); return err },
		"new name": func() error { return patch(freshet.UserPatch{Name: &text}) },
		"bio":      func() error { return patch(freshet.UserPatch{Bio: &text}) },
		"password": func() error { _, err := db.SetPassword(ctx, ada, bad, false); return err },
		"post": func() error {
			_, _, err := db.CreatePost(ctx, freshet.NewPost{Author: ada, Text: bad}, store.Write{})
			return err
		},
		"post's ref": func() error {
			_, _, err := db.CreatePost(ctx, freshet.NewPost{Author: ada, Ref: bad}, store.Write{})
			return err
		},
		"edit": func() error {
			_, _, err := db.EditPost(ctx, ada, p.ID, freshet.PostPatch{Text: &text}, store.Write{})
			return err
		},
		"comment": func() error {
			_, _, err := db.CreateComment(ctx, freshet.NewComment{Author: ada, Post: p.ID, Text: bad}, store.Write{})
			return err
		},
		"agent": func() error {
			_, _, err := db.CreateSession(ctx, freshet.Session{User: ada, Agent: bad}, store.Write{})
			return err
		},
		"key":         func() error { _, err := db.CreateKey(ctx, freshet.APIKey{Name: bad}); return err },
		"revoked key": func() error { _, err := db.RevokeKey(ctx, bad, at); return err },
		"secret":      func() error { _, err := db.Secret(ctx, bad); return err },
		"effect":      func() error { return effect(freshet.Effect{Kind: "k", Key: bad}) },
		"unique":      func() error { return effect(freshet.Effect{Kind: "k", Unique: bad}) },
		"kind":        func() error { return effect(freshet.Effect{Kind: bad}) },
		"import": func() error {
			_, err := db.ImportPosts(ctx, []store.ImportedPost{{Author: "ada", Millis: freshet.Millis(at), CreatedAt: at, Text: bad}})
			return err
		},
		"imported": func() error {
			_, err := db.ImportFollows(ctx, []store.ImportedFollow{{Follower: bad, Followee: "ada"}})
			return err
		},
		"by handle":    func() error { _, err := db.UserByHandle(ctx, bad); return err },
		"by ref":       func() error { _, err := db.UserByRef(ctx, bad); return err },
		"credentials":  func() error { _, err := db.Credentials(ctx, bad); return err },
		"not in UTF-8": func() error { _, err := db.UserByRef(ctx, "\xff"); return err },
	} {
		err := do()
		if code := freshet.CodeOf(err); code != freshet.CodeInvalid && code != freshet.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if u, err := db.Users(ctx, []freshet.ID{ada}); err != nil || len(u) != 1 || strings.Contains(u[0].Name, "\x00") {
		t.Errorf("%+v, %v", u, err)
	}
	sound(t, db)
}
