package jobs

import (
	"math/rand/v2"
	"time"
)

// Options configures an engine. The zero value works.
type Options struct {
	Workers     int           // jobs that run at once; default 8
	MaxAttempts int           // default 25
	BackoffBase time.Duration // delay after the first failure; default 1 s, doubled each time
	BackoffMax  time.Duration // default 1 h
	Timeout     time.Duration // of one attempt; default 10 min
	Observer    Observer      // hears of each attempt; default: nobody does
}

// Observer is told about attempts as they end. It is called from many
// goroutines at once and must not block. What can be counted is in [Stats].
type Observer interface {
	// Ran reports one attempt: how long the job had been due, how long the handler
	// took and how it ended.
	Ran(kind string, waited, took time.Duration, err error)
}

// WithDefaults fills in what is zero.
func (o Options) WithDefaults() Options {
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = 25
	}
	def(&o.BackoffBase, time.Second)
	def(&o.BackoffMax, time.Hour)
	def(&o.Timeout, 10*time.Minute)
	return o
}

// Delay draws how long to wait after an attempt failed, failures being how many
// have: BackoffBase, doubled each time up to BackoffMax, and a quarter more or
// less, so that jobs that failed together don't come back together.
func (o Options) Delay(failures int) time.Duration {
	d := o.BackoffBase
	for range failures - 1 {
		if d >= o.BackoffMax/2 {
			d = o.BackoffMax
			break
		}
		d *= 2
	}
	return time.Duration(float64(min(d, o.BackoffMax)) * (0.75 + rand.Float64()/2))
}
