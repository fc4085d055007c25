package main

import (
	"context"
	"fmt"
)

const journalAim = "what was acknowledged, exactly; batches over 80 % full; an outage loses nothing"

// measureJournal is point 6: processes that are killed while they work with a journal over SQLite, batches under load, a
// source that is down for a minute.
func measureJournal(ctx context.Context, l *lab) (outcome, error) {
	r, err := l.goTests(ctx, "^(TestWriteBehindKill|TestWriteBehindBatchesAreFull|TestWriteBehindOutlivesAnOutage|TestCounterKill|TestCounterUnderLoad|TestLedgerSurvivesPowerFailures)$", "./cache")
	if err != nil {
		return outcome{}, err
	}
	passed, cases := r.print(l)
	const wanted = 6
	return outcome{fmt.Sprintf("%d of %d cases", passed, cases), !r.failed && passed == cases && cases >= wanted}, nil
}
