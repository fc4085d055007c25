package testenv

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// As much of PostgreSQL's wire protocol, version 3.0, as it takes to know that
// a server serves and to run a statement (PostgreSQL documentation, chapter
// "Frontend/Backend Protocol"): the start-up message and the simple query. Each
// message is a type byte, a length that counts itself, and a body.

// pgReady returns nil once the server lets us in.
func pgReady(conn net.Conn) error {
	_, err := pgStart(conn, "postgres")
	return err
}

// pgExec logs in, runs one query string and returns its rows as text; NULL is
// an empty string.
func pgExec(conn net.Conn, database, sql string) ([][]string, error) {
	r, err := pgStart(conn, database)
	if err != nil {
		return nil, err
	}
	body := append([]byte(sql), 0)
	msg := binary.BigEndian.AppendUint32([]byte{'Q'}, uint32(4+len(body)))
	if _, err := conn.Write(append(msg, body...)); err != nil {
		return nil, err
	}
	return pgUntilReady(r)
}

// pgStart logs in and waits for ReadyForQuery.
func pgStart(conn net.Conn, database string) (*bufio.Reader, error) {
	const protocol3 = 3 << 16
	body := binary.BigEndian.AppendUint32(nil, protocol3)
	body = append(body, "user\x00postgres\x00database\x00"+database+"\x00\x00"...)
	msg := append(binary.BigEndian.AppendUint32(nil, uint32(4+len(body))), body...)
	if _, err := conn.Write(msg); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	_, err := pgUntilReady(r)
	return r, err
}

// pgUntilReady reads messages until ReadyForQuery and collects rows. An error
// of a statement is kept until then; one at start-up ends the connection.
func pgUntilReady(r *bufio.Reader) (rows [][]string, failed error) {
	for {
		kind, body, err := pgMessage(r)
		switch {
		case err != nil:
			return nil, errors.Join(failed, err)
		case kind == 'Z':
			return rows, failed
		case kind == 'E':
			failed = pgError(body)
		case kind == 'D':
			row, err := pgRow(body)
			if err != nil {
				return nil, err
			}
			rows = append(rows, row)
		case kind == 'R' && (len(body) < 4 || binary.BigEndian.Uint32(body) != 0):
			return nil, errors.New("the server asks for a password")
		}
	}
}

// pgMessage reads one message.
func pgMessage(r *bufio.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	const most = 16 << 20
	length := binary.BigEndian.Uint32(head[1:])
	if length < 4 || length > most {
		return 0, nil, fmt.Errorf("message %q of %d bytes", head[0], length)
	}
	body = make([]byte, length-4)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

// pgRow decodes DataRow: a count, then for each column its length, or -1 for
// NULL, and its text.
func pgRow(body []byte) ([]string, error) {
	short := errors.New("a row ends early")
	if len(body) < 2 {
		return nil, short
	}
	row, body := make([]string, binary.BigEndian.Uint16(body)), body[2:]
	for i := range row {
		if len(body) < 4 {
			return nil, short
		}
		length := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if length < 0 {
			continue
		}
		if int(length) > len(body) {
			return nil, short
		}
		row[i], body = string(body[:length]), body[length:]
	}
	return row, nil
}

// pgError decodes ErrorResponse: fields of a letter and a text, of which C is
// the SQLSTATE and M the message.
func pgError(body []byte) error {
	var code, message string
	for field := range bytes.SplitSeq(body, []byte{0}) {
		switch {
		case len(field) == 0:
		case field[0] == 'C':
			code = string(field[1:])
		case field[0] == 'M':
			message = string(field[1:])
		}
	}
	return fmt.Errorf("postgres: %s (SQLSTATE %s)", message, code)
}
