package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// stopper ends a context with the first line that it is given.
type stopper struct {
	bytes.Buffer
	stop context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	s.stop()
	return s.Buffer.Write(p)
}

// A move outlives the command that began it, and the command says so; the next one goes on with it.
func TestAMoveOutlivesItsCommand(t *testing.T) {
	env := []string{"FRESHET_DATA=" + t.TempDir(), `FRESHET_STORE_SHARDS=[{primary: sqlite}, {primary: "sqlite:b.db"}]`, "FRESHET_LOG_LEVEL=error"}
	call := func(ctx context.Context, out *stopper, args ...string) (code int, failed string) {
		var err bytes.Buffer
		code = run(ctx, command{Args: args, Env: env, In: strings.NewReader(""), Out: out, Err: &err})
		return code, err.String()
	}
	if code, err := call(t.Context(), &stopper{stop: func() {}}, "apikey", "create", "first"); code != exitDone {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	code, err := call(ctx, &stopper{stop: interrupt}, "shard", "move", "5", "--to", "1")
	if code != exitFailed || !strings.Contains(err, "interrupted: the move goes on as soon as a node serves this data") || !strings.Contains(err, "--abort undoes it") {
		t.Errorf("exit code %d: %s", code, err)
	}
	var list stopper
	list.stop = func() {}
	if code, err := call(t.Context(), &list, "shard", "list"); code != exitDone || !strings.Contains(list.String(), "buckets 5, shard 0 to 1: ") {
		t.Errorf("exit code %d: %s%s", code, list.String(), err)
	}
}
