package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/load"
)

const (
	feedCostAim = "adaptive at least 2 x less than a hybrid at 10,000 followers that pushes to everybody (geometric mean), at most 1.15 of the best of push, pull, hybrid that skip the dormant, in every cell"

	costUsers, costFollows = 100_000, 190
	costThreshold          = 10_000
	worstOfBest            = 1.15
	leastOfHybrid          = 2.0

	learnSeed, judgeSeed = 1, 2
)

// costWay is one way to keep the feeds.
type costWay struct {
	name  string
	mode  feed.Mode
	awake bool // the dormant have no timelines, because they never read
}

var costWays = []costWay{
	{"push", feed.Push, true},
	{"pull", feed.Pull, true},
	{"hybrid, awake", feed.Hybrid, true},
	{"hybrid", feed.Hybrid, false},
	{"adaptive", feed.Adaptive, true},
}

// costFound is what one way took in the span that is judged.
type costFound struct {
	Way                 string
	CPU                 time.Duration
	Posts, Pages        int
	Delivered, Asked    int64
	Audience, Timelines int
	FromMemory, Voided  int64
}

// measureFeedCost is point 6.
func measureFeedCost(ctx context.Context, l *lab) (outcome, error) {
	learn, judge := size(24, 72), size(12, 48)
	l.machine()
	l.detail("%d users x %d follows; the rates are learnt from %d h of events and judged by the next %d h, which are drawn apart; CPU of the engine and of a source in memory (getrusage), one processor", costUsers, costFollows, learn, judge)
	logs, worst, short := 0.0, 0.0, 0
	for _, mix := range load.Mixes() {
		l.say("%s: five ways, %d h each", mix.Name, learn+judge)
		var found []costFound
		if err := l.experiment(ctx, 1, &found, "cost", mix.Name, fmt.Sprint(learn), fmt.Sprint(judge)); err != nil {
			return outcome{}, err
		}
		cpu := map[string]float64{}
		for _, f := range found {
			cpu[f.Way] = f.CPU.Seconds()
			l.detail("%-12s %-14s %8.2f s of CPU for %d posts and %d pages: %d deliveries, %d pages from memory, %d reads of the source; at the end %d timelines, %d pairs pushed",
				mix.Name, f.Way, f.CPU.Seconds(), f.Posts, f.Pages, f.Delivered, f.FromMemory, f.Asked, f.Timelines, f.Audience)
		}
		best := min(cpu["push"], cpu["pull"], cpu["hybrid, awake"])
		ofBest, ofHybrid := cpu["adaptive"]/best, cpu["hybrid"]/cpu["adaptive"]
		l.detail("%-12s adaptive takes %.2f of the best of the static ones, a hybrid that pushes to everybody %.2f times as much as adaptive", mix.Name, ofBest, ofHybrid)
		logs, worst = logs+math.Log(ofHybrid), max(worst, ofBest)
		if ofBest > worstOfBest {
			short++
		}
	}
	mean := math.Exp(logs / float64(len(load.Mixes())))
	return outcome{
		fmt.Sprintf("hybrid / adaptive %.2f (geometric mean), adaptive / best static %.2f at worst, above %.2f in %d of %d cells", mean, worst, worstOfBest, short, len(load.Mixes())),
		mean >= leastOfHybrid && short == 0,
	}, nil
}

// feedCostExperiment takes a mix, and how many hours are learnt from and judged.
func feedCostExperiment(ctx context.Context, args []string, _ io.Writer) (any, error) {
	var learn, judge int
	o := load.Options{Users: costUsers, Follows: costFollows, Seed: 1}
	for _, m := range load.Mixes() {
		if m.Name == args[0] {
			o.Mix = m
		}
	}
	if _, err := fmt.Sscan(args[1]+" "+args[2], &learn, &judge); err != nil || o.Mix.Name == "" {
		return nil, errors.New("want a mix and two spans in hours")
	}
	w, err := newFeedWorld(o, 0)
	if err != nil {
		return nil, err
	}
	// What the events themselves cost is not the engine's.
	bare := spent()
	for range w.net.Events(worldBegins, time.Duration(judge)*time.Hour, judgeSeed) {
	}
	bare = spent() - bare

	var found []costFound
	for _, way := range costWays {
		w.forget()
		runtime.GC()
		f, err := w.cost(ctx, way, time.Duration(learn)*time.Hour, time.Duration(judge)*time.Hour)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		f.CPU -= bare
		found = append(found, f)
	}
	return found, nil
}

// cost has an engine live through both spans.
func (w *feedWorld) cost(ctx context.Context, way costWay, learn, judge time.Duration) (f costFound, err error) {
	e := memory.New(memory.Options{
		Mode: way.mode, Source: w, Graph: w, Threshold: costThreshold,
		Readers: costUsers + costUsers/4, Rings: costUsers + costUsers/4, // shards fill unevenly
		Now: func() time.Time { return w.now },
	})
	if !way.awake {
		var p pageOf
		for u := range costUsers {
			if _, err := p.first(ctx, e, freshet.ID(u+1)); err != nil {
				return f, err
			}
		}
	}
	if _, _, err := w.play(ctx, e, learn, learnSeed); err != nil {
		return f, err
	}
	runtime.GC()
	before, asked, began := e.Stats(), w.asked, spent()
	f.Way = way.name
	if f.Posts, f.Pages, err = w.play(ctx, e, judge, judgeSeed); err != nil {
		return f, err
	}
	f.CPU = spent() - began
	s := e.Stats()
	f.Delivered, f.FromMemory, f.Asked = s.Delivered-before.Delivered, s.FromMemory-before.FromMemory, int64(w.asked-asked)
	f.Audience, f.Timelines, f.Voided = s.Audience, s.Timelines, s.Voided
	return f, nil
}
