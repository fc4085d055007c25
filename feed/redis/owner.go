package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
)

const (
	// grace is how long an entry stays in its log after it was applied. A page that took longer than most of it may have looked at the
	// timeline before the entry was applied, and at the log after it was gone.
	grace     = 200 * time.Millisecond
	pageWhole = grace - 50*time.Millisecond

	idleWait  = 5 * time.Millisecond // between two looks at logs in which nothing was new
	entriesAt = 1000                 // entries that are applied at once
	writesAt  = 1000                 // deliveries in one flight
)

// Run owns stripes until ctx ends: it takes leases, as many as are its share among the nodes that run, and enters what is in the
// logs into the timelines.
//
//	publisher ──▶ log: E P P D P O A F …
//	owner          └──────▶ rings ──▶ 200 ms later: out of the log
//	reader:  log, then ring, in one flight
//
// Whoever holds a lease begins a new epoch, and with it empty timelines: what the last owner knew is gone with it, and what it may
// still write lies under keys that nobody reads.
func (e *Engine) Run(ctx context.Context) error {
	if e.o.Mode == feed.Pull {
		<-ctx.Done()
		return nil
	}
	w := &worker{Engine: e}
	defer w.leave()
	for wait := time.Duration(0); ctx.Err() == nil; {
		select {
		case <-time.After(wait):
		case <-e.kick:
		case <-ctx.Done():
			return nil
		}
		busy, err := w.turn(ctx)
		switch wait = idleWait; {
		case err != nil && ctx.Err() == nil:
			e.o.Lost(fmt.Errorf("timelines: %w", err))
			w.lose()
			wait = restFor / 2
		case busy:
			wait = 0
		}
	}
	return nil
}

// worker is an engine that owns stripes.
type worker struct {
	*Engine
	stripes [stripes]*stripe // nil: not owned
	leased  time.Time        // when the leases were renewed last
	counted time.Time        // the same when members were counted
}

// turn renews leases, says what is unsaid, and applies what is in the logs.
func (w *worker) turn(ctx context.Context) (busy bool, err error) {
	if w.unsaid.some() {
		w.telling.until.Store(0)
		if err := w.say(ctx); err != nil {
			return false, err
		}
	}
	if err := w.renew(ctx); err != nil {
		return false, err
	}
	return w.work(ctx)
}

// renew looks after the leases when it is time.
func (w *worker) renew(ctx context.Context) error {
	if time.Since(w.leased) < w.o.Lease/3 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, w.o.Lease)
	defer cancel()
	return w.lease(ctx)
}

// lease renews the leases of this node's stripes and takes free ones, up to its share.
func (w *worker) lease(ctx context.Context) error {
	asked := time.Now()
	share, err := w.share(ctx)
	if err != nil {
		return err
	}
	owned := 0
	for i, t := range w.stripes {
		if t == nil {
			continue
		}
		if owned++; owned > share { // others have come
			w.stripes[i] = nil
			if _, err := w.done(ctx, leaveScript, []string{w.keys.lease(i)}, w.node); err != nil {
				return err
			}
		}
	}
	for k := range stripes {
		i := (k + int(w.node[0])) % stripes // nodes begin at different ones
		if w.stripes[i] == nil && owned >= share {
			continue
		}
		mine, err := w.done(ctx, renewScript, []string{w.keys.lease(i)}, w.node, fmt.Sprint(w.o.Lease.Milliseconds()))
		switch {
		case err != nil:
			return err
		case !mine:
			w.stripes[i] = nil
		case w.stripes[i] == nil:
			owned++
			if err := w.take(ctx, i); err != nil {
				return err
			}
		}
	}
	w.leased = asked
	return nil
}

