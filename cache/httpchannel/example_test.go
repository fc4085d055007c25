package httpchannel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/httpchannel"
	"github.com/freshet/freshet/cache/memcached"
	"github.com/freshet/freshet/internal/testenv"
)

func Example() {
	var scope testenv.Scope
	defer scope.Close()
	ctx, server, source := context.Background(), testenv.StartMemcached(&scope), "first"

	// node is what each process does: its layer, its handler, its stack.
	node := func() (users *cache.Cache[int64, string], leave func() error, err error) {
		layer, err := memcached.Open(ctx, memcached.Options{Servers: []string{server.Addr}})
		if err != nil {
			return nil, nil, err
		}
		mux := http.NewServeMux()
		listener := httptest.NewServer(mux)
		remote, err := httpchannel.New(layer, httpchannel.Options{
			URL: listener.URL + "/internal/channel", Secret: []byte(strings.Repeat("secret", 6)),
		})
		if err != nil {
			return nil, nil, err
		}
		mux.Handle("POST /internal/channel", remote)
		stack, err := cache.NewStack(cache.Options{Remote: remote})
		if err != nil {
			return nil, nil, err
		}
		users = cache.Define(stack, cache.Space[int64, string]{
			Name: "user", Codec: cache.JSON[string](),
			LoadMany: func(_ context.Context, ids []int64) (map[int64]string, error) {
				return map[int64]string{ids[0]: source}, nil
			},
		})
		return users, func() error {
			err := errors.Join(stack.Close(), remote.Close())
			listener.Close()
			return errors.Join(err, layer.Close())
		}, nil
	}
	here, leaveHere, err := node()
	if err != nil {
		fmt.Println(err)
		return
	}
	there, leaveThere, err := node()
	if err != nil {
		fmt.Println(err)
		return
	}

	before, _ := there.Get(ctx, 42)
	source = "second"
	confirmed := here.InvalidateConfirmed(ctx, 42)
	after, _ := there.Get(ctx, 42)
	fmt.Println(before, confirmed, after, errors.Join(leaveHere(), leaveThere()))
	// Output: first <nil> second <nil>
}
