package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Durations counts how long things took, from a microsecond to ten minutes with
// three digits. The zero value is empty. It is not safe for concurrent use.
type Durations struct{ h *hdrhistogram.Histogram }

const longest = 10 * time.Minute

// Add counts one; what took longer than ten minutes counts as that.
func (d *Durations) Add(took time.Duration) {
	if d.h == nil {
		d.h = hdrhistogram.New(1, longest.Microseconds(), 3)
	}
	// It lies within the bounds, so there is no error.
	_ = d.h.RecordValue(min(max(took, time.Microsecond), longest).Microseconds())
}

// Count is how many were added.
func (d *Durations) Count() int64 {
	if d.h == nil {
		return 0
	}
	return d.h.TotalCount()
}

// Quantile is what a share of them did not exceed; 0 if there are none.
func (d *Durations) Quantile(share float64) time.Duration {
	if d.h == nil {
		return 0
	}
	return time.Duration(d.h.ValueAtQuantile(100*share)) * time.Microsecond
}
