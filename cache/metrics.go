package cache

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// loadBounds are the upper ends of the buckets of LoadTime, in seconds; the last bucket has none.
var loadBounds = [...]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Histogram is how long something took, how often.
type Histogram struct {
	Count   uint64                      `json:"count"`
	Sum     time.Duration               `json:"sum"`
	Buckets [len(loadBounds) + 1]uint64 `json:"buckets"` // upper ends: 100 µs, 250 µs, 500 µs, 1 ms, … 10 s, none
}

// histogram is a Histogram at work.
type histogram struct {
	sum     atomic.Int64
	buckets [len(loadBounds) + 1]atomic.Uint64
}

func (h *histogram) observe(took time.Duration) {
	i := 0
	for i < len(loadBounds) && took.Seconds() > loadBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(max(0, took)))
}

func (h *histogram) snapshot() Histogram {
	s := Histogram{Sum: time.Duration(h.sum.Load())}
	for i := range h.buckets {
		s.Buckets[i] = h.buckets[i].Load()
		s.Count += s.Buckets[i]
	}
	return s
}

// WriteMetrics writes what all spaces have done, and Health, in the text format of Prometheus (0.0.4). It takes a few
// microseconds for each space and waits for nothing but w. docs/reference/metrics.md explains the names.
func (s *Stack) WriteMetrics(w io.Writer) error {
	m := metrics{label: "space"}
	spaces := s.Stats()
	for _, f := range spaceMetrics {
		m.head(f.name, f.help)
		for i := range spaces {
			m.value(spaces[i].Name, f.value(&spaces[i]))
		}
	}
	m.begin("freshet_cache_load_seconds", "histogram", "How long calls of the source took, by space.")
	for i := range spaces {
		m.histogram(spaces[i].Name, spaces[i].LoadTime)
	}
	h := s.Health()
	m.head("freshet_cache_memory_trusted", "Whether memory answers reads: the channel was heard of in time, or is not needed.")
	m.value("", truth(h.Trusted))
	if h.Remote {
		for _, f := range layerMetrics {
			m.head(f.name, f.help)
			m.value("", f.value(&h))
		}
	}
	_, err := m.WriteTo(w)
	return err
}

// WriteJournalMetrics writes what each WriteBehind and Counter of a process has done and owes, as Stack.WriteMetrics does for
// spaces: it is called once, with the Stats of all of them.
func WriteJournalMetrics(w io.Writer, journals ...JournalStats) error {
	m := metrics{label: "journal"}
	for _, f := range journalMetrics {
		m.head(f.name, f.help)
		for i := range journals {
			m.value(journals[i].Name, f.value(&journals[i]))
		}
	}
	_, err := m.WriteTo(w)
	return err
}

// metric is a number of T and what it is called. A name that ends in _total is a counter's, any other a gauge's.
type metric[T any] struct {
	name, help string
	value      func(*T) float64
}

var spaceMetrics = []metric[Stats]{
	{"freshet_cache_hits_total", "Keys answered from memory, by space.", func(s *Stats) float64 { return float64(s.Hits) }},
	{"freshet_cache_misses_total", "Keys that memory could not answer, by space.", func(s *Stats) float64 { return float64(s.Misses) }},
	{"freshet_cache_remote_hits_total", "Keys answered by the remote layer, by space.", func(s *Stats) float64 { return float64(s.RemoteHits) }},
	{"freshet_cache_remote_misses_total", "Keys that the remote layer lacked and this node loaded, by space.", func(s *Stats) float64 { return float64(s.RemoteMisses) }},
	{"freshet_cache_loads_total", "Calls of the source, by space.", func(s *Stats) float64 { return float64(s.Loads) }},
	{"freshet_cache_load_errors_total", "Loads that failed, by space.", func(s *Stats) float64 { return float64(s.LoadErrors) }},
	{"freshet_cache_loads_refused_total", "Loads that were not begun because too many were in flight, by space.", func(s *Stats) float64 { return float64(s.Refused) }},
	{"freshet_cache_stale_served_total", "Keys answered with an expired value, as the policy allows, by space.", func(s *Stats) float64 { return float64(s.StaleServed) }},
	{"freshet_cache_evictions_total", "Entries that made room for others, by space.", func(s *Stats) float64 { return float64(s.Evictions) }},
	{"freshet_cache_entries", "Entries in memory, by space.", func(s *Stats) float64 { return float64(s.Entries) }},
	{"freshet_cache_hot_keys", "Keys that the program keeps in memory, by space.", func(s *Stats) float64 { return float64(s.Hot) }},
	{"freshet_cache_memory_bytes", "Memory that entries take, by space; 0 where the space does not weigh them.", func(s *Stats) float64 { return float64(s.Bytes) }},
	{"freshet_cache_fills_rejected_total", "Values that the remote layer did not take because their key had changed meanwhile, by space.", func(s *Stats) float64 { return float64(s.Rejected) }},
	{"freshet_cache_undecodable_total", "Values in the remote layer that this program can't read, by space.", func(s *Stats) float64 { return float64(s.Undecodable) }},
	{"freshet_cache_unstorable_total", "Values too long for the remote layer, or refused by the codec, by space.", func(s *Stats) float64 { return float64(s.Unstorable) }},
	{"freshet_cache_audits_total", "Hits that were compared with the source, by space.", func(s *Stats) float64 { return float64(s.Audited) }},
	{"freshet_cache_stale_reads_total", "Audited hits that should have seen a change, by space.", func(s *Stats) float64 { return float64(s.StaleReads) }},
	{"freshet_cache_audits_dropped_total", "Sampled hits that the auditor had no time for, by space.", func(s *Stats) float64 { return float64(s.AuditsDropped) }},
	{"freshet_cache_audits_failed_total", "Sampled hits that the source gave no clear answer for, by space.", func(s *Stats) float64 { return float64(s.AuditsFailed) }},
}

