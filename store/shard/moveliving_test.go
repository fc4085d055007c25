package shard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/testenv"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
	"github.com/freshet/freshet/store/sqlite"
)

// later waits until a move has ended, in a bubble of time.
func later(t *testing.T, s *shard.Store) *shard.Move {
	t.Helper()
	for range 10_000 {
		if m, err := s.Moving(t.Context()); err == nil && (m.Step == shard.Done || m.Step == shard.Undone) {
			return m
		}
		time.Sleep(time.Second)
	}
	t.Fatal("the move stands still")
	return nil
}

// held is a real part whose first page takes as long as a test wants, or until its caller gives up.
type held struct {
	*sqlite.DB
	once sync.Once
	put  func(ctx context.Context)
}

func (h *held) PutRows(ctx context.Context, term uint64, changes []store.TableRows) error {
	h.once.Do(func() { h.put(ctx) })
	return h.DB.PutRows(ctx, term, changes)
}

// A page may take longer than others wait for a sign of life.
func TestALongCallIsNoDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFiles(t, 2, nil)
		slow := &held{DB: f.parts[1].(*sqlite.DB), put: func(context.Context) { time.Sleep(time.Minute) }}
		s := openStore(t, []store.Part{f.parts[0], slow}, shard.Options{Sweep: time.Second})
		openStore(t, f.parts, shard.Options{Sweep: time.Second})
		_, b := userOf(t, s, 0)
		if _, err := s.Move(t.Context(), b, 1, 0); err != nil {
			t.Fatal(err)
		}
		if m := later(t, s); m.Term != 1 {
			t.Errorf("the move was taken over while its mover lived: %+v", m)
		}
	})
}

// A step ends when its driver hears that another has come, and one that is stuck is made again.
func TestAStepIsGivenUp(t *testing.T) {
	for name, other := range map[string]bool{"another drives": true, "it is stuck": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := openFiles(t, 2, nil)
				began, took := time.Now(), make(chan time.Duration, 1)
				slow := &held{DB: f.parts[1].(*sqlite.DB), put: func(ctx context.Context) {
					select {
					case <-ctx.Done():
					case <-time.After(2 * time.Hour):
					}
					took <- time.Since(began)
				}}
				s := openStore(t, []store.Part{f.parts[0], slow}, shard.Options{Sweep: time.Minute})
				_, b := userOf(t, s, 0)
				if _, err := s.Move(t.Context(), b, 1, 0); err != nil {
					t.Fatal(err)
				}
				want, term := 31*time.Minute, uint64(1)
				if other {
					openStore(t, f.parts, shard.Options{Sweep: time.Second}) // does not wait as long as the first one's signs
					want, term = time.Minute, 2
				}
				if got := <-took; got > want {
					t.Errorf("the step went on for %v", got)
				}
				if m := later(t, s); m.Term != term {
					t.Errorf("%+v", m)
				}
			})
		})
	}
}

// A move that begins while the one before it ends goes on at once.
func TestAMoveThatBeginsWhileOneEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFiles(t, 2, nil)
		home := &ending{DB: f.parts[0].(*sqlite.DB)}
		s := openStore(t, []store.Part{home, f.parts[1]}, shard.Options{Sweep: time.Hour})
		_, b := userOf(t, s, 0)
		var second error
		home.ended = sync.OnceFunc(func() { _, second = s.Move(t.Context(), b, 0, 0) })
		if _, err := s.Move(t.Context(), b, 1, 0); err != nil {
			t.Fatal(err)
		}
		for m := later(t, s); m.To != 0; m = later(t, s) {
			time.Sleep(time.Second)
		}
		if d := s.Directory(); second != nil || d.Owners[b.List()[0]] != 0 {
			t.Errorf("the second move: %v; the bucket is on %d", second, d.Owners[b.List()[0]])
		}
	})
}

// ending is a real part that does something when an end is kept in a plan, before whoever keeps it hears that it was.
type ending struct {
	*sqlite.DB
	ended func()
}

func (e *ending) SetMovePlan(ctx context.Context, plan []byte, version uint64) error {
	err := e.DB.SetMovePlan(ctx, plan, version)
	if err == nil && strings.Contains(string(plan), `"step":"done"`) {
		e.ended()
	}
	return err
}

