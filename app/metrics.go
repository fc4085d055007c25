package app

import (
	"fmt"
	"io"
	"time"
)

// writeMetrics writes what the layers below the API know of themselves, in
// Prometheus text.
func (n *Node) writeMetrics(w io.Writer) {
	head := func(name, kind, help string) { fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	one := func(name, kind, help string, v any) {
		head(name, kind, help)
		fmt.Fprintf(w, "%s %v\n", name, v)
	}
	spaces := n.stack.Stats()
	for _, m := range []struct {
		name, kind, help string
		value            func(i int) any
	}{
		{"freshet_cache_hits_total", "counter", "Reads answered from memory, by space.", func(i int) any { return spaces[i].Hits }},
		{"freshet_cache_misses_total", "counter", "Reads that asked the source, by space.", func(i int) any { return spaces[i].Misses }},
		{"freshet_cache_loads_total", "counter", "Calls of the source, by space.", func(i int) any { return spaces[i].Loads }},
		{"freshet_cache_load_errors_total", "counter", "Calls of the source that failed, by space.", func(i int) any { return spaces[i].LoadErrors }},
		{"freshet_cache_stale_served_total", "counter", "Reads answered with an expired value, by space.", func(i int) any { return spaces[i].StaleServed }},
		{"freshet_cache_evictions_total", "counter", "Entries that made room for others, by space.", func(i int) any { return spaces[i].Evictions }},
		{"freshet_cache_entries", "gauge", "Entries in memory, by space.", func(i int) any { return spaces[i].Entries }},
	} {
		head(m.name, m.kind, m.help)
		for i := range spaces {
			fmt.Fprintf(w, "%s{space=%q} %v\n", m.name, spaces[i].Name, m.value(i))
		}
	}

	f := n.social.Feed().Stats()
	one("freshet_feed_timelines", "gauge", "Readers whose timeline is in memory.", f.Timelines)
	one("freshet_feed_timeline_entries", "gauge", "Posts on these timelines.", f.Entries)
	one("freshet_feed_in_flight", "gauge", "Posts whose fan-out has not ended.", f.InFlight)
	one("freshet_feed_delivered_total", "counter", "Timeline entries written by fan-out.", f.Delivered)
	one("freshet_feed_pages_from_memory_total", "counter", "Pages answered without the store.", f.FromMemory)
	one("freshet_feed_pulls_total", "counter", "Pull queries.", f.Pulled)
	one("freshet_feed_voided_total", "counter", "Times that a bound was reached and every timeline dropped.", f.Voided)

	j := n.jobs.Stats()
	one("freshet_jobs_waiting", "gauge", "Jobs that wait.", j.Waiting)
	one("freshet_jobs_running", "gauge", "Jobs that run.", j.Running)
	one("freshet_jobs_dead", "gauge", "Jobs that failed for good.", j.Dead)
	one("freshet_jobs_done_total", "counter", "Jobs that succeeded.", j.Done)
	one("freshet_jobs_failed_total", "counter", "Attempts that failed.", j.Failed)
	age := 0.0
	if !j.Oldest.IsZero() {
		age = max(0, time.Since(j.Oldest).Seconds())
	}
	one("freshet_jobs_oldest_seconds", "gauge", "How long the oldest due job has been due.", age)

	v, lost := n.views.Stats()
	one("freshet_views_lost_total", "counter", "Views that could not be counted.", lost)
	one("freshet_views_pending", "gauge", "Sums of views and new readers that are journaled and not yet in the store.", v.Pending)
	one("freshet_views_journal_bytes", "gauge", "What the journal of views holds of them.", v.Bytes)
	one("freshet_views_batches_total", "counter", "Batches of them that the store has taken.", v.Batches)
	one("freshet_views_retries_total", "counter", "Times that the store did not take a batch.", v.Retries)

	commits, writes := n.file.Counts()
	one("freshet_store_commits_total", "counter", "Transactions, each one fsync.", commits)
	one("freshet_store_writes_total", "counter", "Writes in them.", writes)
}