// share is how many stripes this node is to own among those that run now.
func (w *worker) share(ctx context.Context) (int, error) {
	b, key, now := w.client.B(), w.keys.nodes(), time.Now()
	answers := w.client.DoMulti(ctx,
		b.Zadd().Key(key).ScoreMember().ScoreMember(float64(now.Add(w.o.Lease).UnixMilli()), w.node).Build(),
		b.Zremrangebyscore().Key(key).Min("-inf").Max(fmt.Sprint(now.UnixMilli())).Build(),
		b.Zcard().Key(key).Build(),
	)
	nodes, err := answers[2].AsInt64()
	if err != nil {
		return 0, err
	}
	return (stripes + int(max(nodes, 1)) - 1) / int(max(nodes, 1)), nil
}

// take begins a new epoch of a stripe whose lease this node has.
func (w *worker) take(ctx context.Context, i int) error {
	epoch := uint64(time.Now().UnixMicro()) // above every earlier one, but for clocks that go back: then by chance another
	taken, err := w.done(ctx, takeScript, []string{w.keys.lease(i), w.keys.log(i)}, w.node, markerOf(epoch))
	old := w.stripes[i]
	if w.stripes[i] = nil; err == nil && taken {
		w.stripes[i] = newStripe(i, epoch)
	}
	if err == nil && old != nil {
		err = w.clear(ctx, old)
	}
	return err
}

// clear takes the rings of an epoch away that has ended. Those of an owner that died go when nobody has read them for Options.Idle.
func (w *worker) clear(ctx context.Context, t *stripe) error {
	var commands rueidis.Commands
	for h := range t.members {
		commands = append(commands, w.client.B().Unlink().Key(w.keys.timeline(t.epoch, h)).Build())
		if len(commands) == writesAt {
			if err := w.all(ctx, commands); err != nil {
				return err
			}
			commands = commands[:0]
		}
	}
	return w.all(ctx, commands)
}

// lose forgets all stripes: what was under way may have been written in part.
func (w *worker) lose() {
	w.stripes, w.leased = [stripes]*stripe{}, time.Time{}
}

// leave gives the stripes to others.
func (w *worker) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), insistence)
	defer cancel()
	for i, t := range w.stripes {
		if t != nil && w.end(ctx, i) == nil {
			_, _ = w.done(ctx, leaveScript, []string{w.keys.lease(i)}, w.node) // it ends by itself
			_ = w.clear(ctx, t)                                                // by themselves, too
		}
	}
	w.client.Do(ctx, w.client.B().Zrem().Key(w.keys.nodes()).Member(w.node).Build())
}

// work looks into the logs of all stripes and applies what is new in them.
func (w *worker) work(ctx context.Context) (busy bool, err error) {
	var owned []*stripe
	var commands rueidis.Commands
	for i, t := range w.stripes {
		if t == nil {
			continue
		}
		owned = append(owned, t)
		commands = append(commands,
			w.client.B().Lindex().Key(w.keys.log(i)).Index(0).Build(),
			w.client.B().Lrange().Key(w.keys.log(i)).Start(int64(1+t.applied)).Stop(int64(t.applied+entriesAt)).Build())
	}
	if owned == nil {
		return false, nil
	}
	answers := w.client.DoMulti(ctx, commands...)
	waiting := 0
	for i, t := range owned {
		first, err := answers[2*i].ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			return false, err
		}
		if epoch, ok := parseMarker(first); !ok || epoch != t.epoch { // somebody has ended it
			if err := w.take(ctx, t.number); err != nil {
				return false, err
			}
			busy = true
			continue
		}
		elements, err := answers[2*i+1].AsStrSlice()
		if err != nil {
			return false, err
		}
		waiting += len(elements)
		if len(elements) > 0 {
			busy = true
			if err := w.apply(ctx, t, elements); err != nil {
				return false, err
			}
		}
		if err := w.trim(ctx, t); err != nil {
			return false, err
		}
	}
	w.count(waiting)
	return busy, nil
}

