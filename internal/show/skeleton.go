package main

// skeleton is a home feed that runs, on real input.
func skeleton() []point {
	return []point{
		{1, "every feed of the imported data equals the naive query", "all, in push and pull, also after kill -9", measureImport},
		{2, "start to listening, resident memory when idle", startAim, measureStart},
		{3, "server CPU of a feed page against a bare handler", readAim, measureReads},
		{4, "posts per fsync, against one transaction, against groups of one", groupAim, measureGroups},
		{5, "kill -9 under a writing load", "nothing acknowledged lost or twice, counters and feeds right", measureKills},
		{6, "commands beside a running node", "at once, and no cache disagrees", measureBeside},
		{7, "bad input refused, nothing changed", "every case", measureBad},
		{8, "mutants", "all red", measureMutants},
	}
}
