package cache_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet/cache"
)

// A sink keeps its part of the contract: it applies a batch once. It can fail, or be held back.
type sink[V any] struct {
	mu      sync.Mutex
	seq     map[[16]byte]uint64
	rows    map[string]V
	offered []cache.Batch[string, V]
	merge   func(old, now V) V
	fail    func(cache.Batch[string, V]) error // before anything is applied
	hold    chan struct{}
}

func newSink[V any](merge func(old, now V) V) *sink[V] {
	return &sink[V]{seq: map[[16]byte]uint64{}, rows: map[string]V{}, merge: merge}
}

func lastValue[V any](_, now V) V { return now }

func (s *sink[V]) Write(ctx context.Context, b cache.Batch[string, V]) error {
	s.mu.Lock()
	hold := s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered = append(s.offered, b)
	if s.fail != nil {
		if err := s.fail(b); err != nil {
			return err
		}
	}
	if s.seq[b.ID.Journal] >= b.ID.Seq {
		return nil
	}
	s.seq[b.ID.Journal] = b.ID.Seq
	for _, e := range b.Entries {
		s.rows[e.Key] = s.merge(s.rows[e.Key], e.Value)
	}
	return nil
}

// set changes the sink's behaviour while it may be at work.
func (s *sink[V]) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// keys lists the keys of each batch that was offered.
func (s *sink[V]) keys() (all [][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.offered {
		var keys []string
		for _, e := range b.Entries {
			keys = append(keys, e.Key)
		}
		all = append(all, keys)
	}
	return all
}

func (s *sink[V]) wantRows(t *testing.T, want map[string]V) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !reflect.DeepEqual(s.rows, want) {
		t.Fatalf("the sink has %v, want %v", s.rows, want)
	}
}

func defineWriteBehind(t *testing.T, o cache.WriteBehindOptions[string, int]) *cache.WriteBehind[string, int] {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	o.Name = "profile"
	w, err := cache.DefineWriteBehind(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(context.Background()) })
	return w
}

func put(t *testing.T, w *cache.WriteBehind[string, int], key string, value int) {
	t.Helper()
	if err := w.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

func wantPending(t *testing.T, w *cache.WriteBehind[string, int], key string, want int, wantOK bool) {
	t.Helper()
	if got, ok := w.Get(key); got != want || ok != wantOK {
		t.Fatalf("Get(%s) = %d, %v; want %d, %v", key, got, ok, want, wantOK)
	}
}

// ended is a context whose time is up, for a Close that leaves what is pending in the journal.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func TestWriteBehindCoalescesAndSorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(lastValue[int])
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write})
		put(t, w, "c", 1)
		put(t, w, "a", 2)
		put(t, w, "c", 3)
		put(t, w, "b", 4)
		time.Sleep(time.Second + time.Millisecond) // FlushEvery
		synctest.Wait()
		s.wantRows(t, map[string]int{"a": 2, "b": 4, "c": 3})
		if got, want := s.keys(), [][]string{{"a", "b", "c"}}; !reflect.DeepEqual(got, want) {
			t.Fatalf("batches %v, want %v", got, want)
		}
	})
}

func TestWriteBehindReadsItsOwnWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(lastValue[int])
		s.hold = make(chan struct{})
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write})
		put(t, w, "a", 1)
		put(t, w, "b", 1)
		wantPending(t, w, "a", 1, true) // waits for company
		time.Sleep(2 * time.Second)
		wantPending(t, w, "a", 1, true) // is being written
		put(t, w, "a", 2)
		wantPending(t, w, "a", 2, true)
		close(s.hold)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		wantPending(t, w, "a", 0, false) // the sink has it
		s.wantRows(t, map[string]int{"a": 2, "b": 1})
	})
}

// The values of a key reach the sink in their order even where an earlier one has to be offered again and again.
func TestWriteBehindKeepsTheOrderOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written []int
		s := newSink(func(_, now int) int { written = append(written, now); return now })
		failures := 5
		s.fail = func(cache.Batch[string, int]) error {
			if failures--; failures > 0 {
				return errors.New("down")
			}
			return nil
		}
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, BatchMax: 1})
		for i := range 100 {
			put(t, w, "a", i)
			time.Sleep(37 * time.Millisecond)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		inOrder := slices.IsSortedFunc(s.offered, func(a, b cache.Batch[string, int]) int { return cmp.Compare(a.ID.Seq, b.ID.Seq) })
		if !inOrder || !slices.IsSorted(written) || written[len(written)-1] != 99 || len(written) < 3 {
			t.Fatalf("written in this order: %v", written)
		}
	})
}

