package cache

import "time"

// JournalStats is what a WriteBehind or a Counter has done since it was defined, and what it owes now.
type JournalStats struct {
	Name    string
	Pending int // entries owed to the sink, those in the batch that is being written included
	// Lag is how long the oldest of them has been owed, as far as this process knows: after a restart it is counted anew.
	Lag     time.Duration
	Dead    int    // entries in dead letters
	Bytes   int64  // of all that is owed, dead letters included
	Failing bool   // the last write to disk failed
	Changes uint64 // Puts or Adds that were taken
	Commits uint64 // fsyncs that acknowledged them, and the boundaries of batches
	Batches uint64 // that the sink has applied
	Entries uint64 // in them
	Retries uint64 // attempts that failed and were not the last
	Buried  uint64 // batches that became dead letters
	// Fill is Entries over what Batches had room for.
	Fill float64
}

func (l *ledger[K, V]) snapshot() JournalStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := JournalStats{
		Name:    l.name,
		Pending: l.state.entries() - l.state.nDead,
		Lag:     l.state.lag(time.Now()),
		Dead:    l.state.nDead,
		Failing: l.failing != nil,
		Bytes:   l.state.bytes,
		Changes: l.stats.changes,
		Commits: l.stats.commits,
		Batches: l.stats.batches,
		Entries: l.stats.entries,
		Retries: l.stats.retries,
		Buried:  l.stats.dead,
	}
	if s.Batches > 0 {
		s.Fill = float64(s.Entries) / float64(s.Batches*uint64(l.batchMax))
	}
	return s
}
