package cache

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A ledgerModel says where each change ought to be: plain maps, without a queue, sizes or an encoding.
type ledgerModel struct {
	sums           bool
	pending, batch map[int]int64
	dead           map[uint64]map[int]int64
}

func (m *ledgerModel) change(key int, value int64) {
	if !m.sums {
		for _, d := range m.dead {
			delete(d, key)
		}
		maps.DeleteFunc(m.dead, func(_ uint64, d map[int]int64) bool { return len(d) == 0 })
		m.pending[key] = value
		return
	}
	m.pending[key] += value
}

// check compares the state with the model.
func (m *ledgerModel) check(t *rapid.T, s *ledgerState[int, int64]) {
	pending, entries := map[int]int64{}, len(m.pending)+len(m.batch)
	for key, o := range s.pending {
		pending[key] = o.value
	}
	if !maps.Equal(pending, m.pending) || len(s.queue) != len(pending) {
		t.Fatalf("pending %v (queue %v), want %v", pending, s.queue, m.pending)
	}
	batch := map[int]int64{}
	if s.batch != nil {
		for _, e := range s.batch.entries {
			batch[e.Key] = e.Value
		}
		if !slices.IsSortedFunc(s.batch.entries, func(a, b BatchEntry[int, int64]) int { return a.Key - b.Key }) {
			t.Fatalf("batch is not sorted: %v", s.batch.entries)
		}
	}
	if !maps.Equal(batch, m.batch) {
		t.Fatalf("batch %v, want %v", batch, m.batch)
	}
	lost := map[int]int64{}
	for seq, d := range m.dead {
		entries += len(d)
		left := map[int]int64{}
		for _, e := range s.remaining(s.dead[seq]) {
			left[e.Key] = e.Value
		}
		if !maps.Equal(left, d) {
			t.Fatalf("dead letter %d: %v, want %v", seq, left, d)
		}
		for key, value := range d {
			lost[key] += value
		}
	}
	gotLost := map[int]int64{}
	for key, l := range s.lost {
		gotLost[key] = l.value
	}
	if !maps.Equal(gotLost, lost) || len(s.dead) != len(m.dead) || s.entries() != entries {
		t.Fatalf("lost %v, want %v; %d dead letters, want %d; %d entries, want %d", gotLost, lost, len(s.dead), len(m.dead), s.entries(), entries)
	}
	if entries == 0 && s.bytes != 0 {
		t.Fatalf("%d bytes of nothing", s.bytes)
	}
}

func ledgerKindOf(sums bool) ledgerKind[int, int64] {
	keys, _ := journalKeys[int]()
	kind := ledgerKind[int, int64]{name: "test", key: keys, value: deltaCodec{}}
	if sums {
		kind.sum = func(a, b int64) int64 { return a + b }
	}
	return kind
}

// Streams of records: after each the state is that of the model, that of a replay of the payload, and that of a checkpoint.
func TestLedgerStateAgainstModel(t *testing.T) {
	for _, sums := range []bool{false, true} {
		t.Run(fmt.Sprintf("sums=%v", sums), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { ledgerAgainstModel(t, sums) })
		})
	}
}

