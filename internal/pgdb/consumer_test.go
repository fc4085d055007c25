package pgdb

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// testConsumer has a stream to nowhere.
func testConsumer() (*consumer, *stream) {
	c := newConsumer(&Feed{db: &DB{name: "db"}}, "cache")
	here, _ := net.Pipe()
	s := &stream{c: c, conn: here, ended: make(chan struct{})}
	c.open = s
	return c, s
}

// What nobody asks for does not fill the memory: the stream waits, and its end wakes it.
func TestAStreamWaitsWhileItsBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := testConsumer()
		if c.receive(s, transaction{end: 1, changes: make([]Change, maxBuffered)}); c.room(&stream{}) {
			t.Error("a stream that is not the consumer's goes on")
		}
		went := make(chan bool, 1)
		wait := func() {
			go func() { went <- c.room(s) }()
			synctest.Wait()
			select {
			case <-went:
				t.Fatal("there is room in a full buffer")
			default:
			}
		}
		wait()
		if got := c.give(c.look(1)); len(got) != maxBuffered || !<-went {
			t.Errorf("%d changes were given", len(got))
		}
		c.receive(s, transaction{end: 2, changes: make([]Change, maxBuffered)})
		wait()
		s.stop(errors.New("cut"))
		if <-went {
			t.Error("a stream that has ended goes on")
		}
		if o := c.look(1); o.changes != maxBuffered || o.stream != nil || o.why == nil {
			t.Errorf("after the end there are %d changes, stream %v, because of %v", o.changes, o.stream, o.why)
		}
	})
}

// A transaction that is being received keeps the slot where it is, as does one that was given and not confirmed.
func TestWhereTheSlotMoves(t *testing.T) {
	c, s := testConsumer()
	c.confirmed, c.given = 10, 10
	moves := func(want uint64) {
		t.Helper()
		if _, done := c.progress(); done != want {
			t.Errorf("the slot moves to %d, want %d", done, want)
		}
	}
	moves(10)
	c.heardUpTo(s, 20)
	moves(20)
	c.receive(s, transaction{end: 30, changes: make([]Change, 1)})
	c.heardUpTo(s, 40)
	moves(10)
	c.give(c.look(1))
	moves(10)
	c.confirmed = 30
	moves(40)
	c.receive(s, transaction{end: 50}) // nothing of ours
	moves(50)

	// Half of a transaction: what the server says of its place comes too early.
	a := &assembler{derive: func(*Row, func(Change)) bool { return true }, done: func(t transaction) { c.receive(s, t) }}
	d := newDecoder()
	for _, m := range [][]byte{begin, describe, inserted} {
		if err := s.take(append(wire('w', int64(0), int64(0), int64(0)), m...), d, a); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.take(wire('k', int64(60), int64(0), int8(0)), d, a); err != nil {
		t.Fatal(err)
	}
	moves(50)
	for _, short := range [][]byte{nil, wire('w'), wire('k', int64(1)), wire('?', int64(0), int64(0), int8(0))} {
		if err := s.take(short, d, a); err == nil {
			t.Errorf("%q was read", short)
		}
	}
}
