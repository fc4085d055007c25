package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/freshet/freshet/internal/show/naive"
)

// measureBeside is point 6: commands on a folder while a node serves it.
func measureBeside(ctx context.Context, l *lab) (outcome, error) {
	data := l.folder("beside")
	n, err := l.serve(ctx, data)
	if err != nil {
		return outcome{}, err
	}
	defer n.kill()
	steps := []struct {
		what string
		do   func(context.Context, *node) error
	}{
		{"a key works as soon as it is made, and not after it is revoked", l.keysBeside},
		{"imported follows and posts show in feeds and counters that were cached", l.importBeside},
		{"an account made by a command is listed and can sign in; verify agrees", l.userBeside},
		{"a second serve exits with a hint", l.secondServe},
	}
	for _, s := range steps {
		if err := s.do(ctx, n); err != nil {
			return outcome{}, fmt.Errorf("%s: %w", s.what, err)
		}
		l.detail("%s", s.what)
	}
	return outcome{fmt.Sprintf("%d of %d", len(steps), len(steps)), true}, n.stop()
}

func (l *lab) keysBeside(ctx context.Context, n *node) error {
	for i := range 5 {
		name := fmt.Sprint("short-lived-", i)
		key, err := l.key(ctx, n.data, name)
		if err != nil {
			return err
		}
		c := newClient(n.url, "Bearer "+key, 1)
		ask := func(want int) error {
			a, err := c.send(ctx, request{method: http.MethodPost, path: "/v1/tokens"})
			if err == nil && a.status != want {
				err = fmt.Errorf("the key is answered %d, wanted %d: %s", a.status, want, a.body)
			}
			return err
		}
		// A key that acts for nobody is known by its 400, one that is not valid by 401.
		err = errors.Join(ask(http.StatusBadRequest), ask(http.StatusBadRequest))
		if err == nil {
			_, err = l.must(ctx, "apikey", "revoke", name, "--data", n.data)
		}
		if err = errors.Join(err, ask(http.StatusUnauthorized)); err != nil {
			return err
		}
		c.close()
	}
	return nil
}

const (
	besideUsers, besideFollows, besidePosts = 150, 3_000, 1_500

	besideParts = 3
)

// importBeside imports a network in parts, and reads everything after each: what
// the next part changes has been cached.
func (l *lab) importBeside(ctx context.Context, n *node) error {
	key, err := l.key(ctx, n.data, "reader")
	if err != nil {
		return err
	}
	rng := l.newRand()
	d := &dataset{network: &naive.Network{}}
	files := networkParts(rng)
	for part := range besideParts {
		f, p := filepath.Join(l.dir, fmt.Sprintf("beside-%d-f.csv", part)), filepath.Join(l.dir, fmt.Sprintf("beside-%d-p.csv", part))
		if err := errors.Join(writeCSV(f, "follower,followee", files[part].follows), writeCSV(p, "author,created_at,text", files[part].posts)); err != nil {
			return err
		}
		if _, err := l.imports(ctx, n.data, f, p); err != nil {
			return err
		}
		if err := errors.Join(d.network.ReadFollows(f), d.network.ReadPosts(p)); err != nil {
			return err
		}
		d.ready()
		for range 2 { // the second time from the caches
			if _, err := walkFeeds(ctx, n, key, d); err != nil {
				return fmt.Errorf("after part %d of %d: %w", part+1, besideParts, err)
			}
		}
		if _, err := l.verify(ctx, n.data); err != nil {
			return err
		}
	}
	return nil
}

// rows of two files.
type networkPart struct{ follows, posts [][]string }

// networkParts draws a network and deals its rows out. No two posts share a
// second, so that their order is the same whichever is imported first.
func networkParts(rng *rand.Rand) [besideParts]networkPart {
	var parts [besideParts]networkPart
	name := func(i int) string { return fmt.Sprint("beside", i) }
	for range besideFollows {
		from, to := rng.IntN(besideUsers), rng.IntN(besideUsers)
		if from != to {
			p := &parts[rng.IntN(besideParts)]
			p.follows = append(p.follows, []string{name(from), name(to)})
		}
	}
	begin := time.Now().Add(-besidePosts * time.Minute).Truncate(time.Second)
	for i := range besidePosts {
		p := &parts[rng.IntN(besideParts)]
		at := begin.Add(time.Duration(i) * time.Minute).UTC().Format(time.RFC3339)
		p.posts = append(p.posts, []string{name(rng.IntN(besideUsers)), at, postText(rng, fmt.Sprint("beside ", i))})
	}
	return parts
}

func (l *lab) userBeside(ctx context.Context, n *node) error {
	const password = "correct horse battery"
	r, err := l.freshetIn(ctx, password+"\n", "user", "create", "fromshell", "--data", n.data)
	if err == nil && r.code != 0 {
		err = fmt.Errorf("user create exits with %d: %s", r.code, r.errOut)
	}
	if err != nil {
		return err
	}
	if r, err = l.must(ctx, "user", "list", "--limit", "100000", "--data", n.data); err != nil {
		return err
	}
	if !strings.Contains(r.out, "fromshell") {
		return fmt.Errorf("user list does not show the account:\n%.500s", r.out)
	}
	c := newClient(n.url, "", 1)
	defer c.close()
	if err := c.do(ctx, request{method: http.MethodPost, path: "/v1/sessions", body: map[string]string{"handle": "fromshell", "password": password}}, nil); err != nil {
		return err
	}
	_, err = l.verify(ctx, n.data)
	return err
}

func (l *lab) secondServe(ctx context.Context, n *node) error {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	r, err := l.freshet(ctx, "serve", "--addr", "127.0.0.1:0", "--data", n.data)
	if err != nil {
		return err
	}
	if r.code == 0 || !strings.Contains("\n"+r.errOut, "\nhint: ") {
		return fmt.Errorf("it exits with %d and says %q", r.code, r.errOut)
	}
	return ready(ctx, n.url+"/readyz")
}