// A batch that a crash left in flight is offered again first: the same, under the same id, though more has been put since.
func TestWriteBehindOffersTheSameBatchAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := newSink(lastValue[int]), t.TempDir()
		s.fail = func(cache.Batch[string, int]) error { return errors.New("the answer is lost") }
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, Dir: dir})
		put(t, w, "a", 1)
		put(t, w, "b", 1)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		put(t, w, "a", 2)
		put(t, w, "c", 2)
		if err := w.Close(ended()); err == nil {
			t.Fatal("Close says that all is written")
		}
		w = defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, Dir: dir}) // replays the journal …
		time.Sleep(time.Second)
		w.Close(ended())
		s.set(func() { s.fail = nil })
		// … and this one begins with the checkpoint that has come of it.
		w = defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, Dir: dir})
		wantPending(t, w, "a", 2, true)
		wantPending(t, w, "b", 1, true)
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		first := s.offered[0]
		last := s.offered[len(s.offered)-1]
		for _, b := range s.offered[:len(s.offered)-1] {
			if !reflect.DeepEqual(b, first) {
				t.Fatalf("batch %v was offered again as %v", first, b)
			}
		}
		if first.ID.Seq != 1 || last.ID.Seq != 2 || first.ID.Journal != last.ID.Journal {
			t.Fatalf("ids %v and %v", first.ID, last.ID)
		}
		s.wantRows(t, map[string]int{"a": 2, "b": 1, "c": 2})
	})
}

// A source that is down for a minute delays; it loses nothing and does not fail who writes.
func TestWriteBehindOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(lastValue[int])
		s.fail = func(cache.Batch[string, int]) error { return errors.New("down") }
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, BatchMax: 10})
		want := map[string]int{}
		for i := range 60 {
			key := fmt.Sprint("key", i%25)
			put(t, w, key, i)
			want[key] = i
			time.Sleep(time.Second)
		}
		s.set(func() { s.fail = nil })
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, want)
		if st := w.Stats(); st.Buried != 0 || st.Retries == 0 || st.Pending != 0 {
			t.Fatalf("%+v", st)
		}
	})
}

func TestWriteBehindPushesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(lastValue[int])
		s.hold = make(chan struct{})
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, PendingMax: 3, BatchMax: 2, FlushEvery: time.Hour})
		put(t, w, "a", 1)
		put(t, w, "b", 1)
		put(t, w, "c", 1)
		put(t, w, "c", 2) // takes no more room
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := w.Put(ctx, "d", 1)
		if !errors.Is(err, cache.ErrJournalFull) || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Fatalf("Put without room: %v after %v", err, time.Since(began))
		}
		waiting := make(chan error, 1)
		go func() { waiting <- w.Put(t.Context(), "e", 1) }()
		synctest.Wait()
		close(s.hold)
		if err := <-waiting; err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, map[string]int{"a": 1, "b": 1, "c": 2, "e": 1})
	})
}

func TestWriteBehindRefusesWhatNeverFits(t *testing.T) {
	w, err := cache.DefineWriteBehind(cache.WriteBehindOptions[string, string]{
		Name: "text", Dir: t.TempDir(), JournalMax: 4 << 10,
		Write: func(context.Context, cache.Batch[string, string]) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close(t.Context())
	if err := w.Put(t.Context(), "a", string(make([]byte, 2000))); !errors.Is(err, cache.ErrJournalFull) {
		t.Fatalf("err = %v", err)
	}
}

func TestWriteBehindDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := newSink(lastValue[int]), t.TempDir()
		var told []cache.Dead[string, int]
		o := cache.WriteBehindOptions[string, int]{
			Write: s.Write, Dir: dir, BatchMax: 2, Retry: cache.Retry{Attempts: 3},
			DeadLetter: func(d cache.Dead[string, int]) { told = append(told, d) },
		}
		s.fail = func(b cache.Batch[string, int]) error {
			switch b.ID.Seq {
			case 1:
				return errors.New("out of order")
			case 2:
				return fmt.Errorf("too long: %w", cache.ErrRefused)
			}
			return nil
		}
		w := defineWriteBehind(t, o)
		for i, key := range []string{"a", "b", "c", "d", "e"} {
			put(t, w, key, i)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		s.wantRows(t, map[string]int{"e": 4})
		if len(s.offered) != 3+1+1 { // three attempts, one refusal, one success
			t.Fatalf("offered %v", s.offered)
		}
		check := func(dead []cache.Dead[string, int]) {
			t.Helper()
			if len(dead) != 2 || dead[0].Cause != "out of order" || dead[0].Refused || !dead[1].Refused ||
				!reflect.DeepEqual(dead[0].Entries, []cache.BatchEntry[string, int]{{"a", 0}, {"b", 1}}) {
				t.Fatalf("dead letters %+v", dead)
			}
		}
		check(told)
		check(w.DeadLetters())
		wantPending(t, w, "b", 1, true) // was acknowledged, and the sink lacks it

		if err := w.Close(t.Context()); err != nil { // they are no reason to wait
			t.Fatal(err)
		}
		w = defineWriteBehind(t, o)
		check(w.DeadLetters())
		put(t, w, "a", 10) // is later than what is dead
		s.set(func() { s.fail = nil })
		if err := errors.Join(w.Replay(1), w.Discard(2)); err != nil {
			t.Fatal(err)
		}
		if err := w.Replay(1); !errors.Is(err, cache.ErrNoDeadLetter) {
			t.Fatalf("Replay of what is not there: %v", err)
		}
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, map[string]int{"a": 10, "b": 1, "e": 4})
		if st := w.Stats(); st.Dead != 0 || st.Pending != 0 || st.Bytes != 0 {
			t.Fatalf("%+v", st)
		}
	})
}

