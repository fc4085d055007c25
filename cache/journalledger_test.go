package cache

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A ledgerSink applies batches once, and stops answering those who are dead.
type ledgerSink struct {
	mu    sync.Mutex
	seq   map[[16]byte]uint64
	rows  map[int]int64
	sums  bool
	down  bool
	alive int // of the writers, the one that has not lost its power
}

func newLedgerSink(sums bool) *ledgerSink {
	return &ledgerSink{seq: map[[16]byte]uint64{}, rows: map[int]int64{}, sums: sums}
}

func (s *ledgerSink) write(writer int) func(context.Context, Batch[int, int64]) error {
	return func(_ context.Context, b Batch[int, int64]) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down || writer != s.alive {
			return errors.New("out of reach")
		}
		if s.seq[b.ID.Journal] >= b.ID.Seq {
			return nil
		}
		s.seq[b.ID.Journal] = b.ID.Seq
		for _, e := range b.Entries {
			if s.sums {
				e.Value += s.rows[e.Key]
			}
			s.rows[e.Key] = e.Value
		}
		return nil
	}
}

func (s *ledgerSink) load(_ context.Context, journal [16]byte, keys []int) (map[int]int64, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.rows), s.seq[journal], nil
}

// behind is what a WriteBehind and a Counter have in common for a test.
type behind struct {
	put   func(context.Context, int, int64) error
	get   func(context.Context, int) (int64, error)
	flush func(context.Context) error
	close func(context.Context) error
}

var impatient = Retry{Attempts: 1 << 30, First: time.Microsecond, Most: 100 * time.Microsecond}

// open defines one or the other, with short segments on a disk that can forget.
func (s *ledgerSink) open(dir string, disk journalDisk, writer int) (b behind, err error) {
	if s.sums {
		c, err := DefineCounter(CounterOptions[int]{
			Name: "test", Dir: dir, Write: s.write(writer), Load: s.load, Retry: impatient,
			FlushEvery: time.Millisecond, BatchMax: 3, disk: disk, segment: 300,
		})
		if err != nil {
			return b, err
		}
		b = behind{flush: c.Flush, close: c.Close}
		b.put = func(ctx context.Context, key int, delta int64) error {
			_, err := c.Add(ctx, key, delta)
			return err
		}
		b.get = func(ctx context.Context, key int) (int64, error) {
			totals, err := c.Get(ctx, key)
			return totals[key], err
		}
		return b, nil
	}
	w, err := DefineWriteBehind(WriteBehindOptions[int, int64]{
		Name: "test", Dir: dir, Write: s.write(writer), Retry: impatient,
		FlushEvery: time.Millisecond, BatchMax: 3, disk: disk, segment: 300,
	})
	if err != nil {
		return b, err
	}
	b = behind{put: w.Put, flush: w.Flush, close: w.Close}
	b.get = func(ctx context.Context, key int) (int64, error) {
		if v, pending := w.Get(key); pending {
			return v, nil
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.rows[key], nil
	}
	return b, nil
}

// Streams of operations with the power failing in between, while batches are on their way: whoever opens the journal again
// finds what was acknowledged, and in the end the sink has it once.
func TestLedgerSurvivesPowerFailures(t *testing.T) {
	for _, sums := range []bool{false, true} {
		t.Run(fmt.Sprintf("sums=%v", sums), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) { powerFailures(t, rt, sums) })
		})
	}
}

func powerFailures(t *testing.T, rt *rapid.T, sums bool) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s, disk, dir, model := newLedgerSink(sums), newForgetfulDisk(), t.TempDir(), map[int]int64{}
	b, err := s.open(dir, disk, 0)
	if err != nil {
		rt.Fatal(err)
	}
	defer func() { b.close(ctx) }()
	check := func() {
		for key, want := range model {
			if got, err := b.get(t.Context(), key); err != nil || got != want {
				rt.Fatalf("key %d is %d, %v; want %d", key, got, err, want)
			}
		}
	}
	for range rapid.IntRange(1, 25).Draw(rt, "steps") {
		switch op := rapid.IntRange(0, 9).Draw(rt, "op"); op {
		case 0:
			s.mu.Lock()
			s.down = !s.down
			s.mu.Unlock()
		case 1: // the sink is held, so that it sees nothing that the new journal does not know
			s.mu.Lock()
			after := disk.powerFails(t, dir, rapid.IntRange(0, 20).Draw(rt, "torn bytes"))
			s.alive++
			s.mu.Unlock()
			b.close(ctx)
			disk, dir = newForgetfulDisk(), after
			if b, err = s.open(dir, disk, s.alive); err != nil {
				rt.Fatal(err)
			}
			check()
		default:
			key, value := rapid.IntRange(0, 7).Draw(rt, "key"), rapid.Int64Range(1, 1000).Draw(rt, "value")
			if err := b.put(t.Context(), key, value); err != nil {
				rt.Fatal(err)
			}
			if sums {
				value += model[key]
			}
			model[key] = value
			if got, err := b.get(t.Context(), key); err != nil || got != value {
				rt.Fatalf("key %d is %d, %v; want %d", key, got, err, value)
			}
		}
	}
	s.mu.Lock()
	s.down = false
	s.mu.Unlock()
	if err := b.flush(t.Context()); err != nil {
		rt.Fatal(err)
	}
	check()
	if !maps.Equal(s.rows, model) {
		rt.Fatalf("the sink has %v, want %v", s.rows, model)
	}
}

// Nothing that is not durable is acknowledged, shown or offered; what was there before goes on.
func TestLedgerOnAFullDisk(t *testing.T) {
	s, disk, dir := newLedgerSink(false), newForgetfulDisk(), t.TempDir()
	s.down = true
	b, err := s.open(dir, disk, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	defer b.close(ctx)
	if err := b.put(t.Context(), 1, 1); err != nil {
		t.Fatal(err)
	}
	disk.fill(true)
	if err := b.put(t.Context(), 1, 2); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("Put on a full disk: %v", err)
	}
	if got, _ := b.get(t.Context(), 1); got != 1 {
		t.Fatalf("Get shows %d, which is not durable", got)
	}
	disk.fill(false)
	if err := b.put(t.Context(), 2, 2); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.down = false
	s.mu.Unlock()
	if err := b.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := map[int]int64{1: 1, 2: 2}; !maps.Equal(s.rows, want) {
		t.Fatalf("the sink has %v, want %v", s.rows, want)
	}
}

// With FsyncEvery nobody waits to hear that the disk is full: the next Add is refused, and what was taken is kept.
func TestCounterFsyncEveryOnAFullDisk(t *testing.T) {
	s, disk := newLedgerSink(true), newForgetfulDisk()
	c, err := DefineCounter(CounterOptions[int]{
		Name: "test", Dir: t.TempDir(), Write: s.write(0), Load: s.load, FsyncEvery: time.Millisecond, disk: disk,
	})
	if err != nil {
		t.Fatal(err)
	}
	disk.fill(true)
	taken := int64(0)
	for err == nil {
		if _, err = c.Add(t.Context(), 1, 1); err == nil {
			taken++
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || taken == 0 {
		t.Fatalf("after %d Adds: %v", taken, err)
	}
	disk.fill(false)
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.rows[1] != taken {
		t.Fatalf("the sink has %d, want %d", s.rows[1], taken)
	}
}
