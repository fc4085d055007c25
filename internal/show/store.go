package main

import (
	"context"
	"fmt"
	"strings"
)

// storePoints is the store from one file to replicas; what is not built is short.
func storePoints() []point {
	return []point{
		{1, "storetest on five topologies, one log over all", "5 of 5 green, equal pages", measureContracts},
		{2, "chaos: nobody sees the own past", chaosAim, measureChaos},
		{3, "moves under load", "0 rows lost, doubled or resurrected; writes pause 15 ms in the median, 50 ms at most", notBuilt(
			"moves of bucket ranges are not built, nor shards to move between")},
		{4, "change feed", changesAim, measureChanges},
		{5, "ratios in one run", ratiosAim, measureRatios},
		{6, "points 1, 3, 5, 7 of skeleton on two shards with two replicas each", "as there", notBuilt(
			"a store of several shards is not built")},
		{7, "bad input", "a clear error with a hint, readyz red, other shards keep serving", measureBadStore},
	}
}

// notBuilt is a point that nothing can be measured of.
func notBuilt(what string) func(context.Context, *lab) (outcome, error) {
	return func(context.Context, *lab) (outcome, error) { return outcome{figure: "not measured: " + what}, nil }
}

// topology is one arrangement of the store; folder is where its tests are.
type topology struct{ name, folder string }

// measureContracts is point 1.
func measureContracts(ctx context.Context, l *lab) (outcome, error) {
	built := []topology{{"SQLite", "store/sqlite"}, {"PostgreSQL", "store/postgres"}, {"primary + two replicas", "store/replica"}}
	absent := []string{"four SQLite shards", "two PostgreSQL shards"}
	var green []string
	passed, cases := 0, 0
	for _, x := range built {
		l.say("storetest on %s", x.name)
		r, err := l.goTests(ctx, "^TestContract$", "./"+x.folder)
		if err != nil {
			return outcome{}, err
		}
		p, n := r.print(l)
		if passed, cases = passed+p, cases+n; !r.failed && p == n && n > 0 {
			green = append(green, fmt.Sprintf("%s (%d)", x.name, n))
		}
	}
	l.say("one log over two engines")
	r, err := l.goTests(ctx, "^TestOneLogGivesEqualPages$", "./store/postgres")
	if err != nil {
		return outcome{}, err
	}
	pages := "DIFFERENT pages"
	if p, n := r.print(l); !r.failed && p == 1 && n == 1 {
		pages = "equal pages"
	}
	l.detail("ids and buckets are not injected into the log: ids are compared by the order in which they were made")
	all := len(built) + len(absent)
	return outcome{
		fmt.Sprintf("%d of %d green: %s, %d of %d cases; not built: %s; one log: %s on SQLite and PostgreSQL, 2 of %d",
			len(green), all, strings.Join(green, ", "), passed, cases, strings.Join(absent, ", "), pages, all),
		len(green) == all,
	}, nil
}

// measureBadStore is point 7, as far as there is one shard.
func measureBadStore(ctx context.Context, l *lab) (outcome, error) {
	r, err := l.goTests(ctx, "^(TestOpenExplains|TestErrorsThatCallersMayBeTold|TestBadPostgres|TestAStrangerIsRefused|TestWhatAServerNeedsForTheFeedIsSaid)$",
		"./internal/pgdb", "./store/postgres", "./store/replica", "./app")
	if err != nil {
		return outcome{}, err
	}
	passed, cases := r.print(l)
	l.detail("covered: wrong DSN, unreachable, no database, no right, wrong encoding, foreign schema, schema of a later freshet, foreign replica, too low a wal_level;")
	l.detail("  a server that goes away under a node and returns: 503, readyz red, then green")
	l.detail("a disk that is full: the server's error is raised by hand (SQLSTATE 53100), no disk is filled")
	l.detail("not covered: a server older than 15 (no such server here); a bucket missing from the directory, other shards that keep serving (shards are not built)")
	return outcome{
		fmt.Sprintf("%d of %d tests of bad input pass; not covered: a full disk for real, an old server; not built: directory of buckets, other shards", passed, cases),
		false,
	}, nil
}
