package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

// link is one tracked connection to one master: pushes and probes come by it, in the order in which the server sent them.
// It is dedicated and not made again when it breaks, so what comes by it is one unbroken history. rueidis hands a push to
// its hook before it hands out any later reply (pipe.go, _backgroundRead).
type link struct {
	addr    string
	conn    rueidis.DedicatedClient
	release func()       // nil, or closes the client that was made for this link alone
	id      string       // of the node in its cluster; empty where there is none
	run     string       // run_id of the server's process
	view    clusterView  // what the node thought of its cluster when the link was made
	inbox   *inbox       // where pushes go
	end     sync.Once    //
	done    <-chan error // closed when the connection is
}

// connect tracks every write of a tombstone, by whomever it is made (no NOLOOP), and learns whom it speaks with.
func (r *Remote) connect(ctx context.Context, addr string, client rueidis.Client, release func(), in *inbox) (*link, error) {
	conn, _ := client.Dedicate()
	l := &link{addr: addr, conn: conn, release: release, inbox: in}
	l.done = conn.SetOnInvalidations(in.push)
	if err := r.introduce(ctx, l); err != nil {
		l.close()
		return nil, fmt.Errorf("listen at %s: %w", addr, err)
	}
	return l, nil
}

func (r *Remote) introduce(ctx context.Context, l *link) error {
	b := l.conn.B()
	commands := rueidis.Commands{
		b.ClientTracking().Off().Build(), // a client that was given may track for a cache of its own, in another mode
		b.ClientTracking().On().Prefix().Prefix(r.keys.tracked()).Bcast().Build(),
		b.Info().Section("server").Build(),
		b.Role().Build(),
	}
	if r.cluster {
		commands = append(commands, b.ClusterMyid().Build(), b.ClusterInfo().Build())
	}
	answers := l.conn.DoMulti(ctx, commands...)
	for _, a := range answers {
		if err := a.Error(); err != nil {
			if strings.Contains(err.Error(), "RESP3") || strings.Contains(err.Error(), "TRACKING") {
				err = fmt.Errorf("%w\nhint: the client must speak RESP3 with Redis 6.2 or later (AlwaysRESP2 is set?)", err)
			}
			return err
		}
	}
	info, err := verbatim(answers[2])
	if err != nil {
		return err
	}
	if l.run = infoField(info, "run_id"); l.run == "" {
		return errors.New("INFO names no run_id")
	}
	if !isMaster(answers[3]) {
		return errNoMaster
	}
	if !r.cluster {
		return nil
	}
	if l.id, err = answers[4].ToString(); err != nil {
		return err
	}
	l.view, err = parseView(answers[5])
	return err
}

var errNoMaster = errors.New("it is no master (any more)")

// isMaster reads what ROLE answered.
func isMaster(r rueidis.RedisResult) bool {
	a, err := r.ToArray()
	if err != nil || len(a) == 0 {
		return false
	}
	role, err := a[0].ToString()
	return err == nil && role == "master"
}

// verbatim is the text of an answer that RESP3 marks as such, with its kind in front.
func verbatim(r rueidis.RedisResult) (string, error) {
	text, err := r.ToString()
	return strings.TrimPrefix(text, "txt:"), err
}

// infoField finds "name:value" in a text of INFO.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, found := strings.CutPrefix(line, name+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// proof asks something that only comes back after every push that the server had queued before: a second exchange of a
// round. In the first the reply may overtake pushes of the same turn of the server's loop, since broadcasts are sent at the
// end of one. It also tells whether the server still is what it was.
func (l *link) proof(ctx context.Context) error {
	b := l.conn.B()
	commands := rueidis.Commands{b.Role().Build()}
	if l.id != "" {
		commands = append(commands, b.ClusterInfo().Build())
	}
	answers := l.conn.DoMulti(ctx, commands...)
	for _, a := range answers {
		if err := a.Error(); err != nil {
			return err
		}
	}
	if !isMaster(answers[0]) {
		return errNoMaster
	}
	if l.id == "" {
		return nil
	}
	switch view, err := parseView(answers[1]); {
	case err != nil:
		return err
	case view != l.view:
		return errors.New("the cluster has changed")
	}
	return nil
}

// run runs a script on this connection.
func (l *link) script(ctx context.Context, s script, c call) (rueidis.RedisMessage, error) {
	b := l.conn.B()
	m, err := l.conn.Do(ctx, b.Evalsha().Sha1(s.sha).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()).ToMessage()
	if known, ok := rueidis.IsRedisErr(err); ok && known.IsNoScript() {
		m, err = l.conn.Do(ctx, b.Eval().Script(s.source).Numkeys(int64(len(c.keys))).Key(c.keys...).Arg(c.args...).Build()).ToMessage()
	}
	return m, err
}

// close ends the connection. With a server that hangs it takes a second.
func (l *link) close() {
	l.end.Do(func() {
		l.conn.Close()
		if l.release != nil {
			l.release()
		}
	})
}

// closeAll ends connections at the same time.
func closeAll(links []*link) {
	var all sync.WaitGroup
	for _, l := range links {
		all.Go(l.close)
	}
	all.Wait()
}

// inbox keeps what was pushed until the goroutine that speaks with the listener takes it. The connections' readers put it
// in, and must not wait.
type inbox struct {
	mu     sync.Mutex
	keys   []string
	broken error
	wake   chan struct{} // holds one: there is something
}

// inboxMost bounds what waits for a listener that hangs: then fences are given up, and Lost says so.
const inboxMost = 1 << 18

var (
	errFlushed  = errors.New("the connection has ended, or all keys were flushed")
	errOverflow = errors.New("the listener is too slow")
)

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// push is called by rueidis: with keys; with nil when the connection has ended, and when the server has flushed.
func (in *inbox) push(messages []rueidis.RedisMessage) {
	in.mu.Lock()
	switch {
	case messages == nil:
		in.broken = errFlushed
	case len(in.keys)+len(messages) > inboxMost:
		in.broken, in.keys = errOverflow, nil
	case in.broken == nil:
		in.keys = slices.Grow(in.keys, len(messages))
		for i := range messages {
			if key, err := messages[i].ToString(); err == nil {
				in.keys = append(in.keys, key)
			} else {
				in.broken = err
			}
		}
	}
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox. What came before it broke is told as well, though Lost will say more.
func (in *inbox) take() ([]string, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	keys := in.keys
	in.keys = nil
	return keys, in.broken
}
