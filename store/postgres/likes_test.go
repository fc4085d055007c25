package postgres_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

// Likes that are asked for four times at once are each new once, also within one transaction, and who is unknown is told so
// without harm to the others.
func TestTheSameLikeTogether(t *testing.T) {
	const posts, times = 50, 4
	db, _ := open(t)
	u, _, err := db.CreateUser(t.Context(), freshet.NewUser{Handle: "ada"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []freshet.ID
	for i := range posts {
		p, _, err := db.CreatePost(t.Context(), freshet.NewPost{Author: u.ID, Text: fmt.Sprint(i)}, store.Write{})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, p.ID)
	}
	var changed atomic.Int64
	var all sync.WaitGroup
	for _, id := range ids {
		for range times {
			all.Go(func() {
				n, isNew, _, err := db.Like(t.Context(), u.ID, id, store.Write{})
				if err != nil || n != 1 {
					t.Errorf("count %d, %v", n, err)
				}
				if isNew {
					changed.Add(1)
				}
			})
		}
		all.Go(func() {
			if _, _, _, err := db.Like(t.Context(), 42, id, store.Write{}); freshet.CodeOf(err) != freshet.CodeNotFound {
				t.Errorf("a like by nobody: %v", err)
			}
		})
	}
	all.Wait()
	if changed.Load() != posts {
		t.Errorf("%d were new, want %d", changed.Load(), posts)
	}
}
