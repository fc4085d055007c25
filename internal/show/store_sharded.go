package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/freshet/freshet/internal/testenv"
)

const shardedAim = "1 every feed equal, 3 printed, 5 nothing acknowledged lost, 7 every request refused; fuzzing needs no store"

// measureSharded is point 6: the points of skeleton that need a store, on two shards of a primary and two replicas each. Each data folder
// has databases of its own there.
func measureSharded(ctx context.Context, l *lab) (outcome, error) {
	var servers testenv.Scope
	defer servers.Close()
	var shards [2][]*testenv.Postgres
	for i := range shards {
		p := testenv.StartPostgres(&servers, "max_connections=300", "wal_level=logical", "hot_standby_feedback=on", "max_replication_slots=50")
		shards[i] = []*testenv.Postgres{p, p.StartReplica(&servers, "r1"), p.StartReplica(&servers, "r2")}
	}
	stores := make(map[string]string)
	l.storeOf = func(data string) string {
		if stores[data] == "" {
			var list []string
			for _, s := range shards {
				address := s[0].CreateDatabase(&servers)
				name := address[strings.LastIndex(address, "/")+1 : strings.Index(address, "?")]
				list = append(list, fmt.Sprintf("{primary: %q, replicas: [%q, %q]}", address, s[1].URL(name), s[2].URL(name)))
			}
			stores[data] = "[" + strings.Join(list, ", ") + "]"
		}
		return stores[data]
	}
	defer func() { l.storeOf, l.imported = nil, "" }()
	var figures []string
	all := true
	for _, p := range []struct {
		n       int
		measure func(context.Context, *lab) (outcome, error)
	}{{1, measureImport}, {3, measureReads}, {5, measureKills}, {7, func(ctx context.Context, l *lab) (outcome, error) {
		refused, requests, err := l.badRequests(ctx)
		if err == nil {
			err = l.badFiles(ctx)
		}
		return outcome{fmt.Sprintf("%d of %d requests refused, broken lines passed over", refused, requests), refused == requests}, err
	}}} {
		l.say("skeleton.%d on two shards with two replicas each", p.n)
		o, err := p.measure(ctx, l)
		if err != nil {
			o = l.failed(err)
		}
		verdict := "ok"
		switch {
		case p.n == 3 && err == nil:
			verdict = "printed, no aim"
		case !o.ok:
			verdict, all = "short", false
		}
		figures = append(figures, fmt.Sprintf("%d: %s (%s)", p.n, o.figure, verdict))
	}
	return outcome{strings.Join(figures, "; "), all}, nil
}
