package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// storePoints is the store from one file to replicas and shards; what is not built is short.
func storePoints() []point {
	return []point{
		{1, "storetest on five topologies, one log over all", "5 of 5 green, equal pages", measureContracts},
		{2, "chaos: nobody sees the own past", chaosAim, measureChaos},
		{3, "moves under load", movesAim, measureMoves},
		{4, "change feed", changesAim, measureChanges},
		{5, "ratios in one run", ratiosAim, measureRatios},
		{6, "points 1, 3, 5, 7 of skeleton on two shards with two replicas each", shardedAim, measureSharded},
		{7, "bad input", "a clear error with a hint, readyz red, other shards keep serving", measureBadStore},
	}
}

// topology is one arrangement of the store; folder and test are where it is put through the suite.
type topology struct{ name, folder, test string }

var topologies = []topology{
	{"SQLite", "store/sqlite", "TestContract"},
	{"four SQLite shards", "store/shard", "TestContractOnFourFiles"},
	{"PostgreSQL", "store/postgres", "TestContract"},
	{"primary + two replicas", "store/replica", "TestContract"},
	{"two PostgreSQL shards", "store/shard", "TestContractOnTwoDatabases"},
}

// measureContracts is point 1.
func measureContracts(ctx context.Context, l *lab) (outcome, error) {
	var green []string
	passed, cases := 0, 0
	for _, x := range topologies {
		l.say("storetest on %s", x.name)
		r, err := l.goTests(ctx, "^"+x.test+"$", "./"+x.folder)
		if err != nil {
			return outcome{}, err
		}
		p, n := r.print(l)
		if passed, cases = passed+p, cases+n; !r.failed && p == n && n > 0 {
			green = append(green, fmt.Sprintf("%s (%d)", x.name, n))
		}
	}
	l.say("one log over all five")
	r, err := l.goTests(ctx, "^TestOneLogGivesEqualPages$", "./store/shard")
	if err != nil {
		return outcome{}, err
	}
	p, n := r.print(l)
	equal, pages := !r.failed && p == 1 && n == 1, "DIFFERENT pages"
	if equal {
		pages = "equal pages"
	}
	l.detail("the clock is injected; ids are drawn by the engines and compared by the order in which they were made")
	return outcome{
		fmt.Sprintf("%d of %d green: %s, %d of %d cases; one log over all: %s", len(green), len(topologies), strings.Join(green, ", "), passed, cases, pages),
		len(green) == len(topologies) && equal,
	}, nil
}

// measureBadStore is point 7.
func measureBadStore(ctx context.Context, l *lab) (outcome, error) {
	r, err := l.goTests(ctx, "^(TestOpenExplains|TestErrorsThatCallersMayBeTold|TestADatabaseWithoutRoomIsNotReady|TestBadPostgres|TestAStrangerIsRefused|TestWhatAServerNeedsForTheFeedIsSaid|"+
		"TestWhatCannotBeOpened|TestABucketThatIsNowhere|TestAFollowDoesNotWaitForAPartThatIsDown|TestAShardThatIsDown)$",
		"./internal/pgdb", "./store/postgres", "./store/replica", "./store/shard", "./app")
	if err != nil {
		return outcome{}, err
	}
	passed, cases := r.print(l)
	l.detail("covered: wrong DSN, unreachable, no database, no right, wrong encoding, foreign schema, schema of a later freshet, foreign replica, too low a wal_level;")
	l.detail("  a server that goes away under a node and returns: 503, readyz red, then green")
	l.detail("  shards in another order, of another store, with data of their own; a bucket that is on no shard; a shard that is down while the others serve")
	l.say("a disk that fills up")
	l.detail("  a server that is too old: the one that is here, for a freshet that needs a later one")
	missing := "nothing"
	switch err := l.fullDisk(ctx); {
	case errors.Is(err, errNoMount):
		missing = "a full disk: " + err.Error()
	case err != nil:
		return outcome{}, err
	}
	return outcome{
		fmt.Sprintf("%d of %d tests of bad input pass; not covered: %s", passed, cases, missing),
		!r.failed && passed == cases && missing == "nothing",
	}, nil
}
