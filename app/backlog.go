package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/freshet/freshet/position"
)

// Live events are resumed from the node's memory, and a node that is started again has none. So the feed of each shard keeps
// what was heard in the last minutes: it is confirmed late, and a node begins where it had confirmed. What it had fenced by then
// it notes in a file, and does not fence again.
//
//	confirmed            fenced         head
//	────┴──── for streams ──┴─ fenced too ─┴──▶ feed

// backlog says what is to be kept of a shard's feed. It is used by one goroutine.
type backlog struct {
	keep  time.Duration // what was heard in this time,
	span  uint64        // but no more than this many steps of a position's offset
	marks []mark
}

type mark struct {
	at    position.Position
	heard time.Time
}

const (
	liveFor      = 5 * time.Minute // how long live events can be resumed
	noteEvery    = 5 * time.Second
	backlogMarks = 16        // in keep: how finely it is confirmed
	spanFile     = 65_536    // commits
	spanServer   = 256 << 20 // bytes of WAL
)

// heard notes how far the feed was heard at a time, and gives a position up to which nothing is to be kept; zero: none.
func (b *backlog) heard(at position.Position, now time.Time) (done position.Position) {
	if n := len(b.marks); n == 0 || b.marks[n-1].at != at && now.Sub(b.marks[n-1].heard) >= b.keep/backlogMarks {
		b.marks = append(b.marks, mark{at, now})
	}
	for len(b.marks) > 0 {
		switch m := b.marks[0]; {
		case m.at.Timeline != at.Timeline || m.at.System != at.System: // a history that is over
		case now.Sub(m.heard) >= b.keep || at.Offset-m.at.Offset > b.span:
			done = m.at
		default:
			return done
		}
		b.marks = b.marks[1:]
	}
	return done
}

// progress is what a node remembers of a shard's feed.
type progress struct {
	confirmed position.Position // the feed has all after it
	fenced    position.Position
}

func (n *Node) progressFile(shard int) string {
	return filepath.Join(n.cfg.Data, "feed", fmt.Sprintf("%016x", n.systems[shard]))
}

// readProgress gives the zero progress where none can be read: then all that was not confirmed is fenced again, and streams
// begin with a reset.
func (n *Node) readProgress(shard int) (p progress) {
	text, err := os.ReadFile(n.progressFile(shard))
	if err != nil {
		return progress{}
	}
	p.confirmed.System, p.fenced.System = n.systems[shard], n.systems[shard]
	if _, err := fmt.Sscanf(string(text), "confirmed %d/%d fenced %d/%d\n",
		&p.confirmed.Timeline, &p.confirmed.Offset, &p.fenced.Timeline, &p.fenced.Offset); err != nil {
		return progress{}
	}
	return p
}

// writeProgress is durable when it returns: the feed may be confirmed then.
func (n *Node) writeProgress(shard int, p progress) error {
	path := n.progressFile(shard)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	err := replaceFile(path, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "confirmed %d/%d fenced %d/%d\n", p.confirmed.Timeline, p.confirmed.Offset, p.fenced.Timeline, p.fenced.Offset)
		return err
	})
	if err != nil {
		return fmt.Errorf("note the progress of the change feed: %w", err)
	}
	return nil
}

// replaceFile puts what write writes in the place of a file, whole and durable, or leaves it as it was.
func replaceFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if failed := f.Close(); err == nil {
		err = failed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
