package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

const movesAim = "at least 2,000 writes/s meanwhile; 0 rows lost, doubled or resurrected, every row compared; writes pause 15 ms in the median, 50 ms at most; " +
	"killed at each step it goes on; from SQLite to PostgreSQL while serve answers, feeds equal"

var (
	movedSaid   = regexp.MustCompile(`moved \S+ to \d: (\d+) rows copied, (\d+) changed meanwhile, (\d+) compared, pause ([0-9.]+) ms, slowest write ([0-9.]+) ms`)
	writtenSaid = regexp.MustCompile(`(\d+) writes a second`)
	diedSaid    = regexp.MustCompile(`the mover died (\d+) times`)
)

// moveMedian and moveMost are the aims of pauses in milliseconds, moveWrites that of writes a second.
const (
	moveMedian, moveMost = 15, 50
	moveWrites           = 2000
)

// measureMoves is point 3.
func measureMoves(ctx context.Context, l *lab) (outcome, error) {
	l.say("moves under load")
	r, err := l.goTests(ctx, "^TestMovesUnderLoad$/^two_databases$", "./store/shard")
	if err != nil {
		return outcome{}, err
	}
	passed, cases := r.print(l)
	green := !r.failed && passed == cases && cases > 0
	moves, err := r.numbers(movedSaid)
	if err != nil {
		return outcome{}, err
	}
	writes, err := r.numbers(writtenSaid)
	if err != nil {
		return outcome{}, err
	}
	var pauses []float64
	copied, compared := 0.0, 0.0
	for _, m := range moves {
		copied, compared, pauses = copied+m[0]+m[1], compared+m[2], append(pauses, m[3])
		l.detail("%.0f rows copied, %.0f changed meanwhile, %.0f compared; pause %.1f ms, slowest write of all %.1f ms", m[0], m[1], m[2], m[3], m[4])
	}
	median, most := middle(pauses), slices.Max(pauses)

	l.say("movers that die, between files, from a file to a database")
	r, err = l.goTests(ctx, "^(TestAMover|TestAMoveIsUndone|TestARouterThatHasNotHeardOfAMove|TestMovesUnderLoad$/^(two_files|file,_database)$)", "./store/shard")
	if err != nil {
		return outcome{}, err
	}
	passed, cases = r.print(l)
	green = green && !r.failed && passed == cases && cases > 0
	died, err := r.numbers(diedSaid)
	if err != nil {
		return outcome{}, err
	}
	equal, err := l.serveMoves(ctx)
	if err != nil {
		return outcome{}, err
	}
	lost := "0 rows lost, doubled or resurrected"
	if !green {
		lost = "tests FAIL"
	}
	return outcome{
		fmt.Sprintf("%d moves at %.0f writes/s: %s of %.0f, %.0f compared; pause %.1f ms in the median, %.1f ms at most; went on after %.0f deaths; served: %s",
			len(moves), writes[0][0], lost, copied, compared, median, most, died[0][0], equal),
		green && median <= moveMedian && most <= moveMost && writes[0][0] >= moveWrites,
	}, nil
}
