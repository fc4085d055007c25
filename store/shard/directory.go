package shard

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// directory is a [store.Directory] with what is asked of it often.
type directory struct {
	store.Directory
	at      position.Position
	seen    position.Token  // of whoever has read by it
	buckets []store.Buckets // of each part
	missing store.Buckets   // on no part: the directory and the parts disagree
	over    chan struct{}   // closed when another has come in its place
}

func newDirectory(d store.Directory, parts int) *directory {
	out := &directory{Directory: d, at: d.Position(), seen: position.Token{d.Position()}, buckets: make([]store.Buckets, parts), over: make(chan struct{})}
	for bucket, owner := range d.Owners {
		out.buckets[owner].Add(bucket)
	}
	return out
}

// owner is the part that has the bucket of an id.
func (d *directory) owner(id freshet.ID) int { return int(d.Owners[id.Bucket()]) }

// split groups ids by the part that has them.
func (d *directory) split(ids []freshet.ID) [][]freshet.ID {
	groups := make([][]freshet.ID, len(d.buckets))
	for _, id := range ids {
		i := d.owner(id)
		groups[i] = append(groups[i], id)
	}
	return groups
}

// since is where a part must have come to be read.
func (d *directory) since(part int) position.Token {
	if part < len(d.Since) && !d.Since[part].IsZero() {
		return position.Token(d.Since[part : part+1])
	}
	return nil
}

// nowhere is an error where a bucket is on no part.
func (d *directory) nowhere() error {
	if d.missing.Len() == 0 {
		return nil
	}
	return fmt.Errorf("buckets %s are on no part: the part that the directory (epoch %d) names does not hold them", d.missing, d.Epoch)
}

// readDirectory loads the directory, or makes the first one, and checks that the parts are those that it names.
func (s *Store) readDirectory(ctx context.Context) error {
	if len(s.parts) == 0 || len(s.parts) > freshet.Buckets {
		return fmt.Errorf("open shards: %d parts; want 1 to %d", len(s.parts), freshet.Buckets)
	}
	systems := make([]uint64, len(s.parts))
	for i, p := range s.parts {
		system, err := p.System(ctx)
		if err != nil {
			return fmt.Errorf("open shards: part %d: %w", i, err)
		}
		if other := slices.Index(systems[:i], system); other >= 0 {
			return fmt.Errorf("open shards: parts %d and %d are the same database", other, i)
		}
		systems[i] = system
	}
	d, err := s.lastDirectory(ctx, systems)
	if err == nil && d.Epoch == 0 {
		d, err = s.spread(ctx, systems)
	}
	if err == nil && !slices.Equal(d.Parts, systems) {
		d, err = s.change(ctx, d, systems)
	}
	if err != nil {
		return fmt.Errorf("open shards: %w", err)
	}
	if !slices.Equal(d.Parts, systems) {
		return fmt.Errorf("open shards: store.shards names other databases than the directory of the first one, or in another order: its parts are %s, those given %s",
			hexes(d.Parts), hexes(systems))
	}
	return s.check(ctx, newDirectory(d, len(s.parts)))
}

// lastDirectory reads the directory at home. The first part is home unless it was: then its directory names who is now.
func (s *Store) lastDirectory(ctx context.Context, systems []uint64) (d store.Directory, err error) {
	for at, hops := 0, 0; hops <= len(systems); hops++ {
		next, err := s.parts[at].Directory(ctx)
		if err != nil || next.Epoch <= d.Epoch {
			return d, err
		}
		d = next
		home := slices.Index(systems, d.Parts[d.Home()])
		if home == at {
			return d, nil
		}
		if home < 0 {
			return d, fmt.Errorf("the database that has the directory (%016x) is not among store.shards", d.Parts[d.Home()])
		}
		at = home
	}
	return d, nil
}

