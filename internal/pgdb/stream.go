package pgdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/freshet/freshet/position"
)

const (
	maxBuffered = 10_000           // changes that were received and not asked for
	beat        = 10 * time.Second // between reports to the server, which ends a stream after wal_sender_timeout (60 s)
	silence     = 60 * time.Second // without a message, though each beat asks for one: the connection is dead
	sendFor     = 5 * time.Second
)

// A stream is one connection on which the server sends what commits. Two goroutines own it until it ends; its buffer is the
// consumer's, guarded by the consumer's lock:
//
//	walsender ──▶ read: decode, assemble ──▶ consumer.buffer ──▶ Changes
//	          ◀── report: each beat, with each Confirm, and where the server or Changes wants an answer
type stream struct {
	c       *consumer
	at      position.Position // its system and timeline
	conn    net.Conn
	front   *pgproto3.Frontend
	sending sync.Mutex
	ended   chan struct{} // closed by stop
	once    sync.Once
}

// connect opens a connection in replication mode to the primary, and says of which system and timeline it is.
func (d *DB) connect(ctx context.Context) (*pgconn.PgConn, position.Position, error) {
	config := d.pool.Config().ConnConfig.Config
	config.RuntimeParams["replication"] = "database"
	config.RuntimeParams["application_name"] = "freshet feed"
	if config.ValidateConnect != nil { // which asks in a way that a walsender does not know
		config.ValidateConnect = takesWrites
	}
	conn, err := pgconn.ConnectConfig(ctx, &config)
	if err != nil {
		return nil, position.Position{}, err
	}
	at, err := identify(ctx, conn)
	if err == nil && at.System != d.system.Load() {
		err = errors.New("the server for replication is another one than that for queries")
	}
	if err != nil {
		return nil, at, errors.Join(err, conn.Close(ctx))
	}
	return conn, at, nil
}

// cell gives the one value that a command has.
func cell(ctx context.Context, conn *pgconn.PgConn, command string, column int) (string, error) {
	results, err := conn.Exec(ctx, command).ReadAll()
	if err != nil {
		return "", err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) <= column {
		return "", fmt.Errorf("%s has no answer", command)
	}
	return string(results[0].Rows[0][column]), nil
}

func takesWrites(ctx context.Context, conn *pgconn.PgConn) error {
	standby, err := cell(ctx, conn, "SELECT pg_is_in_recovery()", 0)
	if err == nil && standby != "f" {
		err = errors.New("the server is a replica")
	}
	return err
}

func identify(ctx context.Context, conn *pgconn.PgConn) (at position.Position, err error) {
	system, err := cell(ctx, conn, "SELECT system FROM "+Schema+".meta", 0)
	if err != nil {
		return at, err
	}
	number, err := strconv.ParseInt(system, 10, 64)
	if err != nil {
		return at, err
	}
	at.System = uint64(number)
	text, err := cell(ctx, conn, "IDENTIFY_SYSTEM", 1)
	if err != nil {
		return at, err
	}
	timeline, err := strconv.ParseUint(text, 10, 32)
	at.Timeline = uint32(timeline)
	return at, err
}

// start begins to send what committed after a place in the WAL.
func start(ctx context.Context, conn *pgconn.PgConn, slot, publication string, from uint64) (*pgconn.HijackedConn, error) {
	conn.Frontend().SendQuery(&pgproto3.Query{String: fmt.Sprintf(
		`START_REPLICATION SLOT "%s" LOGICAL %X/%X (proto_version '1', publication_names '"%s"', messages 'true')`,
		slot, from>>32, uint32(from), publication)})
	if err := conn.Frontend().Flush(); err != nil {
		return nil, err
	}
	for {
		message, err := conn.ReceiveMessage(ctx)
		if err != nil {
			return nil, err
		}
		switch m := message.(type) {
		case *pgproto3.CopyBothResponse:
			return conn.Hijack()
		case *pgproto3.ErrorResponse:
			return nil, pgconn.ErrorResponseToPgError(m)
		}
	}
}

// run starts the goroutines of a stream; g waits for them.
func (s *stream) run(g *sync.WaitGroup) {
	g.Go(func() { s.stop(s.read()) })
	g.Go(s.report)
}

// stop ends a stream; the first reason stands. It does not wait for its goroutines.
func (s *stream) stop(why error) {
	s.once.Do(func() {
		close(s.ended)
		s.sending.Lock()
		_ = s.conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = s.conn.Write([]byte{'X', 0, 0, 0, 4}) // Terminate: the slot is free sooner
		s.sending.Unlock()
		_ = s.conn.Close()
		s.c.end(s, why)
	})
}

func (s *stream) read() error {
	decoder, a := newDecoder(), &assembler{derive: s.c.feed.opts.Derive, at: s.at, done: func(t transaction) { s.c.receive(s, t) }}
	for {
		if !s.c.room(s) {
			return nil
		}
		if err := s.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			return err
		}
		message, err := s.front.Receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.CopyData:
			if err := s.take(m.Data, decoder, a); err != nil {
				return err
			}
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.CopyDone:
			return errors.New("the server ends the stream")
		}
	}
}

// take reads one message of the replication protocol: WAL data, or how far the server has come.
func (s *stream) take(data []byte, d *decoder, a *assembler) error {
	switch {
	case len(data) > 1+8+8+8 && data[0] == 'w': // start, end, time
		return d.decode(data[1+8+8+8:], a)
	case len(data) == 1+8+8+1 && data[0] == 'k': // end, time, whether an answer is wanted
		if !d.open { // of what is being received the rest is missing
			s.c.heardUpTo(s, binary.BigEndian.Uint64(data[1:]))
		}
		if data[17] == 1 {
			return s.tell(false)
		}
		return nil
	}
	return fmt.Errorf("read replication message of %d bytes: its kind is unknown", len(data))
}

// report tells the server each beat how far the consumer is, and looks after slots that keep too much.
func (s *stream) report() {
	ticker := time.NewTicker(s.c.feed.beat)
	defer ticker.Stop()
	for {
		s.c.feed.dropOversized()
		select {
		case <-s.ended:
			return
		case <-ticker.C:
		}
		if err := s.tell(true); err != nil {
			s.stop(err)
			return
		}
	}
}

// tell sends how far the consumer is; answer asks the server how far it is.
func (s *stream) tell(answer bool) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	heard, done := s.c.progress()
	b := make([]byte, 0, 5+34)
	b = append(b, 'd', 0, 0, 0, 4+34, 'r')
	b = binary.BigEndian.AppendUint64(b, heard) // written
	b = binary.BigEndian.AppendUint64(b, done)  // flushed: the slot moves here
	b = binary.BigEndian.AppendUint64(b, done)  // applied
	b = binary.BigEndian.AppendUint64(b, uint64(time.Since(epoch).Microseconds()))
	if answer {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(sendFor)); err != nil {
		return err
	}
	_, err := s.conn.Write(b)
	return err
}

// epoch is when PostgreSQL's time begins.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
