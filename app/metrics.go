package app

import (
	"fmt"
	"io"
	"time"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store/replica"
)

// writeMetrics writes what the layers below the API know of themselves, in
// Prometheus text.
func (n *Node) writeMetrics(w io.Writer) {
	one := func(name, kind, help string, v any) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, help, name, kind, name, v)
	}
	_ = n.stack.WriteMetrics(w) // w is memory
	processMetrics(one)

	f := n.social.Feed().Stats()
	one("freshet_feed_timelines", "gauge", "Readers whose timeline is in memory, or, in Redis, written by this node.", f.Timelines)
	one("freshet_feed_timeline_entries", "gauge", "Posts on these timelines.", f.Entries)
	one("freshet_feed_in_flight", "gauge", "Posts whose fan-out has not ended.", f.InFlight)
	one("freshet_feed_delivered_total", "counter", "Timeline entries written by fan-out.", f.Delivered)
	one("freshet_feed_pages_from_memory_total", "counter", "Pages answered from timelines, without the pull query.", f.FromMemory)
	one("freshet_feed_rings", "gauge", "Authors whose newest posts are in memory.", f.Rings)
	one("freshet_feed_audience", "gauge", "Pairs of an author and a reader into whose timeline the posts go.", f.Audience)
	one("freshet_feed_pulls_total", "counter", "Pull queries.", f.Pulled)
	one("freshet_feed_voided_total", "counter", "Times that a bound was reached and timelines were dropped.", f.Voided)

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

	n.live.WriteMetrics(w)
	one("freshet_leaderboards_missed_total", "counter", "Changes that leaderboards could not note; the next of the same post or author makes them good.", n.leaders.missed.Load())
	n.writeShardMetrics(w)
}

// shardMetric is what is told of each shard.
type shardMetric struct {
	name, kind, help string
	of               func(d *database) any // nil: this shard has none of it
}

var shardMetrics = []shardMetric{
	{"freshet_store_commits_total", "counter", "Transactions, each one fsync.", filed(func(commits, _ int64) any { return commits })},
	{"freshet_store_writes_total", "counter", "Writes in them.", filed(func(_, writes int64) any { return writes })},
	{"freshet_store_connections", "gauge", "Connections to the primary.", served(func(p *pgdb.DB) any { return p.Pool().Stat().TotalConns() })},
	{"freshet_store_connections_busy", "gauge", "Those of them in use.", served(func(p *pgdb.DB) any { return p.Pool().Stat().AcquiredConns() })},
	{"freshet_store_connections_max", "gauge", "How many there may be.", served(func(p *pgdb.DB) any { return p.Pool().Stat().MaxConns() })},
	{"freshet_store_connection_waits_total", "counter", "Times that one had to be waited for.", served(func(p *pgdb.DB) any { return p.Pool().Stat().EmptyAcquireCount() })},
	{"freshet_store_connection_wait_seconds_total", "counter", "How long, in all.", served(func(p *pgdb.DB) any { return p.Pool().Stat().EmptyAcquireWaitTime().Seconds() })},
	{"freshet_store_slow_total", "counter", "Statements on the primary that took 200 ms and more; the log has them.", served(func(p *pgdb.DB) any {
		n, _ := p.Slow()
		return n
	})},
	{"freshet_store_slow_seconds_total", "counter", "How long these took, in all.", served(func(p *pgdb.DB) any {
		_, took := p.Slow()
		return took.Seconds()
	})},
	{"freshet_store_replica_reads_total", "counter", "Reads that replicas answered.", routed(func(r replica.Stats) any { return r.OnReplicas })},
	{"freshet_store_primary_reads_total", "counter", "Reads that went to the primary.", routed(func(r replica.Stats) any { return r.OnPrimary })},
	{"freshet_store_reads_retried_total", "counter", "Reads that failed on a replica and were asked elsewhere.", routed(func(r replica.Stats) any { return r.Retried })},
	{"freshet_store_failovers_total", "counter", "Changes of the primary.", routed(func(r replica.Stats) any { return r.Failovers })},
	{"freshet_store_ejected", "gauge", "Servers that don't answer.", routed(func(r replica.Stats) any { return r.Ejected })},
}

func filed(of func(commits, writes int64) any) func(*database) any {
	return func(d *database) any {
		if d.file == nil {
			return nil
		}
		return of(d.file.Counts())
	}
}

func served(of func(*pgdb.DB) any) func(*database) any {
	return func(d *database) any {
		if d.primary == nil {
			return nil
		}
		return of(d.primary)
	}
}

func routed(of func(replica.Stats) any) func(*database) any {
	return func(d *database) any {
		if d.router == nil {
			return nil
		}
		return of(d.router.Stats())
	}
}

// writeShardMetrics labels what it tells by the shard, where there are several.
func (n *Node) writeShardMetrics(w io.Writer) {
	for _, m := range shardMetrics {
		begun := false
		for i, d := range n.databases {
			v := m.of(d)
			if v == nil {
				continue
			}
			if !begun {
				fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
				begun = true
			}
			label := ""
			if len(n.databases) > 1 {
				label = fmt.Sprintf("{shard=\"%d\"}", i)
			}
			fmt.Fprintf(w, "%s%s %v\n", m.name, label, v)
		}
	}
}