var layerMetrics = []metric[Health]{
	{"freshet_cache_layer_usable", "Whether reads ask the remote layer.", func(h *Health) float64 { return truth(h.Usable) }},
	{"freshet_cache_layer_breaker_open", "Whether the remote layer is left alone because its calls failed.", func(h *Health) float64 { return truth(h.Breaker == "open") }},
	{"freshet_cache_layer_breaker_trips_total", "Times that the breaker opened.", func(h *Health) float64 { return float64(h.Trips) }},
	{"freshet_cache_layer_calls_total", "Calls of the remote layer.", func(h *Health) float64 { return float64(h.Calls) }},
	{"freshet_cache_layer_failures_total", "Calls of the remote layer that failed.", func(h *Health) float64 { return float64(h.Failures) }},
	{"freshet_cache_fences_owed", "Keys that could not be fenced in the remote layer yet.", func(h *Health) float64 { return float64(h.KeysOwed) }},
	{"freshet_cache_tag_fences_owed", "Tags and spaces that could not be fenced in the remote layer yet.", func(h *Health) float64 { return float64(h.TagsOwed) }},
	{"freshet_cache_channel_age_seconds", "How long ago this node last knew of all fences; 0 without a channel, and before it is heard.", func(h *Health) float64 { return h.ChannelAge.Seconds() }},
}

var journalMetrics = []metric[JournalStats]{
	{"freshet_cache_journal_pending", "Entries owed to the sink, by journal.", func(s *JournalStats) float64 { return float64(s.Pending) }},
	{"freshet_cache_journal_lag_seconds", "How long the oldest of them has been owed, by journal.", func(s *JournalStats) float64 { return s.Lag.Seconds() }},
	{"freshet_cache_journal_dead", "Entries in dead letters, by journal.", func(s *JournalStats) float64 { return float64(s.Dead) }},
	{"freshet_cache_journal_bytes", "Bytes of what is owed, by journal.", func(s *JournalStats) float64 { return float64(s.Bytes) }},
	{"freshet_cache_journal_failing", "Whether the last write to disk failed, by journal.", func(s *JournalStats) float64 { return truth(s.Failing) }},
	{"freshet_cache_journal_changes_total", "Puts or Adds that were taken, by journal.", func(s *JournalStats) float64 { return float64(s.Changes) }},
	{"freshet_cache_journal_commits_total", "Writes to disk, each one fsync, by journal.", func(s *JournalStats) float64 { return float64(s.Commits) }},
	{"freshet_cache_journal_batches_total", "Batches that the sink has applied, by journal.", func(s *JournalStats) float64 { return float64(s.Batches) }},
	{"freshet_cache_journal_entries_total", "Entries in them, by journal.", func(s *JournalStats) float64 { return float64(s.Entries) }},
	{"freshet_cache_journal_retries_total", "Attempts that failed and were repeated, by journal.", func(s *JournalStats) float64 { return float64(s.Retries) }},
	{"freshet_cache_journal_buried_total", "Batches that became dead letters, by journal.", func(s *JournalStats) float64 { return float64(s.Buried) }},
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// metrics is text in the making.
type metrics struct {
	bytes.Buffer
	label string // what the numbers are told apart by
	name  string // of the metric that is being written
}

func (m *metrics) head(name, help string) {
	kind := "gauge"
	if strings.HasSuffix(name, "_total") {
		kind = "counter"
	}
	m.begin(name, kind, help)
}

func (m *metrics) begin(name, kind, help string) {
	fmt.Fprintf(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	m.name = name
}

// value writes a number; of is the value of the label, empty where there is no such thing.
func (m *metrics) value(of string, v float64) {
	m.WriteString(m.name)
	if of != "" {
		fmt.Fprintf(m, "{%s=%q}", m.label, of)
	}
	m.WriteByte(' ')
	m.WriteString(strconv.FormatFloat(v, 'f', -1, 64))
	m.WriteByte('\n')
}

func (m *metrics) histogram(of string, h Histogram) {
	var total uint64
	for i, n := range h.Buckets {
		total += n
		le := "+Inf"
		if i < len(loadBounds) {
			le = strconv.FormatFloat(loadBounds[i], 'g', -1, 64)
		}
		fmt.Fprintf(m, "%s_bucket{%s=%q,le=%q} %d\n", m.name, m.label, of, le, total)
	}
	fmt.Fprintf(m, "%s_sum{%s=%q} %g\n%s_count{%s=%q} %d\n", m.name, m.label, of, h.Sum.Seconds(), m.name, m.label, of, total)
}
