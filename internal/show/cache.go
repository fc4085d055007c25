package main

// cachePoints is the cache that cannot go stale, on real servers.
func cachePoints() []point {
	return []point{
		{1, "races forced on every backend, histories, each guard a mutant", "every case passes, every mutant red", measureRaces},
		{2, "stampede of three processes", stampedeAim, measureStampede},
		{3, "speed against otter, go-redis/cache, rueidis, redis-benchmark", speedAim, measureSpeed},
		{4, "entries of one tag ended by one confirmed fence", tagsAim, measureTags},
		{5, "sessions' tokens on a busy shard", tokensAim, measureTokens},
		{6, "write-behind and counters", journalAim, measureJournal},
		{7, "remote layer down and back", downAim, measureDown},
		{8, "dependencies of a module that imports only cache", "at most 6", measureDependencies},
		{9, "bad keys, values, envelopes", "right value or typed error, and counted", measureBadCache},
	}
}
