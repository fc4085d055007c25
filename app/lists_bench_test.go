package app

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// BenchmarkPublicLists answers the first page of each list that everybody may read, of 50 items.
func BenchmarkPublicLists(b *testing.B) {
	n := startAPI(b, nil)
	ctx := context.Background()
	var author, post freshet.ID
	for i := range 61 {
		u, _, err := n.social.SignUp(ctx, freshet.NewUser{Handle: fmt.Sprintf("user%d", i), Name: "User"}, store.Write{})
		if err != nil {
			b.Fatal(err)
		}
		if i == 0 {
			author = u.ID
			for range 60 {
				p, _, err := n.social.Post(ctx, freshet.NewPost{Author: author, Text: "some text"}, store.Write{})
				if err != nil {
					b.Fatal(err)
				}
				post = p.ID
			}
			continue
		}
		if _, _, err := n.social.Follow(ctx, u.ID, author, store.Write{}); err != nil {
			b.Fatal(err)
		}
		if _, _, err := n.social.Follow(ctx, author, u.ID, store.Write{}); err != nil {
			b.Fatal(err)
		}
		if _, _, err := n.social.Comment(ctx, freshet.NewComment{Author: u.ID, Post: post, Text: "some text"}, store.Write{}); err != nil {
			b.Fatal(err)
		}
	}
	for name, path := range map[string]string{
		"followers": "/v1/users/" + author.String() + "/followers",
		"following": "/v1/users/" + author.String() + "/following",
		"posts":     "/v1/users/" + author.String() + "/posts",
		"comments":  "/v1/posts/" + post.String() + "/comments",
	} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", path, nil)
			r.RemoteAddr = "127.0.0.1:1" // which is not limited
			w := &discard{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				n.handler.ServeHTTP(w, r)
			}
			if w.status != 200 {
				b.Fatalf("status %d", w.status)
			}
		})
	}
}
