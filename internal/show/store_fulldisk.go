package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/freshet/freshet/internal/testenv"
)

// errNoMount says that this machine lets us make no small disk.
var errNoMount = errors.New("no right to mount a small disk")

const (
	smallDisk = "24m" // holds an empty database, and not much more
	largeDisk = "200m"
)

// incompressible is text of at least n bytes of which the server can save no room.
func incompressible(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(rand.Text())
	}
	return b.String()
}

// fullDisk has the disk of one of two shards fill up: its writes are refused and the node is not ready, the other shard goes on; with
// room again all is as before.
func (l *lab) fullDisk(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "freshet-small-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "mode=0777,size="+smallDisk, "none", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", errNoMount, strings.TrimSpace(string(out)))
	}
	defer func() { err = errors.Join(err, exec.Command("umount", "-l", dir).Run()) }()
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	var servers testenv.Scope
	defer servers.Close()
	home, small := testenv.StartPostgres(&servers, "wal_level=logical"), testenv.StartPostgres(&servers, "wal_level=logical")
	small.Exec(&servers, "postgres", "COPY (SELECT 1) TO PROGRAM 'mkdir "+dir+"/data'") // by the server's user
	small.Exec(&servers, "postgres", "CREATE TABLESPACE small LOCATION '"+dir+"/data'")
	small.Exec(&servers, "postgres", "CREATE DATABASE small TABLESPACE small")
	n, err := l.serve(ctx, l.folder("full"), "FRESHET_FEED_MODE=pull",
		fmt.Sprintf("FRESHET_STORE_SHARDS=[{primary: %q}, {primary: %q}]", home.CreateDatabase(&servers), small.URL("small")))
	if err != nil {
		return err
	}
	defer n.kill()
	key, err := l.key(ctx, n.data, "show")
	if err != nil {
		return err
	}
	c := newClient(n.url, "Bearer "+key, 4)
	defer c.close()
	users, err := makeUsers(ctx, c, "full", 64)
	if err != nil {
		return err
	}
	// The bucket is in the id; the second shard has the upper half.
	var stays, falls string
	for _, id := range users {
		var n int64
		if _, err := fmt.Sscan(id, &n); err != nil {
			return err
		}
		if n>>12&1023 < 512 {
			stays = id
		} else {
			falls = id
		}
	}
	if stays == "" || falls == "" {
		return errors.New("all users are on one shard")
	}
	post := func(user string) (int, error) {
		body, err := json.Marshal(map[string]any{"text": incompressible(2000)})
		if err != nil {
			return 0, err
		}
		a, err := c.send(ctx, request{method: http.MethodPost, path: "/v1/posts", actFor: user, raw: string(body)})
		return a.status, err
	}
	posts := 0
	for ; ; posts++ {
		status, err := post(falls)
		if err != nil {
			return err
		}
		if status == http.StatusServiceUnavailable {
			break
		}
		if status != http.StatusCreated || posts > 100_000 {
			return fmt.Errorf("post %d: %d", posts, status)
		}
	}
	wants := func(what string, want int, ask func() (int, error)) {
		status := 0
		for began := time.Now(); err == nil && status != want && time.Since(began) < 10*time.Second; {
			if status, err = ask(); status != want {
				time.Sleep(50 * time.Millisecond)
			}
		}
		if err == nil && status != want {
			err = fmt.Errorf("%s: %d, wanted %d", what, status, want)
		}
	}
	readyz := func() (int, error) {
		a, err := c.send(ctx, request{method: http.MethodGet, path: "/readyz"})
		return a.status, err
	}
	wants("readyz with a full disk", http.StatusServiceUnavailable, readyz)
	wants("a post on the other shard", http.StatusCreated, func() (int, error) { return post(stays) })
	wants("a read of the full shard", http.StatusOK, func() (int, error) {
		a, err := c.send(ctx, request{method: http.MethodGet, path: "/v1/users/" + falls, actFor: stays})
		return a.status, err
	})
	if err == nil {
		err = exec.CommandContext(ctx, "mount", "-o", "remount,size="+largeDisk, dir).Run()
	}
	wants("readyz with room again", http.StatusOK, readyz)
	wants("a post with room again", http.StatusCreated, func() (int, error) { return post(falls) })
	if err == nil {
		l.detail("a disk of %s was full after %d posts: 503 and not ready, the other shard went on; with room again all was as before", smallDisk, posts)
	}
	return err
}
