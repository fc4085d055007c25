package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/memory"
	"github.com/freshet/freshet/load"
)

const (
	awayAim = "the first page equals the oracle's and is not empty, in every mode; its time beside a hot reader's is printed"

	awayUsers, awayFollows = 10_000, 100
	awayReaders            = 300
	awayLength             = 100 // so that a month unread drops a timeline
	awayDays               = 30
)

// awayFound is what readers found who came back.
type awayFound struct {
	Mode         string
	Readers      int
	Wrong, Empty int
	Rebuilt      int // whose page needed the source
	Back, Hot    time.Duration
	Posts        int
}

// measureAway is point 7.
func measureAway(ctx context.Context, l *lab) (outcome, error) {
	var all []awayFound
	if err := l.experiment(ctx, 1, &all, "away"); err != nil {
		return outcome{}, err
	}
	ok := len(all) > 0
	wrong, empty, worst := 0, 0, 0.0
	for _, f := range all {
		times := float64(f.Back) / float64(f.Hot)
		l.detail("%-9s %d readers after %d days and %d posts: %d pages wrong, %d empty; %d needed the source; first page %v, of a hot reader %v (median): %.1f x",
			f.Mode, f.Readers, awayDays, f.Posts, f.Wrong, f.Empty, f.Rebuilt, f.Back, f.Hot, times)
		wrong, empty, worst = wrong+f.Wrong, empty+f.Empty, max(worst, times)
		ok = ok && f.Readers == awayReaders
	}
	l.detail("the source is in memory: the time is the engine's and a merge of %d authors", awayFollows)
	return outcome{
		fmt.Sprintf("%d wrong and %d empty pages in 4 modes x %d readers; at most %.1f x a hot reader's time", wrong, empty, awayReaders, worst),
		ok && wrong == 0 && empty == 0,
	}, nil
}

func awayExperiment(ctx context.Context, _ []string, _ io.Writer) (any, error) {
	w, err := newFeedWorld(load.Options{Users: awayUsers, Follows: awayFollows, Seed: 3}, 20)
	if err != nil {
		return nil, err
	}
	var away []freshet.ID // of those whom the events have read nothing
	for u := range awayUsers {
		if _, reads := w.net.Rates(u); reads == 0 && len(w.net.Follows(u)) >= awayFollows/2 && len(away) < awayReaders {
			away = append(away, freshet.ID(u+1))
		}
	}
	var found []awayFound
	for _, mode := range []feed.Mode{feed.Push, feed.Pull, feed.Hybrid, feed.Adaptive} {
		f, err := w.away(ctx, mode, away)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", mode, err)
		}
		found = append(found, f)
	}
	return found, nil
}

// away has readers read for a day, leave for a month, and come back.
func (w *feedWorld) away(ctx context.Context, mode feed.Mode, readers []freshet.ID) (f awayFound, err error) {
	w.forget()
	e := memory.New(memory.Options{Mode: mode, Source: w, Graph: w, Length: awayLength, Threshold: awayUsers / 10, Now: func() time.Time { return w.now }})
	var p pageOf
	for hour := range 24 {
		if _, _, err := w.play(ctx, e, time.Hour, uint64(100+hour)); err != nil {
			return f, err
		}
		for _, r := range readers {
			if _, err := p.first(ctx, e, r); err != nil {
				return f, err
			}
		}
	}
	before := len(w.all)
	if _, _, err := w.play(ctx, e, awayDays*24*time.Hour, 7); err != nil {
		return f, err
	}
	f = awayFound{Mode: string(mode), Readers: len(readers), Posts: len(w.all) - before}
	var back, hot []time.Duration
	for _, r := range readers {
		pulled, began := e.Stats().Pulled, time.Now()
		refs, err := p.first(ctx, e, r)
		back = append(back, time.Since(began))
		if err != nil {
			return f, err
		}
		if e.Stats().Pulled > pulled {
			f.Rebuilt++
		}
		if len(refs) == 0 {
			f.Empty++
		}
		if !slices.Equal(refs, w.oracle(r, pageSize)) {
			f.Wrong++
		}
		for range 3 { // a pull may fill some rings at a time
			if _, err := p.first(ctx, e, r); err != nil {
				return f, err
			}
		}
	}
	for _, r := range readers {
		began := time.Now()
		if _, err := p.first(ctx, e, r); err != nil {
			return f, err
		}
		hot = append(hot, time.Since(began))
	}
	f.Back, f.Hot = middle(back), middle(hot)
	return f, nil
}
