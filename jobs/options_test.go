package jobs

import (
	"math"
	"testing"
	"time"
)

func TestDelayDoublesUpToTheLimit(t *testing.T) {
	o := Options{BackoffBase: time.Second, BackoffMax: time.Minute}
	for failures, middle := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second,
		7: time.Minute, 100: time.Minute, math.MaxInt: time.Minute,
	} {
		low, high := time.Duration(math.MaxInt64), time.Duration(0)
		for range 500 {
			d := o.Delay(failures)
			low, high = min(low, d), max(high, d)
		}
		if low < middle*3/4 || high > middle*5/4 {
			t.Errorf("after %d failures: from %v to %v, want %v within a quarter", failures, low, high, middle)
		}
		if high-low < middle/4 {
			t.Errorf("after %d failures: from %v to %v, want jitter", failures, low, high)
		}
	}
	odd := Options{BackoffBase: time.Hour, BackoffMax: time.Second}
	if d := odd.Delay(1); d > 5*time.Second/4 {
		t.Errorf("a base above the limit gives %v", d)
	}
}
