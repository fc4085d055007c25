package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/internal/scan"
	"github.com/freshet/freshet/position"
)

// look is what one flight has shown of holders' timelines and the logs of their stripes.
type look struct {
	owned  bool                // all of the stripes are
	rings  map[holder]ring     // those that are there
	builds map[holder]bool     // somebody is building them
	flying []freshet.PostRef   // what is in the logs, in no order, perhaps twice
	dead   map[holder]struct{} // while it is made: rings that a log says are not what they should be
	alive  map[holder]uint64   // and under which token they are again
}

// errChanged says that a stripe's epoch, or a connection, was new to this node: what was read counts for nothing, and is read again.
var errChanged = errors.New("the stripe's epoch has changed")

// look reads timelines and logs. It fails where what it saw can't be trusted.
func (e *Engine) look(ctx context.Context, holders ...holder) (*look, error) {
	if e.unsaid.some() {
		return nil, ErrResting
	}
	ctx, cancel := within(ctx, patience)
	defer cancel()
	var l *look
	err := e.asks(ctx, func() (err error) {
		for range 3 {
			if l, err = e.lookOnce(ctx, holders); !errors.Is(err, errChanged) {
				return err
			}
		}
		return nil
	})
	if err == nil && l == nil {
		err = errChanged
	}
	return l, err
}

func (e *Engine) lookOnce(ctx context.Context, holders []holder) (*look, error) {
	dials, err := e.trusted(ctx)
	if err != nil {
		return nil, err
	}
	var in [stripes][]holder
	for _, h := range holders {
		in[stripeOf(h)] = append(in[stripeOf(h)], h)
	}
	b := e.client.B()
	var commands rueidis.Commands
	var epochs [stripes]uint64
	for i, hs := range in {
		if len(hs) == 0 {
			continue
		}
		epochs[i] = e.epochs[i].Load()
		commands = append(commands, b.Lrange().Key(e.keys.log(i)).Start(0).Stop(-1).Build())
		for _, h := range hs {
			commands = append(commands, b.Getex().Key(e.keys.timeline(epochs[i], h)).Ex(e.o.Idle).Build())
		}
	}
	began := time.Now()
	answers := e.client.DoMulti(ctx, commands...)
	took := time.Since(began)
	l := &look{owned: true, rings: make(map[holder]ring, len(holders)), builds: make(map[holder]bool)}
	changed := e.proof.dials.Load() != dials
	for i, hs := range in {
		if len(hs) == 0 {
			continue
		}
		elements, err := answers[0].AsStrSlice()
		if err != nil {
			return nil, err
		}
		owned, same := e.takeLog(l, i, epochs[i], elements)
		l.owned, changed = l.owned && owned, changed || !same
		for j, h := range hs {
			text, err := answers[1+j].ToString()
			if err != nil && !rueidis.IsRedisNil(err) {
				return nil, err
			}
			if r, ok := parseRing(text); ok && owned {
				l.rings[h] = r
			}
		}
		answers = answers[1+len(hs):]
	}
	switch {
	case changed:
		return nil, errChanged
	case took > pageWhole:
		return nil, errSlow
	}
	l.settle()
	return l, nil
}

var errSlow = errors.New("an answer took so long that what it says of the log may not fit what it says of the timeline")

// takeLog reads a stripe's log. same is false if its epoch is another than that under which the timelines were asked for.
func (e *Engine) takeLog(l *look, stripe int, asked uint64, elements []string) (owned, same bool) {
	if len(elements) == 0 {
		return false, true
	}
	epoch, ok := parseMarker(elements[0])
	if !ok {
		return false, true
	}
	if epoch != asked {
		e.epochs[stripe].Store(epoch)
		return true, false
	}
	for _, element := range elements[1:] {
		en, ok := parseEntry(element)
		if !ok {
			continue
		}
		if en.kind == published {
			l.flying = append(l.flying, en.post())
			continue
		}
		l.note(en)
	}
	return true, true
}

// note remembers what a log says of a holder, in its order.
func (l *look) note(en entry) {
	h := en.holder()
	if l.dead == nil {
		l.dead, l.alive = make(map[holder]struct{}), make(map[holder]uint64)
	}
	switch en.kind {
	case dropped:
		l.dead[h] = struct{}{}
		delete(l.alive, h)
		delete(l.builds, h)
	case opened:
		l.alive[h] = en.b
		l.builds[h] = true
	}
}

// settle takes out the rings that a log says are not what they should be. One that was opened after that is another.
func (l *look) settle() {
	for h := range l.dead {
		if r, there := l.rings[h]; there && r.token != l.alive[h] {
			delete(l.rings, h)
		}
	}
	for h := range l.rings {
		delete(l.builds, h)
	}
}

