package access_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/access"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/store"
)

// A handler asks the gate who is there; a session that has ended opens it no more.
func Example() {
	ctx := context.Background()
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stack.Close()

	db := newMemory() // any store.Store
	auth := access.NewAuthenticator(access.Options{Store: db, Stack: stack, Secret: make([]byte, 32)})
	origins, _ := access.NewOrigins("https://app.example.com")
	gate := access.Gate{Auth: auth, Limiter: access.NewLimiter(access.Limits{}), Origins: origins}

	hash, _ := auth.HashPassword(ctx, "correct horse")
	db.addUser("ana", "", hash)
	session, token, _, err := auth.SignIn(ctx, access.SignIn{Handle: "ana", Password: "correct horse"}, store.Write{})
	if err != nil {
		fmt.Println(err)
		return
	}

	r := httptest.NewRequest(http.MethodGet, "/v1/feed", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	p, err := gate.Admit(r)
	fmt.Println(p.User == session.User, p.Addr, err)

	if _, err := auth.SignOut(ctx, p.User, p.Session, store.Write{}); err != nil {
		fmt.Println(err)
		return
	}
	_, err = gate.Admit(r)
	fmt.Println(freshet.CodeOf(err))
	// Output:
	// true 192.0.2.1 <nil>
	// unauthenticated
}
