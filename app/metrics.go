package app

import (
	"fmt"
	"io"
	"time"

	"github.com/freshet/freshet/cache"
)

// writeMetrics writes what the layers below the API know of themselves, in
// Prometheus text.
func (n *Node) writeMetrics(w io.Writer) {
	one := func(name, kind, help string, v any) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, help, name, kind, name, v)
	}
	_ = n.stack.WriteMetrics(w) // w is memory

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
	_ = cache.WriteJournalMetrics(w, v)

	if n.file != nil {
		commits, writes := n.file.Counts()
		one("freshet_store_commits_total", "counter", "Transactions, each one fsync.", commits)
		one("freshet_store_writes_total", "counter", "Writes in them.", writes)
	}
	if n.primary != nil {
		p := n.primary.Pool().Stat()
		one("freshet_store_connections", "gauge", "Connections to the primary.", p.TotalConns())
		one("freshet_store_connections_busy", "gauge", "Those of them in use.", p.AcquiredConns())
		one("freshet_store_connections_max", "gauge", "How many there may be.", p.MaxConns())
		one("freshet_store_connection_waits_total", "counter", "Times that one had to be waited for.", p.EmptyAcquireCount())
		one("freshet_store_connection_wait_seconds_total", "counter", "How long, in all.", p.EmptyAcquireWaitTime().Seconds())
		slow, took := n.primary.Slow()
		one("freshet_store_slow_total", "counter", "Statements on the primary that took 200 ms and more; the log has them.", slow)
		one("freshet_store_slow_seconds_total", "counter", "How long these took, in all.", took.Seconds())
	}
	if n.router != nil {
		r := n.router.Stats()
		one("freshet_store_replica_reads_total", "counter", "Reads that replicas answered.", r.OnReplicas)
		one("freshet_store_primary_reads_total", "counter", "Reads that went to the primary.", r.OnPrimary)
		one("freshet_store_reads_retried_total", "counter", "Reads that failed on a replica and were asked elsewhere.", r.Retried)
		one("freshet_store_failovers_total", "counter", "Changes of the primary.", r.Failovers)
		one("freshet_store_ejected", "gauge", "Servers that don't answer.", r.Ejected)
	}
}