// change is a directory for other parts than it names: without those that have no buckets any more, and with new ones, empty, at the
// end. Where that does not make them those that are given it is left as it is.
func (s *Store) change(ctx context.Context, d store.Directory, systems []uint64) (store.Directory, error) {
	next := store.Directory{Epoch: d.Epoch + 1}
	place := make([]uint16, len(d.Parts))
	for i, system := range d.Parts {
		if !slices.Contains(systems, system) && !slices.Contains(d.Owners[:], uint16(i)) {
			continue
		}
		place[i] = uint16(len(next.Parts))
		next.Parts = append(next.Parts, system)
		if i < len(d.Since) {
			next.Since = append(next.Since, d.Since[i])
		}
	}
	known := len(next.Parts)
	if known > len(systems) || !slices.Equal(next.Parts, systems[:known]) {
		return d, nil
	}
	for bucket, owner := range d.Owners {
		next.Owners[bucket] = place[owner]
	}
	next.Parts = systems
	if m, _, err := planOf(ctx, s.parts[slices.Index(systems, d.Parts[d.Home()])]); err != nil {
		return d, err
	} else if m != nil && !m.Step.ended() {
		return d, fmt.Errorf("a move of buckets is under way between the shards that were named before (%s to shard %d: %s): name these until it has ended or was aborted", m.leg().Text, m.To, m.Step)
	}
	if err := s.empty(ctx, known); err != nil {
		return d, err
	}
	return s.keep(ctx, next)
}

func hexes(systems []uint64) string {
	out := make([]string, len(systems))
	for i, n := range systems {
		out[i] = fmt.Sprintf("%016x", n)
	}
	return strings.Join(out, " ")
}

// spread makes the first directory.
func (s *Store) spread(ctx context.Context, systems []uint64) (d store.Directory, err error) {
	d = store.Directory{Epoch: 1, Parts: systems}
	users, err := s.parts[0].ListUsers(ctx, 0, 1)
	if err != nil {
		return d, err
	}
	for bucket := range d.Owners {
		if len(users) == 0 {
			d.Owners[bucket] = uint16(bucket * len(s.parts) / freshet.Buckets)
		}
	}
	if err := s.empty(ctx, 1); err != nil {
		return d, err
	}
	return s.keep(ctx, d)
}

// keep keeps a directory, unless another process was sooner with one: then that counts. The parts hear of it afterwards (see
// check), from whoever opens them.
func (s *Store) keep(ctx context.Context, d store.Directory) (store.Directory, error) {
	home := s.parts[d.Home()]
	err := home.SetDirectory(ctx, d)
	if freshet.CodeOf(err) == freshet.CodeConflict {
		return home.Directory(ctx)
	}
	return d, err
}

// empty makes sure that the parts from one on hold nothing.
func (s *Store) empty(ctx context.Context, from int) error {
	for i, p := range s.parts[from:] {
		users, err := p.ListUsers(ctx, 0, 1)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return fmt.Errorf("part %d has users, but is not in the directory: add an empty database", from+i)
		}
	}
	return nil
}

// check tells the parts what they hold, where they have no users yet, and notes the buckets that a part with users does not hold
// although the directory says so. What lies on the others goes on.
func (s *Store) check(ctx context.Context, d *directory) error {
	m, _, err := planOf(ctx, s.parts[d.Home()])
	if err != nil {
		return fmt.Errorf("open shards: %w", err)
	}
	moving := m != nil && !m.Step.ended()
	for i, p := range s.parts {
		elsewhere, err := p.Elsewhere(ctx)
		if err != nil {
			return fmt.Errorf("open shards: part %d: %w", i, err)
		}
		want := d.buckets[i].Complement()
		if elsewhere == want || moving { // what is between two parts comes where it belongs by who goes on with the move
			continue
		}
		users, err := p.ListUsers(ctx, 0, 1)
		if err == nil && len(users) == 0 {
			elsewhere, err = want, p.SetElsewhere(ctx, want)
		}
		if err != nil {
			return fmt.Errorf("open shards: part %d: %w", i, err)
		}
		for _, bucket := range d.buckets[i].List() {
			if elsewhere.Has(bucket) {
				d.missing.Add(bucket)
			}
		}
	}
	now := time.Now()
	s.looked.Store(&now)
	s.dir.Store(d)
	if err := d.nowhere(); err != nil {
		s.options.Log.ErrorContext(ctx, "the directory of shards is wrong", "error", err)
	}
	return nil
}

