package cache

import (
	"encoding/binary"
	"fmt"
	"time"
)

// The records in a payload of the journal. Lengths and numbers are varints (package encoding/binary).
//
//	change   key, value
//	cut      n                 the n keys that have waited longest become the next batch
//	done                       the sink has the batch
//	bury     refused, cause    the batch becomes a dead letter
//	revive   seq               a dead letter becomes pending again
//	discard  seq
//
// A checkpoint is the name of the kind, the last batches cut and applied, the dead letters, the batch in flight, what is pending in the order of its queue.
const (
	recordChange = iota + 1
	recordCut
	recordDone
	recordBury
	recordRevive
	recordDiscard
)

// errRecord says that a record does not fit what was before it, or is none.
const errRecord = constError("the record makes no sense")

// control is a record that is no change.
type control struct {
	kind    byte
	n       uint64 // cut: how many keys; revive, discard: the dead letter
	cause   string
	refused bool
}

func (c control) append(buf []byte) []byte {
	buf = append(buf, c.kind)
	switch c.kind {
	case recordCut, recordRevive, recordDiscard:
		buf = binary.AppendUvarint(buf, c.n)
	case recordBury:
		buf = appendBool(buf, c.refused)
		buf = appendChunk(buf, c.cause)
	}
	return buf
}

// control applies a record that is no change.
func (s *ledgerState[K, V]) control(c control, now time.Time) error {
	switch c.kind {
	case recordCut:
		if c.n > uint64(len(s.queue)) {
			return errRecord
		}
		return s.cut(int(c.n))
	case recordDone:
		return s.done()
	case recordBury:
		return s.bury(c.cause, c.refused)
	case recordRevive:
		s.revive(c.n, now)
	case recordDiscard:
		s.discard(c.n)
	default:
		return errRecord
	}
	return nil
}

// replay applies what the journal holds.
func (s *ledgerState[K, V]) replay(payload []byte, checkpoint bool, now time.Time) error {
	r := &fieldReader{data: payload}
	if checkpoint {
		return s.restore(r, now)
	}
	for len(r.data) > 0 {
		kind := r.byte()
		if kind == recordChange {
			before := len(r.data)
			e, err := readEntry(r, s.kind)
			if err != nil {
				return err
			}
			s.change(e.Key, e.Value, before-len(r.data)+1, now)
			continue
		}
		c := control{kind: kind}
		switch kind {
		case recordCut, recordRevive, recordDiscard:
			c.n = r.uvarint()
		case recordBury:
			c.refused, c.cause = r.byte() == 1, string(r.chunk())
		}
		if r.bad {
			return errRecord
		}
		if err := s.control(c, now); err != nil {
			return err
		}
	}
	return nil
}

// appendChange appends a change and keeps the scratch space that it needs for the next one.
func appendChange[K comparable, V any](buf, scratch []byte, kind ledgerKind[K, V], key K, value V) (_, _ []byte, err error) {
	return appendEntry(append(buf, recordChange), scratch, kind, key, value)
}

func appendEntry[K comparable, V any](buf, scratch []byte, kind ledgerKind[K, V], key K, value V) (_, _ []byte, err error) {
	if scratch, err = kind.key.Append(scratch[:0], key); err != nil {
		return buf, scratch, fmt.Errorf("encode key: %w", err)
	}
	buf = appendChunk(buf, scratch)
	if scratch, err = kind.value.Append(scratch[:0], value); err != nil {
		return buf, scratch, fmt.Errorf("encode value: %w", err)
	}
	return appendChunk(buf, scratch), scratch, nil
}

func readEntry[K comparable, V any](r *fieldReader, kind ledgerKind[K, V]) (e BatchEntry[K, V], err error) {
	key, value := r.chunk(), r.chunk()
	if r.bad {
		return e, errRecord
	}
	if e.Key, err = kind.key.Decode(key); err != nil {
		return e, fmt.Errorf("decode key: %w", err)
	}
	if e.Value, err = kind.value.Decode(value); err != nil {
		return e, fmt.Errorf("decode value: %w", err)
	}
	return e, nil
}

// checkpoint appends all of the state.
func (s *ledgerState[K, V]) checkpoint(buf []byte) ([]byte, error) {
	buf = appendChunk(buf, s.kind.name)
	buf = binary.AppendUvarint(buf, s.seq)
	buf = binary.AppendUvarint(buf, s.applied)
	var err error
	buf = binary.AppendUvarint(buf, uint64(len(s.dead)))
	for _, d := range s.deadLetters() {
		buf = binary.AppendUvarint(buf, d.seq)
		buf = appendBool(buf, d.refused)
		buf = appendChunk(buf, d.cause)
		if buf, err = s.appendEntries(buf, s.remaining(d)); err != nil {
			return nil, err
		}
	}
	buf = appendBool(buf, s.batch != nil)
	if s.batch != nil {
		if buf, err = s.appendEntries(buf, s.batch.entries); err != nil {
			return nil, err
		}
	}
	buf = binary.AppendUvarint(buf, uint64(len(s.queue)))
	var scratch []byte
	for _, q := range s.queue {
		if buf, scratch, err = appendEntry(buf, scratch, s.kind, q.key, s.pending[q.key].value); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// restore is the way back from a checkpoint.
func (s *ledgerState[K, V]) restore(r *fieldReader, now time.Time) error {
	if name := string(r.chunk()); name != s.kind.name {
		return fmt.Errorf("this is the journal of a %q and not of a %q", name, s.kind.name)
	}
	s.seq, s.applied = r.uvarint(), r.uvarint()
	var dead []*deadBatch[K, V]
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		d := &deadBatch[K, V]{cutBatch: cutBatch[K, V]{seq: r.uvarint()}, refused: r.byte() == 1, cause: string(r.chunk())}
		if err := s.readEntries(r, &d.cutBatch); err != nil {
			return err
		}
		dead = append(dead, d)
	}
	if r.byte() == 1 {
		s.batch = &cutBatch[K, V]{seq: s.seq, since: now}
		if err := s.readEntries(r, s.batch); err != nil {
			return err
		}
		s.bytes += s.batch.bytes
		s.pushed += uint64(len(s.batch.entries))
	}
	for _, d := range dead {
		if _, twice := s.dead[d.seq]; twice {
			return errRecord
		}
		s.bytes += d.bytes + int64(len(d.cause))
		s.lay(d)
	}
	if s.kind.sum == nil && len(s.lost) != s.nDead {
		return errRecord // a key in two dead letters
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		before := len(r.data)
		e, err := readEntry(r, s.kind)
		if err != nil {
			return err
		}
		s.change(e.Key, e.Value, before-len(r.data)+1, now)
	}
	if r.bad || len(r.data) > 0 {
		return errRecord
	}
	return nil
}

func (s *ledgerState[K, V]) appendEntries(buf []byte, entries []BatchEntry[K, V]) (_ []byte, err error) {
	buf = binary.AppendUvarint(buf, uint64(len(entries)))
	var scratch []byte
	for _, e := range entries {
		if buf, scratch, err = appendEntry(buf, scratch, s.kind, e.Key, e.Value); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

func (s *ledgerState[K, V]) readEntries(r *fieldReader, b *cutBatch[K, V]) error {
	before := len(r.data)
	n := r.uvarint()
	if n == 0 {
		return errRecord
	}
	b.index = make(map[K]V)
	for ; n > 0 && !r.bad; n-- {
		e, err := readEntry(r, s.kind)
		if err != nil {
			return err
		}
		b.entries = append(b.entries, e)
		b.index[e.Key] = e.Value
	}
	b.bytes = int64(before - len(r.data))
	return nil
}