// trim takes entries out of the log that were applied a grace ago.
func (w *worker) trim(ctx context.Context, t *stripe) error {
	n, done := 0, 0
	for _, trim := range t.trims {
		if time.Since(trim.at) < grace {
			break
		}
		n += trim.entries
		done++
	}
	if done == 0 {
		return nil
	}
	trimmed, err := w.done(ctx, trimScript, []string{w.keys.log(t.number)}, markerOf(t.epoch), fmt.Sprint(n))
	if err == nil && trimmed {
		t.trims, t.applied = t.trims[done:], t.applied-n
	}
	return err
}

// count tells Stats what is owned.
func (w *worker) count(waiting int) {
	w.waiting.Store(int64(waiting))
	if w.counted.Equal(w.leased) {
		return
	}
	w.counted = w.leased // entries are added up as often as leases are renewed
	timelines, rings, entries := 0, 0, 0
	for _, t := range w.stripes {
		if t == nil {
			continue
		}
		for h, m := range t.members {
			if _, isRing := h.isRing(); isRing {
				rings++
			} else {
				timelines++
			}
			entries += min(m.head, m.places)
		}
	}
	w.timelines.Store(int64(timelines))
	w.rings.Store(int64(rings))
	w.entries.Store(int64(entries))
}

// apply enters the entries of a log, in their order.
func (w *worker) apply(ctx context.Context, t *stripe, elements []string) error {
	d := delivery{worker: w, stripe: t}
	for _, element := range elements {
		e, ok := parseEntry(element)
		if !ok {
			continue
		}
		var err error
		if e.kind == published {
			err = d.post(ctx, e.post())
		} else if err = d.flush(ctx); err == nil { // what follows writes where deliveries may be under way
			err = w.control(ctx, t, e)
		}
		if err != nil {
			return err
		}
	}
	if err := d.flush(ctx); err != nil {
		return err
	}
	t.applied += len(elements)
	t.trims = append(t.trims, trim{len(elements), time.Now()})
	return nil
}

// control applies what is no post.
func (w *worker) control(ctx context.Context, t *stripe, e entry) error {
	h := e.holder()
	switch e.kind {
	case opened:
		length := w.o.Length
		if _, isRing := h.isRing(); isRing {
			length = w.o.Ring
		}
		return w.delete(ctx, t, t.open(h, e.b, length, max(1, w.o.Readers/stripes)))
	case addressed:
		if m := t.find(h, e.b); m != nil {
			text, found, err := w.parcel(ctx, h, addressed, e.b)
			if err != nil {
				return err
			}
			if !found { // evicted: filled, it would get no posts
				t.drop(h)
				return nil
			}
			t.address(m, takeIDs(text, len(text)/8))
		}
	case filled:
		if m := t.find(h, e.b); m != nil {
			return w.fill(ctx, t, m)
		}
	case dropped:
		if m := t.drop(h); m != nil {
			return w.delete(ctx, t, []*member{m})
		}
	}
	return nil
}

// parcel takes what a builder has left.
func (w *worker) parcel(ctx context.Context, h holder, kind byte, token uint64) (text string, found bool, err error) {
	text, err = w.client.Do(ctx, w.client.B().Getdel().Key(w.keys.parcel(h, kind, token)).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", false, nil
	}
	return text, err == nil, err
}

// fill makes the ring of a member from what its builder has pulled and what has come since.
func (w *worker) fill(ctx context.Context, t *stripe, m *member) error {
	text, found, err := w.parcel(ctx, m.holder, filled, m.token)
	if err != nil || !found {
		return err
	}
	r, ok := parseRing(text)
	if !ok {
		return fmt.Errorf("the parcel of %d is no ring", m.holder)
	}
	if !r.all {
		r.fill(r.ids, m.collected, m.length)
	}
	for _, id := range r.ids {
		t.newest = max(t.newest, id)
	}
	m.state, m.collected = ready, nil
	m.head, m.places, m.size = len(r.ids), r.places, r.size()
	b := w.client.B()
	return w.all(ctx, rueidis.Commands{
		b.Set().Key(w.keys.timeline(t.epoch, m.holder)).Value(rueidis.BinaryString(r.encode())).Ex(w.o.Idle).Build(),
		b.Del().Key(w.keys.build(m.holder)).Build(),
	})
}