// directoryTrust is for how long a directory is gone by without being looked at again. A part keeps for longer than that what has
// left it (see [Store.Move]).
const directoryTrust = 5 * time.Second

// doubts reports whether the directory was not looked at for long.
func (s *Store) doubts() bool { return time.Since(*s.looked.Load()) > directoryTrust }

// refresh reads the directory again, unless somebody has done so since old.
func (s *Store) refresh(ctx context.Context, old *directory) error {
	if s.dir.Load() != old {
		return nil
	}
	began, d := time.Now(), old.Directory
	for hops := 0; hops <= len(s.parts); hops++ { // home may have moved, more than once
		next, err := s.parts[d.Home()].Directory(ctx)
		if err != nil {
			return fmt.Errorf("read the directory: %w", err)
		}
		if next.Epoch <= d.Epoch {
			break
		}
		if !slices.Equal(next.Parts, old.Parts) {
			return fmt.Errorf("the directory (epoch %d) names other parts, %s: restart with the store.shards of the others", next.Epoch, hexes(next.Parts))
		}
		d = next
	}
	s.looked.Store(&began)
	if d.Epoch > old.Epoch {
		s.replace(old, d)
	}
	return nil
}

// replace goes by another directory, unless somebody has done so since old.
func (s *Store) replace(old *directory, d store.Directory) {
	if s.dir.CompareAndSwap(old, newDirectory(d, len(s.parts))) {
		close(old.over)
	}
}

// Directory says which part has which bucket, as this process knows it.
func (s *Store) Directory() store.Directory { return s.dir.Load().Directory }

// Refresh reads the directory again, for whoever has heard that buckets have moved.
func (s *Store) Refresh(ctx context.Context) error { return s.refresh(ctx, s.dir.Load()) }

// Arrived goes by a directory that knows of all buckets which a part holds, for whoever follows the changes of that part and has heard
// of [store.BucketsMoved]: a part takes buckets before the directory says so, and what is read by the old one may lack what the next
// changes tell of. at is where that change stands, zero for whoever has not heard: a feed may tell of a commit before others see it, so
// the directory must bear it too. Where it does not say so within 5 s, because the move stands still, Arrived fails; ask again.
func (s *Store) Arrived(ctx context.Context, part int, at position.Position) error {
	for began, pause := time.Now(), movedPause; ; pause = min(2*pause, 50*time.Millisecond) {
		elsewhere, err := s.parts[part].Elsewhere(ctx)
		if err != nil {
			return fmt.Errorf("ask part %d for its buckets: %w", part, err)
		}
		if err := s.Refresh(ctx); err != nil {
			return err
		}
		dir := s.dir.Load()
		unsaid := elsewhere.Complement()
		for _, bucket := range dir.buckets[part].List() {
			unsaid.Remove(bucket)
		}
		order, known := dir.since(part).At(at.System).Compare(at)
		if unsaid.Len() == 0 && (at.IsZero() || known && order >= 0) {
			return nil
		}
		if time.Since(began) > movedPatience {
			return fmt.Errorf("buckets %s have come to part %d, and the directory (epoch %d) does not say so", unsaid, part, dir.Epoch)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ByName spreads users over all buckets by their handle, or ref where they have none.
func ByName(u freshet.NewUser) int {
	name := strings.ToLower(u.Handle)
	if name == "" {
		name = u.Ref
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return int(h.Sum32() % freshet.Buckets)
}

// ByRegion places users on the buckets of their region, spread by name; those of a region without buckets on all. Give each
// region buckets of its own, and move these to the part that is near.
func ByRegion(region func(freshet.NewUser) string, buckets map[string]store.Buckets) func(freshet.NewUser) int {
	lists := make(map[string][]int, len(buckets))
	for name, b := range buckets {
		lists[name] = b.List()
	}
	return func(u freshet.NewUser) int {
		n := ByName(u)
		if list := lists[region(u)]; len(list) > 0 {
			return list[n%len(list)]
		}
		return n
	}
}
