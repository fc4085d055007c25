package app

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/store"
)

const (
	viewsChildDir  = "FRESHET_TEST_VIEWS_DIR"
	viewsChildLife = "FRESHET_TEST_VIEWS_LIFE"
)

// A process that is killed as soon as its views are in the journal, or some time
// after, while the store takes them, leaves each of them counted once.
//
//	parent: start ──▶ child: a new reader's home feed; "counted" when the journal has it
//	   ▲               │
//	   └───────────────┴── SIGKILL, at once or while the store takes them
func TestCountedViewsSurviveKills(t *testing.T) {
	if dir := os.Getenv(viewsChildDir); dir != "" {
		viewsChild(t, dir)
		return
	}
	const posts = 20
	dir, lives := t.TempDir(), testenv.Size(4, 10, 200)
	n := ownNode(t, dir)
	ids := viewedPosts(t, n, lives, posts)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for life := range lives {
		wait := time.Duration(0)
		if flushes(life) {
			wait = rand.N(30 * time.Millisecond)
		}
		killedLife(t, dir, life, wait)
	}
	n = ownNode(t, dir)
	defer n.Close()
	for _, id := range ids {
		if s := n.statsOf(t, id); s.Views != int64(lives) || s.Reach != int64(lives) {
			t.Errorf("post %s: %d views by %d after %d lives with one reader each", id, s.Views, s.Reach, lives)
		}
	}
}

// flushes says in which lives the store is given what is counted.
func flushes(life int) bool { return life%2 == 1 }

// viewedPosts makes an author with posts and a follower for each life.
func viewedPosts(t *testing.T, n *Node, lives, posts int) (ids []freshet.ID) {
	t.Helper()
	author, _, err := n.social.SignUp(t.Context(), freshet.NewUser{Handle: "author"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range lives {
		u, _, _, err := n.social.UpsertUser(t.Context(), freshet.NewUser{Ref: fmt.Sprint("reader", i), Name: "R"}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := n.social.Follow(t.Context(), u.ID, author.ID, store.Write{}); err != nil {
			t.Fatal(err)
		}
	}
	for range posts {
		p, _, err := n.social.Post(t.Context(), freshet.NewPost{Author: author.ID, Text: "x"}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	return ids
}

func killedLife(t *testing.T, dir string, life int, wait time.Duration) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestCountedViewsSurviveKills$")
	child.Env = append(os.Environ(), viewsChildDir+"="+dir, viewsChildLife+"="+strconv.Itoa(life))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for in := bufio.NewScanner(out); in.Scan(); {
		if in.Text() == "counted" {
			time.Sleep(wait) // what is tested is a kill at any moment
			child.Process.Kill()
			child.Wait()
			return
		}
		said.WriteString(in.Text() + "\n")
	}
	child.Wait()
	t.Fatalf("life %d ended by itself:\n%s", life, said.String())
}

// viewsChild shows one page, says so when the journal has it, and waits for its end.
func viewsChild(t *testing.T, dir string) {
	life, err := strconv.Atoi(os.Getenv(viewsChildLife))
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Data = dir
	n, err := Open(context.Background(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	h, err := n.handler()
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := n.auth.CreateKey(context.Background(), fmt.Sprint("life ", life), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.views.Settle(context.Background()); err != nil { // what the life before has left
		t.Fatal(err)
	}
	owed := func() uint64 {
		journal, _ := n.views.Stats()
		return uint64(journal.Pending) + journal.Entries
	}
	before := owed()
	r := httptest.NewRequest("GET", "/v1/feed", nil)
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Freshet-User", fmt.Sprint("ref:reader", life))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	shown := uint64(strings.Count(w.Body.String(), `"like_count"`))
	for owed() < before+2*shown { // a sum and a reader for each post
		time.Sleep(time.Millisecond)
	}
	fmt.Println("counted")
	if flushes(life) {
		if err := n.views.Settle(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Minute) // the parent kills it
}