// delete takes the rings of members away that are gone.
func (w *worker) delete(ctx context.Context, t *stripe, members []*member) error {
	if len(members) == 0 {
		return nil
	}
	var commands rueidis.Commands
	for _, m := range members {
		commands = append(commands, w.client.B().Del().Key(w.keys.timeline(t.epoch, m.holder)).Build())
	}
	return w.all(ctx, commands)
}

// delivery is a flight of posts on their way into rings.
type delivery struct {
	*worker
	*stripe
	commands rueidis.Commands
	members  []*member
}

func (d *delivery) post(ctx context.Context, p freshet.PostRef) error {
	if d.entered.has(p.ID) {
		return nil
	}
	readers := d.of(p.Author)
	if d.late(p.ID, d.o.Disorder) { // it became visible below what they have seen: they are pulled again
		if err := d.flush(ctx); err != nil {
			return err
		}
		late := append([]*member(nil), readers...)
		for _, m := range late {
			d.drop(m.holder)
		}
		return d.delete(ctx, d.stripe, late)
	}
	d.entered.add(p.ID)
	d.newest = max(d.newest, p.ID)
	value := rueidis.BinaryString(appendIDs(nil, []freshet.ID{p.ID}))
	for _, m := range readers {
		if m.state == building {
			if len(m.collected) < 2*m.length { // a builder that takes longer is given up
				m.collected = append(m.collected, p.ID)
			} else {
				d.drop(m.holder)
			}
			continue
		}
		if m.places == 0 {
			continue // all is merged
		}
		at, full := m.next()
		if full {
			if err := d.grow(ctx, m); err != nil {
				return err
			}
			if m.state == gone {
				continue
			}
			at, _ = m.next()
		}
		d.commands = append(d.commands, d.client.B().Setrange().Key(d.keys.timeline(d.epoch, m.holder)).Offset(int64(offset(at))).Value(value).Build())
		d.members = append(d.members, m)
		if len(d.commands) == writesAt {
			if err := d.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush sends what was gathered. Whose ring is not there any more, because nobody has read it for long, is let go.
func (d *delivery) flush(ctx context.Context) error {
	if len(d.commands) == 0 {
		return nil
	}
	if err := d.renew(ctx); err != nil { // a popular author's post is many flights
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.Lease)
	defer cancel()
	var vanished []*member
	for i, r := range d.client.DoMulti(ctx, d.commands...) {
		size, err := r.AsInt64()
		if err != nil {
			return err
		}
		if m := d.members[i]; m.state == ready && size != int64(m.size) {
			vanished = append(vanished, d.drop(m.holder))
		}
	}
	d.delivered.Add(int64(len(d.commands)))
	d.commands, d.members = d.commands[:0], d.members[:0]
	return d.delete(ctx, d.stripe, vanished)
}

// grow doubles the room of a ring.
func (d *delivery) grow(ctx context.Context, m *member) error {
	if err := d.flush(ctx); err != nil || m.state == gone {
		return err
	}
	key := d.keys.timeline(d.epoch, m.holder)
	text, err := d.client.Do(ctx, d.client.B().Get().Key(key).Build()).ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return err
	}
	r, ok := parseRing(text)
	if !ok || r.places != m.places {
		d.drop(m.holder)
		return d.delete(ctx, d.stripe, []*member{m})
	}
	r.places = placesFor(r.places+1, m.length)
	m.places, m.size = r.places, r.size()
	return d.all(ctx, rueidis.Commands{d.client.B().Set().Key(key).Value(rueidis.BinaryString(r.encode())).Keepttl().Build()})
}
