package pgdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/freshet/freshet"
)

// What the functions in the database raise; see refuse in the migrations.
const (
	refusedNotFound = "FR001"
	refusedConflict = "FR002"
	refusedClaimed  = "FR003"
	refusedInvalid  = "FR004"
	refusedMoved    = "FR005"
	refusedTerm     = "FR007"
	refusedFence    = "FR008"
	refusedPrivate  = "FR009"
)

// ErrClaimed is a write whose idempotency claim was made before.
var ErrClaimed = errors.New("pgdb: claimed")

// ErrMoved is a write that belongs to a part of the data which is not in this database.
var ErrMoved = errors.New("pgdb: moved")

// ErrTerm is a step of a mover in whose place another has come, ErrFenceOver one that came too late.
var (
	ErrTerm      = errors.New("pgdb: another mover has taken over")
	ErrFenceOver = errors.New("pgdb: the fence is over")
)

// ErrPrivate is a follow that its target has to accept first.
var ErrPrivate = errors.New("pgdb: private")

// explain turns what the server says into what a caller may be told.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	if _, told := errors.AsType[*freshet.Error](err); told {
		return err
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if connecting || !ok { // who lets nobody in says why, but that is nothing that the caller asked
		if connecting || isConnection(err) {
			return unavailable("the store can't be reached at the moment", err)
		}
		return err
	}
	switch pg.Code {
	case refusedNotFound:
		return freshet.NotFound(pg.Message)
	case refusedConflict:
		return freshet.Conflict(pg.Message, "%s", pg.Detail)
	case refusedClaimed:
		return ErrClaimed
	case refusedMoved:
		return ErrMoved
	case refusedTerm:
		return ErrTerm
	case refusedFence:
		return ErrFenceOver
	case refusedPrivate:
		return ErrPrivate
	case refusedInvalid:
		return freshet.Invalid(pg.Message, "%s", pg.Detail)
	case "23505": // unique_violation: two writes at a time
		return freshet.Conflict(conflictOf(pg.ConstraintName), "is taken")
	case "22021", "22P05": // a NUL, which the database's text can't hold
		return freshet.Invalid("text", "holds a character that can't be stored (U+0000)")
	case lockTimeout:
		return unavailable("other writes have been under way for too long", err)
	case "25006": // read_only_sql_transaction
		return unavailable("the store can't be written at the moment", err)
	}
	switch pg.Code[:2] {
	case "08", "53", "57", "58", "40": // connection, resources (a full disk), shutdown, system, rolled back too often
		return unavailable("the store can't be used at the moment", err)
	}
	return err
}

// lockTimeout is lock_not_available.
const lockTimeout = "55P03"

// Waited reports whether an operation has ended because it would have waited longer for a lock than it may.
func Waited(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == lockTimeout
}

// conflictOf is the field of a unique index, by its name: table_field.
func conflictOf(constraint string) string {
	switch {
	case strings.HasPrefix(constraint, "handles"):
		return "handle"
	case strings.HasPrefix(constraint, "api_keys"):
		return "name"
	}
	return "ref"
}

func unavailable(message string, err error) error {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return &freshet.Error{
		Code: freshet.CodeUnavailable, Message: message, RetryAfter: 5 * time.Second, Err: err,
		NotMade: connecting || readOnly(err) || pgconn.SafeToRetry(err),
	}
}

func isConnection(err error) bool {
	_, opening := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if opening || network || pgconn.Timeout(err) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	text := err.Error() // of errors without a type
	return strings.Contains(text, "conn closed") || strings.Contains(text, "closed pool")
}

// explainConnect says what to do where the first connection fails.
func explainConnect(err error) error {
	hint := ""
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "3D000":
			hint = ": create it with CREATE DATABASE, or correct store.shards"
		case "28P01", "28000":
			hint = ": check user and password in store.shards, and pg_hba.conf"
		case "57P03":
			hint = ": the server is starting, or a standby without hot_standby; try again"
		case "53300":
			hint = ": raise max_connections, or lower store.max_conns"
		case "42501":
			hint = ": the user needs the right to create a schema in the database"
		}
	} else if isConnection(err) {
		hint = ": is the server running, and does store.shards name its host and port?"
	}
	return fmt.Errorf("connect to postgres: %w%s", err, hint)
}

// again reports whether an operation that failed so has left nothing behind and may succeed the next time.
func again(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "40001", "40P01": // serialization_failure, deadlock_detected
			return true
		case "0A000": // cached plan must not change result type
			return strings.Contains(pg.Message, "cached plan")
		case "57P01", "57P02", "57P03": // the connection's server ended before it began this
			return false
		}
		return false
	}
	return pgconn.SafeToRetry(err)
}

// readOnly reports whether the server has become, or always was, a replica.
func readOnly(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "25006"
}
