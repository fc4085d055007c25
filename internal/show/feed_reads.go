package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/load"
)

const (
	feedReadsAim = "p99 at most 50 µs in every mode, 15 µs for a pull of 1,000 authors (median)"

	readUsers, readFollows = 20_000, 1_000
	readReaders            = 2_000 // who follow about that many
	readHidden             = 20    // of whom one in so many is muted
	feedReadRounds         = 5
	readPages              = 4_000
	readRemoved            = 1_000
	mostPageP99            = 50 * time.Microsecond
	mostPull               = 15 * time.Microsecond
)

// readFound are the times of one mode, each the median of the rounds.
type readFound struct {
	Mode      string
	P50, P99  time.Duration
	Mean      time.Duration // processor time
	FromStore int64
	Pushed    int
}

// readsFound are all, and the same memory copied by hand.
type readsFound struct {
	Copy    time.Duration // 50 entries from random places
	Readers int
	Modes   []readFound
}

// measureFeedReads is point 4.
func measureFeedReads(ctx context.Context, l *lab) (outcome, error) {
	l.machine()
	var found readsFound
	if err := l.experiment(ctx, 1, &found, "reads"); err != nil {
		return outcome{}, err
	}
	l.detail("%d readers who follow 900 to 1,100 of %d, and mute one in %d; %d posts were removed; copying 50 entries from random places of as much memory takes %v",
		found.Readers, readUsers, readHidden, readRemoved, found.Copy)
	ok := true
	var figures []string
	for _, m := range found.Modes {
		times := float64(m.P50) / float64(found.Copy)
		l.detail("%-9s p50 %v (%.0f x the copy), p99 %v, processor %v a page; %d pairs pushed, %d reads of the source", m.Mode, m.P50, times, m.P99, m.Mean, m.Pushed, m.FromStore)
		figures = append(figures, fmt.Sprintf("%s %.1f/%.1f µs (%.0f x)", m.Mode, float64(m.P50)/1e3, float64(m.P99)/1e3, times))
		ok = ok && m.P99 <= mostPageP99 && (m.Mode != string(feed.Pull) || m.P50 <= mostPull)
	}
	return outcome{"p50/p99: " + strings.Join(figures, ", "), ok}, nil
}

func feedReadsExperiment(ctx context.Context, _ []string, _ io.Writer) (any, error) {
	w, err := newFeedWorld(load.Options{Users: readUsers, Follows: readFollows, Seed: 1, Mix: load.Balanced()}, readHidden)
	if err != nil {
		return nil, err
	}
	var readers []freshet.ID
	for u := range readUsers {
		if n := len(w.net.Follows(u)); n >= 900 && n <= 1_100 && len(readers) < readReaders {
			readers = append(readers, freshet.ID(u+1))
		}
	}
	found := readsFound{Copy: scatteredCopy(len(readers) * crowdLength), Readers: len(readers)}
	for _, mode := range []feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive} {
		f, err := w.reads(ctx, mode, readers)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", mode, err)
		}
		found.Modes = append(found.Modes, f)
	}
	return found, nil
}

// reads has a day go by on an engine and then reads pages.
func (w *feedWorld) reads(ctx context.Context, mode feed.Mode, readers []freshet.ID) (f readFound, err error) {
	w.forget()
	e := memory.New(memory.Options{
		Mode: mode, Source: w, Graph: w, Threshold: readUsers / 10, Rings: 2 * readUsers, Now: func() time.Time { return w.now },
	})
	if _, _, err := w.play(ctx, e, 24*time.Hour, 1); err != nil {
		return f, err
	}
	for i := range readRemoved {
		e.Remove(freshet.ID(len(w.all) - 7*i))
	}
	w.now = w.now.Add(25 * time.Hour) // plans are made anew, by a day's rates
	var p pageOf
	for range 100 { // until rings and timelines are there
		asked := w.asked
		for _, r := range readers {
			if _, err := p.first(ctx, e, r); err != nil {
				return f, err
			}
		}
		if w.asked == asked {
			break
		}
	}
	runtime.GC()
	asked := w.asked
	rng := rand.New(rand.NewPCG(1, 2))
	var p50, p99, mean []time.Duration
	for range feedReadRounds {
		took := make([]time.Duration, readPages)
		begun := spent()
		for i := range took {
			reader := readers[rng.IntN(len(readers))]
			began := time.Now()
			refs, err := p.first(ctx, e, reader)
			if took[i] = time.Since(began); err != nil || len(refs) != pageSize {
				return f, fmt.Errorf("a page of %d: %w", len(refs), err)
			}
		}
		mean = append(mean, (spent()-begun)/readPages)
		p50, p99 = append(p50, quantile(took, 0.5)), append(p99, quantile(took, 0.99))
	}
	return readFound{
		Mode: string(mode), P50: middle(p50), P99: middle(p99), Mean: middle(mean),
		FromStore: int64(w.asked - asked), Pushed: e.Stats().Audience,
	}, nil
}

// scatteredCopy is what it takes to copy 50 posts from random places of so many.
func scatteredCopy(entries int) time.Duration {
	posts := make([]freshet.PostRef, entries)
	for i := range posts {
		posts[i].ID = freshet.ID(i)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	places := make([]int, 20_000*pageSize) // drawn beforehand
	for i := range places {
		places[i] = rng.IntN(entries)
	}
	into := make([]freshet.PostRef, pageSize)
	var rounds []time.Duration
	for range feedReadRounds {
		began := time.Now()
		for at := 0; at < len(places); at += pageSize {
			for i, place := range places[at : at+pageSize] {
				into[i] = posts[place]
			}
		}
		rounds = append(rounds, time.Since(began)/time.Duration(len(places)/pageSize))
	}
	runtime.KeepAlive(into)
	return middle(rounds)
}