// A sink that panics has failed; it takes nobody with it.
func TestWriteBehindSinkPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(lastValue[int])
		s.fail = func(b cache.Batch[string, int]) error {
			if len(s.offered) == 1 {
				panic("no")
			}
			return nil
		}
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write})
		put(t, w, "a", 1)
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, map[string]int{"a": 1})
	})
}

// Close drains until its context ends. What is left is in the journal; the bubble sees that no goroutine is.
func TestWriteBehindCloseHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := newSink(lastValue[int]), t.TempDir()
		s.hold = make(chan struct{})
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, Dir: dir, BatchMax: 1, PendingMax: 2})
		put(t, w, "a", 1)
		put(t, w, "b", 1)
		waiting := make(chan error, 1)
		go func() { waiting <- w.Put(t.Context(), "c", 1) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Fatalf("Close: %v after %v", err, time.Since(began))
		}
		if err := <-waiting; !errors.Is(err, cache.ErrClosed) {
			t.Fatalf("Put while closing: %v", err)
		}
		if err := w.Put(t.Context(), "d", 1); !errors.Is(err, cache.ErrClosed) {
			t.Fatalf("Put after Close: %v", err)
		}
		if err := w.Flush(t.Context()); err == nil {
			t.Fatal("Flush after Close")
		}
		if err := w.Close(t.Context()); err != nil {
			t.Fatalf("second Close: %v", err)
		}
		s.set(func() { s.hold = nil })
		w = defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, Dir: dir})
		if err := w.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, map[string]int{"a": 1, "b": 1})
	})
}

func TestWriteBehindJournalOfAnother(t *testing.T) {
	dir := t.TempDir()
	w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: newSink(lastValue[int]).Write, Dir: dir})
	o := counterOptions(newSink(sum), dir)
	if _, err := cache.DefineCounter(o); !errors.Is(err, cache.ErrJournalLocked) {
		t.Fatalf("opened twice: %v", err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := cache.DefineCounter(o)
	if _, ok := errors.AsType[*cache.JournalDamageError](err); !ok {
		t.Fatalf("a counter opened the journal of a write-behind: %v", err)
	}
}

// Under load batches are full: the sink is given 64 keys at a time, and what waits meanwhile is more.
func TestWriteBehindBatchesAreFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSink(lastValue[int])
		s.fail = func(cache.Batch[string, int]) error { time.Sleep(10 * time.Millisecond); return nil }
		w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, BatchMax: 64})
		want := map[string]int{}
		var wg sync.WaitGroup
		for worker := range 32 {
			for i := range 80 {
				want[fmt.Sprint(worker, "/", i%50)] = i
			}
			wg.Go(func() {
				for i := range 80 {
					if err := w.Put(t.Context(), fmt.Sprint(worker, "/", i%50), i); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		wg.Wait()
		if err := w.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantRows(t, want)
		st := w.Stats()
		t.Logf("%d batches, %.0f %% full", st.Batches, 100*st.Fill)
		if st.Fill < 0.8 || st.Batches < 10 {
			t.Fatal("batches are not full")
		}
	})
}

// Those who wait for the disk together share an fsync.
func TestWriteBehindCommitsInGroups(t *testing.T) {
	s := newSink(lastValue[int])
	w := defineWriteBehind(t, cache.WriteBehindOptions[string, int]{Write: s.Write, FlushEvery: time.Hour})
	var wg sync.WaitGroup
	for worker := range 64 {
		wg.Go(func() {
			for i := range 10 {
				if err := w.Put(t.Context(), fmt.Sprint(worker), i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	st := w.Stats()
	t.Logf("%d Puts in %d fsyncs", st.Changes, st.Commits)
	if st.Changes != 640 || st.Commits > 320 {
		t.Fatalf("%d fsyncs for %d Puts", st.Commits, st.Changes)
	}
}

func TestWriteBehindDeclarations(t *testing.T) {
	write := func(context.Context, cache.Batch[string, int]) error { return nil }
	for name, o := range map[string]cache.WriteBehindOptions[string, int]{
		"no name":  {Dir: "x", Write: write},
		"no dir":   {Name: "x", Write: write},
		"no write": {Name: "x", Dir: "x"},
		"negative": {Name: "x", Dir: "x", Write: write, BatchMax: -1},
		"retry":    {Name: "x", Dir: "x", Write: write, Retry: cache.Retry{First: time.Minute, Most: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("it was accepted")
				}
			}()
			o.Dir = cmpOr(o.Dir, t.TempDir())
			cache.DefineWriteBehind(o)
		})
	}
}

func cmpOr(dir, temp string) string {
	if dir == "" {
		return ""
	}
	return temp
}
