package api

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"
)

// series counts the requests of one route. It is bound to the route when the
// route is registered, so that a request costs a few atomic additions and no
// look-up (a map of labels costs five times as much; see craft.md, A1).
type series struct {
	method, route string
	classes       [6]atomic.Uint64 // by first digit of the status; 0 is not used
	buckets       [len(bounds) + 1]atomic.Uint64
	nanos         atomic.Uint64
}

// bounds are the upper ends of the latency buckets, in seconds.
var bounds = [...]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func (s *series) observe(status int, took time.Duration) {
	s.classes[min(max(status/100, 1), 5)].Add(1)
	seconds, i := took.Seconds(), 0
	for i < len(bounds) && seconds > bounds[i] {
		i++
	}
	s.buckets[i].Add(1)
	s.nanos.Add(uint64(max(0, took)))
}

// counters are the metrics of the API itself.
type counters struct {
	routes   []*series
	inFlight atomic.Int64
	refused  atomic.Uint64 // over the bound on requests at once
	panics   atomic.Uint64

	tokensMissed, tokensUnkept atomic.Uint64 // see Tokens
}

// write gives the metrics in Prometheus text.
func (m *counters) write(w io.Writer) {
	fmt.Fprintf(w, "# HELP freshet_http_requests_total Requests answered, by route and class of status.\n# TYPE freshet_http_requests_total counter\n")
	for _, s := range m.routes {
		for class := 1; class <= 5; class++ {
			fmt.Fprintf(w, "freshet_http_requests_total{method=%q,route=%q,class=\"%dxx\"} %d\n", s.method, s.route, class, s.classes[class].Load())
		}
	}
	fmt.Fprintf(w, "# HELP freshet_http_request_seconds How long requests took, by route.\n# TYPE freshet_http_request_seconds histogram\n")
	for _, s := range m.routes {
		total := uint64(0)
		for i := range s.buckets {
			total += s.buckets[i].Load()
			fmt.Fprintf(w, "freshet_http_request_seconds_bucket{method=%q,route=%q,le=%q} %d\n", s.method, s.route, le(i), total)
		}
		fmt.Fprintf(w, "freshet_http_request_seconds_sum{method=%q,route=%q} %g\n", s.method, s.route, float64(s.nanos.Load())/1e9)
		fmt.Fprintf(w, "freshet_http_request_seconds_count{method=%q,route=%q} %d\n", s.method, s.route, total)
	}
	for _, g := range []struct {
		name, kind, help string
		value            any
	}{
		{"freshet_http_in_flight", "gauge", "Requests being answered.", m.inFlight.Load()},
		{"freshet_http_refused_total", "counter", "Requests refused because too many were being answered.", m.refused.Load()},
		{"freshet_http_tokens_missed_total", "counter", "Requests without a token of whose client none was known: they read the primary.", m.tokensMissed.Load()},
		{"freshet_http_tokens_unkept_total", "counter", "Answers whose token could not be kept for the client's requests that bring none.", m.tokensUnkept.Load()},
		{"freshet_http_panics_total", "counter", "Requests that ended in a panic.", m.panics.Load()},
	} {
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s %d\n", g.name, g.help, g.name, g.kind, g.name, g.value)
	}
}

func le(i int) string {
	if i == len(bounds) {
		return "+Inf"
	}
	return strconv.FormatFloat(bounds[i], 'g', -1, 64)
}
