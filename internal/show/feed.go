package main

// feedPoints is home feeds in four modes.
func feedPoints() []point {
	return []point{
		{1, "the oracle on timelines in memory, on both stores, in four modes", oracleAim, measureOracle},
		{2, "feeds of the imported data are equal in every mode, with flips on the way", flipsAim, measureFlips},
		{3, "fan-out to random followers of 1,000,000", fanOutAim, measureFanOut},
		{4, "a page of 50 with visibility, 1,000 follows", feedReadsAim, measureFeedReads},
		{5, "an author with 1,000,000 followers posts", popularAim, measurePopular},
		{6, "CPU of four modes on a network, rates learnt online", feedCostAim, measureFeedCost},
		{7, "a reader who was away for a month", awayAim, measureAway},
		{8, "live events", liveAim, measureLive},
	}
}