func ledgerAgainstModel(t *rapid.T, sums bool) {
	kind, now := ledgerKindOf(sums), time.Now()
	state, replayed := newLedgerState(kind), newLedgerState(kind)
	m := &ledgerModel{sums: sums, pending: map[int]int64{}, batch: map[int]int64{}, dead: map[uint64]map[int]int64{}}
	key, value := rapid.IntRange(-2, 4), rapid.Int64Range(1, 1<<40)
	do := func(c control) {
		if err := state.control(c, now); err != nil {
			t.Fatal(err)
		}
		if err := replayed.replay(c.append(nil), false, now); err != nil {
			t.Fatal(err)
		}
	}
	someDead := func() (seq uint64, ok bool) {
		if len(m.dead) == 0 {
			return 0, false
		}
		return rapid.SampledFrom(slices.Sorted(maps.Keys(m.dead))).Draw(t, "dead letter"), true
	}
	t.Repeat(map[string]func(*rapid.T){
		"change": func(*rapid.T) {
			k, v := key.Draw(t, "key"), value.Draw(t, "value")
			record, _, err := appendChange(nil, nil, kind, k, v)
			if err != nil {
				t.Fatal(err)
			}
			state.change(k, v, len(record), now)
			if err := replayed.replay(record, false, now); err != nil {
				t.Fatal(err)
			}
			m.change(k, v)
		},
		"cut": func(*rapid.T) {
			if len(m.batch) > 0 || len(m.pending) == 0 {
				return
			}
			n := rapid.IntRange(1, len(m.pending)).Draw(t, "n")
			do(control{kind: recordCut, n: uint64(n)})
			for _, e := range state.batch.entries {
				m.batch[e.Key] = m.pending[e.Key]
				delete(m.pending, e.Key)
			}
		},
		"done": func(*rapid.T) {
			if len(m.batch) == 0 {
				return
			}
			do(control{kind: recordDone})
			clear(m.batch)
		},
		"bury": func(*rapid.T) {
			if len(m.batch) == 0 {
				return
			}
			seq, dead := state.batch.seq, maps.Clone(m.batch)
			do(control{kind: recordBury, cause: "no", refused: rapid.Bool().Draw(t, "refused")})
			if !sums {
				maps.DeleteFunc(dead, func(k int, _ int64) bool { _, later := m.pending[k]; return later })
			}
			if len(dead) > 0 {
				m.dead[seq] = dead
			}
			clear(m.batch)
		},
		"revive": func(*rapid.T) {
			seq, ok := someDead()
			if !ok {
				return
			}
			do(control{kind: recordRevive, n: seq})
			dead := m.dead[seq]
			delete(m.dead, seq)
			for k, v := range dead {
				m.change(k, v)
			}
		},
		"discard": func(*rapid.T) {
			seq, ok := someDead()
			if !ok {
				return
			}
			do(control{kind: recordDiscard, n: seq})
			delete(m.dead, seq)
		},
		"": func(t *rapid.T) {
			m.check(t, state)
			m.check(t, replayed)
			data, err := state.checkpoint(nil)
			if err != nil {
				t.Fatal(err)
			}
			restored := newLedgerState(kind)
			if err := restored.replay(data, true, now); err != nil {
				t.Fatal(err)
			}
			m.check(t, restored)
			again, err := restored.checkpoint(nil)
			if err != nil || !bytes.Equal(data, again) || restored.seq != state.seq || restored.applied != state.applied {
				t.Fatalf("restored as %x, %v; want %x", again, err, data)
			}
		},
	})
}

func FuzzJournalRecords(f *testing.F) {
	kind, now := ledgerKindOf(false), time.Now()
	s := newLedgerState(kind)
	var payload []byte
	for key := range 4 {
		payload, _, _ = appendChange(payload, nil, kind, key, int64(key))
	}
	payload = control{kind: recordCut, n: 2}.append(payload)
	payload = control{kind: recordBury, cause: "no"}.append(payload)
	payload = control{kind: recordCut, n: 1}.append(payload)
	if err := s.replay(payload, false, now); err != nil {
		f.Fatal(err)
	}
	checkpoint, _ := s.checkpoint(nil)
	f.Add(checkpoint, payload)
	f.Add(checkpoint, control{kind: recordRevive, n: 1}.append(nil))
	f.Fuzz(func(t *testing.T, checkpoint, payload []byte) {
		for _, sums := range []bool{false, true} {
			s := newLedgerState(ledgerKindOf(sums))
			if s.replay(checkpoint, true, now) != nil || s.replay(payload, false, now) != nil {
				continue
			}
			data, err := s.checkpoint(nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := newLedgerState(s.kind).replay(data, true, now); err != nil {
				t.Fatalf("state from %x and %x does not survive its checkpoint: %v", checkpoint, payload, err)
			}
		}
	})
}
