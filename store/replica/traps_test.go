package replica_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/postgres"
	"github.com/freshet/freshet/store/replica"
)

// A replica that hangs gives its readers back within the time of a probe.
func TestReadersLeaveAReplicaThatHangs(t *testing.T) {
	s := shared.open(t, replica.Options{ProbeTimeout: 300 * time.Millisecond})
	u, token, err := s.CreateUser(t.Context(), freshet.NewUser{Handle: "ada"}, store.Write{})
	if err != nil {
		t.Fatal(err)
	}
	read := func() time.Duration {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ctx, _ = position.WithReading(ctx, token)
		began := time.Now()
		if users, err := s.Users(ctx, []freshet.ID{u.ID}); err != nil || len(users) != 1 {
			t.Fatalf("got %v, %v", users, err)
		}
		return time.Since(began)
	}
	for before := s.Stats().OnReplicas; s.Stats().OnReplicas == before; {
		read()
	}
	for _, r := range shared.servers[1:] {
		r.Pause()
		defer r.Resume()
	}
	if took := read(); took > 5*time.Second {
		t.Errorf("a read took %v", took)
	}
	for s.Stats().Ejected < 2 {
		time.Sleep(time.Millisecond)
	}
	for _, r := range shared.servers[1:] {
		r.Resume()
	}
	for before := s.Stats().OnReplicas; s.Stats().OnReplicas == before; { // they come back
		read()
		time.Sleep(time.Millisecond)
	}
}

// Two databases are no replicas of each other, also where their clusters were made from one copy.
func TestAStrangerIsRefused(t *testing.T) {
	stranger := testenv.StartPostgres(t).URL("postgres")
	name := shared.createDatabase(t)
	var nodes []replica.Node
	for _, url := range []string{shared.servers[0].URL(name), stranger} {
		n, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	if _, err := replica.Open(context.Background(), nodes, replica.Options{}); err == nil || !strings.Contains(err.Error(), "not a replica of it") {
		t.Errorf("got %v", err)
	}
}
