package notify

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

// metrics of a hub.
type metrics struct {
	delivered atomic.Uint64
	cut       atomic.Uint64
	late      histogram
}

// bounds are the upper ends of the latency buckets, in seconds.
var bounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

type histogram struct {
	buckets [len(bounds) + 1]atomic.Uint64
	nanos   atomic.Uint64
}

func (h *histogram) observe(took time.Duration) {
	seconds, i := took.Seconds(), 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.nanos.Add(uint64(max(0, took)))
}

// Delivered counts an event that was written to a client. Of a post that was heard just now it notes how long that took from
// the time in its id, which the store's clock drew when the post was written.
func (h *Hub) Delivered(e *Event) {
	h.metrics.delivered.Add(1)
	if now := h.options.Now(); e.Kind == Posted && !e.old && now.Sub(e.heard) < lookBack {
		h.metrics.late.observe(now.Sub(e.Post.Time()))
	}
}

// WriteMetrics writes what the hub knows of itself, in Prometheus text.
func (h *Hub) WriteMetrics(w io.Writer) {
	h.mu.Lock()
	streams, kept := h.streams, h.ring.next-h.ring.base
	h.mu.Unlock()
	one := func(name, kind, help string, v any) {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %v\n", name, help, name, kind, name, v)
	}
	one("freshet_live_streams", "gauge", "Streams of live events that are open.", streams)
	one("freshet_live_events_kept", "gauge", "Events that a client can resume from.", kept)
	one("freshet_live_delivered_total", "counter", "Events written to clients.", h.metrics.delivered.Load())
	one("freshet_live_cut_total", "counter", "Streams that freshet ended: revoked, too far behind, or at a stop.", h.metrics.cut.Load())
	const late = "freshet_live_delay_seconds"
	fmt.Fprintf(w, "# HELP %s How long after it was written a post was told to a client.\n# TYPE %s histogram\n", late, late)
	total := uint64(0)
	for i := range h.metrics.late.buckets {
		le := "+Inf"
		if i < len(bounds) {
			le = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		total += h.metrics.late.buckets[i].Load()
		fmt.Fprintf(w, "%s_bucket{le=%q} %d\n", late, le, total)
	}
	fmt.Fprintf(w, "%s_sum %g\n%s_count %d\n", late, float64(h.metrics.late.nanos.Load())/1e9, late, total)
}