// dying is a real part of a process that dies at one of the calls in which home moves: before it, or after it was made.
type dying struct {
	*sqlite.DB
	calls *atomic.Int64
	last  int64
	after bool
	dead  func()
}

func (d *dying) call(make func() error) error {
	n := d.calls.Add(1)
	if n > d.last || n == d.last && !d.after {
		d.dead()
		return errKilled
	}
	err := make()
	if n == d.last {
		d.dead()
		return errKilled
	}
	return err
}

func (d *dying) SetMovePlan(ctx context.Context, plan []byte, version uint64) error {
	if !strings.Contains(string(plan), `"step":"switching"`) {
		return d.DB.SetMovePlan(ctx, plan, version)
	}
	return d.call(func() error { return d.DB.SetMovePlan(ctx, plan, version) })
}

func (d *dying) SetDirectory(ctx context.Context, dir store.Directory) error {
	return d.call(func() error { return d.DB.SetDirectory(ctx, dir) })
}

// Home goes there and back, and its mover dies on the way: those that run and those that are started then agree on where it is, and who
// goes on leaves all as it should be.
func TestHomeGoesBackAndItsMoverDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFiles(t, 2, nil)
		running := openStore(t, f.parts, shard.Options{Sweep: time.Hour})
		deaths, stride := 0, testenv.Size(5, 1, 1) // of the calls at which it dies
		for n, died := 0, true; died || n%4 > 0; n++ {
			to, last, after := 1-n%2, int64(n/4*stride+1), n%4 < 2
			died = homeMoves(t, f.parts, to, last, after)
			started, err := shard.Open(t.Context(), f.parts, shard.Options{Sweep: time.Second})
			if err == nil {
				err = running.Refresh(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			if a, b := running.Directory(), started.Directory(); a.Home() != b.Home() || a.Epoch != b.Epoch {
				t.Fatalf("died at call %d: home is %d (epoch %d) to who runs, and %d (epoch %d) to who was started", last, a.Home(), a.Epoch, b.Home(), b.Epoch)
			}
			if m := later(t, started); m.Step != shard.Done {
				t.Errorf("died at call %d: %+v", last, m)
			}
			for i, p := range f.parts {
				if d, err := p.Directory(t.Context()); err != nil || d.Home() != to {
					t.Errorf("died at call %d: home is %d to part %d, want %d (%v)", last, d.Home(), i, to, err)
				}
			}
			if err := started.Close(); err != nil {
				t.Fatal(err)
			}
			if died {
				deaths++
			}
		}
		if deaths*stride < 16 {
			t.Errorf("died only %d times", deaths)
		}
	})
}

