package api

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestMetrics(t *testing.T) {
	s := &series{method: "GET", route: "/v1/feed"}
	m := counters{routes: []*series{s}}
	for status, took := range map[int]time.Duration{200: 3 * time.Millisecond, 204: 20 * time.Second, 304: 0, 404: time.Millisecond, 503: time.Millisecond} {
		s.observe(status, took)
	}
	var b bytes.Buffer
	m.write(&b)
	for _, line := range []string{
		`freshet_http_requests_total{method="GET",route="/v1/feed",class="2xx"} 2`,
		`freshet_http_requests_total{method="GET",route="/v1/feed",class="3xx"} 1`,
		`freshet_http_requests_total{method="GET",route="/v1/feed",class="4xx"} 1`,
		`freshet_http_requests_total{method="GET",route="/v1/feed",class="5xx"} 1`,
		`freshet_http_request_seconds_bucket{method="GET",route="/v1/feed",le="0.0001"} 1`,
		`freshet_http_request_seconds_bucket{method="GET",route="/v1/feed",le="0.001"} 3`,
		`freshet_http_request_seconds_bucket{method="GET",route="/v1/feed",le="10"} 4`,
		`freshet_http_request_seconds_bucket{method="GET",route="/v1/feed",le="+Inf"} 5`,
		`freshet_http_request_seconds_count{method="GET",route="/v1/feed"} 5`,
		`freshet_http_in_flight 0`,
	} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("no line %s in\n%s", line, b.String())
		}
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	s := new(series)
	if n := testing.AllocsPerRun(100, func() { s.observe(200, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
