package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// contender is one of several ways to do the same.
type contender struct {
	name    string
	clients int
	n       int // calls of do in a round
	worth   int // operations in a call
	do      func(ctx context.Context, i int) error

	rates []float64 // operations a second, by round
}

// takeTurns has contenders take turns in short rounds, each first as often as the others, so that what else the machine does
// slows all of them alike.
func takeTurns(ctx context.Context, rounds int, contenders ...*contender) error {
	for r := range rounds + 1 {
		for i := range contenders {
			c := contenders[(i+r)%len(contenders)]
			runtime.GC() // pay for others' garbage now
			began := time.Now()
			if err := each(ctx, c.clients, c.n, c.do); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if r > 0 { // the first one warms up
				c.rates = append(c.rates, float64(c.n*c.worth)/time.Since(began).Seconds())
			}
		}
	}
	return nil
}

// rate is the median round's operations a second.
func (c *contender) rate() float64 { return middle(c.rates) }

// times is the median, over the rounds, of how many operations a does in the time of one of b's.
func times(a, b *contender) float64 {
	ratios := make([]float64, len(a.rates))
	for i := range ratios {
		ratios[i] = a.rates[i] / b.rates[i]
	}
	return middle(ratios)
}