// read makes a page of the reader's timeline, the rings of the authors whom it merges, what is on its way to them, and a pull below
// them.
func (e *Engine) read(ctx context.Context, s *scan.Scan) error {
	me := reader(s.Reader)
	l, err := e.look(ctx, me)
	if err != nil {
		return e.pull(ctx, s)
	}
	r, there := l.rings[me]
	switch {
	case there && s.FromTop && e.drifted(s.Reader, &r):
		e.Void(s.Reader)
		return e.pull(ctx, s)
	case !there && l.owned && s.FromTop && !l.builds[me]:
		return e.build(ctx, s)
	case !there:
		return e.pull(ctx, s)
	}
	ids, floor := r.posts(e.o.Disorder)
	if r.all {
		ids, floor = nil, 0
	}
	ids = appendFlying(ids, l.flying, s)
	merged := r.merged
	if r.all {
		merged = append(slices.Clone(s.Relations.Following), s.Reader)
	}
	if len(merged) > 0 {
		more, below, ok := e.gather(ctx, s, merged)
		if !ok {
			return e.pull(ctx, s)
		}
		ids, floor = append(ids, more...), max(floor, below)
	}
	return e.finish(ctx, s, ids, floor)
}

// appendFlying adds those of the posts on their way that concern a reader.
func appendFlying(ids []freshet.ID, flying []freshet.PostRef, s *scan.Scan) []freshet.ID {
	for _, p := range flying {
		if s.Concerns(p.Author) {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

// finish takes ids that are complete down to floor, and what lies below from the source.
func (e *Engine) finish(ctx context.Context, s *scan.Scan, ids []freshet.ID, floor freshet.ID) error {
	slices.SortFunc(ids, func(a, b freshet.ID) int { return cmp.Compare(b, a) })
	ids = slices.Compact(ids)
	from, _ := slices.BinarySearchFunc(ids, s.Last, func(id, last freshet.ID) int { return cmp.Compare(last, id) })
	for from < len(ids) && ids[from] >= s.Last {
		from++
	}
	to := len(ids)
	for to > from && ids[to-1] < floor {
		to--
	}
	for rest := ids[from:to]; len(rest) > 0; {
		part := rest[:min(len(rest), s.Missing()+overfetch)]
		rest = rest[len(part):]
		refs, err := e.o.Source.Refs(ctx, part)
		if err != nil {
			return err
		}
		slices.SortFunc(refs, func(a, b freshet.PostRef) int { return cmp.Compare(b.ID, a.ID) })
		for _, p := range refs {
			if s.Take(p) {
				e.fromRedis.Add(1)
				return nil
			}
		}
	}
	if floor == 0 {
		e.fromRedis.Add(1)
		return nil
	}
	s.Last = min(s.Last, floor)
	return e.pull(ctx, s)
}

// overfetch is how many more ids are asked for than a page has room for, because some are deleted or hidden.
const overfetch = 6

// coldRings is how many rings of authors one read fills. A reader of more whose rings are not there is answered by the source, and
// finds those the next time.
const coldRings = 16

// gather gives the newest posts of authors from their rings, and from which id on these are complete. ok is false where the source is
// better asked for the page.
func (e *Engine) gather(ctx context.Context, s *scan.Scan, authors []freshet.ID) (ids []freshet.ID, floor freshet.ID, ok bool) {
	holders := make([]holder, len(authors))
	for i, a := range authors {
		holders[i] = ringOf(a)
	}
	l, err := e.look(ctx, holders...)
	if err != nil {
		return nil, 0, false
	}
	cold, began := 0, time.Now()
	for i, h := range holders {
		r, there := l.rings[h]
		if !there {
			if cold++; cold <= coldRings && time.Since(began) < patience && l.owned && !l.builds[h] {
				_ = e.buildRing(ctx, authors[i]) // who could not be built is tried again by the next page
			}
			continue
		}
		posts, from := r.posts(e.o.Disorder)
		ids, floor = append(ids, posts...), max(floor, from)
	}
	return appendFlying(ids, l.flying, s), floor, cold == 0
}

// keeping gives a context for reads of the source that are kept: they must see all that was acknowledged, whatever the reader may be
// content with. What it also gives tells the reader's own [position.Reading] of them.
func keeping(ctx context.Context) (context.Context, func()) {
	asker := position.ReadingOf(ctx)
	latest, reading := position.WithLatest(ctx, asker.Need())
	return latest, func() { asker.Report(nil, reading.High()) }
}

// pull makes the rest of a page from the source. It asks for one more than is missing, and for twice as many each time that it was
// not enough.
func (e *Engine) pull(ctx context.Context, s *scan.Scan) error {
	for n := s.Missing(); ; n *= 2 {
		n = min(n, s.Budget)
		e.pulled.Add(1)
		refs, err := e.o.Source.Home(ctx, s.Reader, s.Last, n)
		if err != nil {
			return err
		}
		for _, p := range refs {
			if s.Take(p) {
				return nil
			}
		}
		if len(refs) < n {
			return nil
		}
	}
}

// drifted reports whether a timeline's plan does not fit any more.
func (e *Engine) drifted(id freshet.ID, r *ring) bool {
	if e.reads == nil || r.made.IsZero() {
		return false
	}
	now := e.o.Now()
	age := now.Sub(r.made)
	if age < feed.DriftCheck {
		return false
	}
	reads := e.reads.Rate(id, now)
	return age >= feed.PlanAge || reads > r.reads*feed.DriftFactor || reads*feed.DriftFactor < r.reads
}