// homeMoves has a process move home until it is done or has died.
func homeMoves(t *testing.T, files []store.Part, to int, last int64, after bool) (died bool) {
	t.Helper()
	var dead atomic.Bool
	calls := new(atomic.Int64)
	var parts []store.Part
	for _, p := range files {
		parts = append(parts, &dying{DB: p.(*sqlite.DB), calls: calls, last: last, after: after, dead: func() { dead.Store(true) }})
	}
	s, err := shard.Open(t.Context(), parts, shard.Options{Sweep: time.Hour})
	if err == nil {
		_, err = s.Move(t.Context(), buckets(t, "0"), to, 0)
	}
	for done := false; err == nil && !done && !dead.Load(); time.Sleep(100 * time.Millisecond) {
		var m *shard.Move
		m, err = s.Moving(t.Context())
		done = err == nil && m.Step == shard.Done
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return dead.Load()
}

// termed is a real part that notes the terms with which moves are begun, and lets none begin.
type termed struct {
	*sqlite.DB
	began chan uint64
}

func (p *termed) BeginMove(_ context.Context, term uint64, _ store.Buckets) (time.Time, error) {
	select {
	case p.began <- term:
	default:
	}
	return time.Time{}, errors.New("no move may begin")
}

// Two that take a move over from the same plan, because it lies on two parts while home moves, are told apart.
func TestTwoThatTakeOverHaveTwoTerms(t *testing.T) {
	f := openFiles(t, 2, nil)
	s := openStore(t, f.parts, shard.Options{Sweep: time.Hour})
	_, b := userOf(t, s, 0)
	home := f.parts[0].(*sqlite.DB)
	plan, err := json.Marshal(shard.Move{To: 1, Legs: []shard.Leg{{Text: b.String()}}, Step: shard.Switching, Term: 1})
	if err != nil {
		t.Fatal(err)
	}
	var terms []uint64
	for range 2 {
		_, version, err := home.MovePlan(t.Context())
		if err == nil {
			err = home.SetMovePlan(t.Context(), plan, version+1)
		}
		if err != nil {
			t.Fatal(err)
		}
		target := &termed{DB: f.parts[1].(*sqlite.DB), began: make(chan uint64, 1)}
		s, err := shard.Open(t.Context(), []store.Part{home, target}, shard.Options{Sweep: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		terms = append(terms, <-target.began)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Sort(terms); terms[0] == terms[1] {
		t.Errorf("both have term %d", terms[0])
	}
}

// An end that was asked for while home was about to move is heard of at the next.
func TestAnAbortWhileHomeMovesCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openFiles(t, 2, nil)
		other := openStore(t, f.parts, shard.Options{Sweep: time.Hour})
		home := &faulty{DB: f.parts[0].(*sqlite.DB), directory: func(_ context.Context, epoch uint64) error {
			if epoch == 2 {
				return other.AbortMove(t.Context())
			}
			return nil
		}}
		s := openStore(t, []store.Part{home, f.parts[1]}, shard.Options{Sweep: time.Second})
		if _, err := s.Move(t.Context(), buckets(t, "0"), 1, time.Second); err != nil {
			t.Fatal(err)
		}
		m, d := later(t, s), s.Directory()
		if m.Step != shard.Undone || d.Home() != 0 {
			t.Errorf("home is %d: %+v", d.Home(), m)
		}
	})
}

// switched is a real part that does something once the buckets have come to it.
type switched struct {
	*sqlite.DB
	once   sync.Once
	joined func()
}

func (s *switched) Join(ctx context.Context, term uint64) (position.Token, error) {
	at, err := s.DB.Join(ctx, term)
	if err == nil {
		s.once.Do(s.joined)
	}
	return at, err
}

// A check goes on where more rows have changed since the switch than it remembers, and ends where more are wrong.
func TestACheckRemembersSoManyRows(t *testing.T) {
	for _, wrong := range []bool{false, true} {
		t.Run(fmt.Sprintf("wrong %t", wrong), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := openFiles(t, 2, nil)
				target := &switched{DB: f.parts[1].(*sqlite.DB)}
				s := openStore(t, []store.Part{f.parts[0], target}, shard.Options{Sweep: time.Second})
				s.RememberDiffering(4)
				user, b := userOf(t, s, 0)
				var posts []freshet.ID
				for range 20 {
					p, _, err := s.CreatePost(t.Context(), freshet.NewPost{Author: user, Text: "x"}, store.Write{})
					if err != nil {
						t.Fatal(err)
					}
					posts = append(posts, p.ID)
				}
				target.joined = func() {
					for _, id := range posts {
						if _, _, err := target.EditPost(t.Context(), user, id, freshet.PostPatch{Text: new(string)}, store.Write{}); err != nil {
							t.Error(err)
						}
					}
					if !wrong {
						return
					}
					noted, err := target.Noted(t.Context(), 0, 1000)
					if err == nil {
						err = target.ForgetNotes(t.Context(), 1<<62, noted.Notes)
					}
					if err != nil {
						t.Error(err)
					}
				}
				if _, err := s.Move(t.Context(), b, 1, 0); err != nil {
					t.Fatal(err)
				}
				for range 20 {
					time.Sleep(time.Second)
				}
				m, err := s.Moving(t.Context())
				if err != nil || wrong != (m.Wrong == 4) || wrong != (m.Checked < 20) || wrong != (m.Step == shard.Keeping) || m.Waits != "" {
					t.Errorf("%+v, %v", m, err)
				}
			})
		})
	}
}
