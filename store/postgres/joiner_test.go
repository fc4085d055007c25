package postgres_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/internal/testenv"
)

// Where a server hangs, a joined read ends when all who wait for it have gone: the next is not held up by it.
func TestAJoinedReadEndsWithItsReaders(t *testing.T) {
	relay := testenv.StartRelay(t, server.Addr)
	db, _ := openAt(t, strings.Replace(server.CreateDatabase(t), server.Addr, relay.Addr, 1), pgdb.Options{})
	if _, err := db.Users(t.Context(), []freshet.ID{1}); err != nil {
		t.Fatal(err)
	}
	relay.Pause()
	defer relay.Resume()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := db.Users(ctx, []freshet.ID{1}); err == nil {
				t.Error("a server that hangs has answered")
			}
		})
	}
	all.Wait()
	for deadline := time.Now().Add(time.Second); db.UserReaders() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("reads are under way, and nobody waits for them")
		}
	}
}
