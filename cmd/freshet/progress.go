package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows how far long work has come: a bar that is redrawn on a
// terminal, a line every ten seconds elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	unit     string
	total    int
	began    time.Time
	shown    time.Time
	drawn    bool
}

const (
	redrawEvery = 100 * time.Millisecond
	lineEvery   = 10 * time.Second
	barWidth    = 30
)

func newProgress(w io.Writer) *progress { return &progress{w: w, terminal: isTerminal(w)} }

func (p *progress) start(total int, unit string) {
	p.total, p.unit, p.began = total, unit, time.Now()
	p.shown = p.began
	if p.terminal {
		p.draw(0)
	}
}

// reach says that done of the total is done.
func (p *progress) reach(done int) {
	every := lineEvery
	if p.terminal {
		every = redrawEvery
	}
	if done < p.total && time.Since(p.shown) < every {
		return
	}
	p.shown = time.Now()
	p.draw(done)
}

func (p *progress) draw(done int) {
	share := 1.0
	if p.total > 0 {
		share = float64(done) / float64(p.total)
	}
	spent := time.Since(p.began)
	rate := float64(done) / max(spent.Seconds(), 1e-3)
	left := "?"
	if done > 0 {
		left = time.Duration(float64(p.total-done) / max(rate, 1e-9) * float64(time.Second)).Round(time.Second).String()
	}
	if !p.terminal {
		fmt.Fprintf(p.w, "%d of %d %s (%.0f %%), %.0f/s, %s left\n", done, p.total, p.unit, 100*share, rate, left)
		return
	}
	full := int(share * barWidth)
	fmt.Fprintf(p.w, "\r[%s%s] %3.0f %%  %d/%d %s  %.0f/s  %s left \x1b[K",
		strings.Repeat("=", full), strings.Repeat(" ", barWidth-full), 100*share, done, p.total, p.unit, rate, left)
	p.drawn = true
}

func (p *progress) end() {
	if p.drawn {
		fmt.Fprintln(p.w)
	}
}
