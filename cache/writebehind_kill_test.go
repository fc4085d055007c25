package cache_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/internal/testenv"
)

// The tests of this file kill a process that works with a journal, again and again at random moments, and let the last one
// drain. The child tells on its standard output what it begins, what was acknowledged to it and what it offers to the sink; those
// lines, which survive it, are the ledger that the database is compared with.
//
//	parent: start ──▶ child: "begin", Put or Add, "acked"; "offer", transaction in SQLite
//	   ▲               │
//	   └── read all ◀──┴── SIGKILL after a random time
const (
	childDir  = "FRESHET_TEST_CHILD_DIR"
	childLife = "FRESHET_TEST_CHILD_LIFE"
	childEnds = "FRESHET_TEST_CHILD_ENDS"
)

// lives runs the test called name as a child, in one life after another, and returns what the children said.
func lives(t *testing.T, name, dir string) (lines []string) {
	kills := testenv.Size(3, 10, 200)
	for life := range kills + 1 {
		child := exec.Command(os.Args[0], "-test.run=^"+name+"$")
		child.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childLife, life))
		kill := life < kills
		if !kill {
			child.Env = append(child.Env, childEnds+"=1")
		}
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, watch(t, child, out, kill, life%5 == 4)...)
		if err := child.Wait(); err != nil && !kill {
			t.Fatalf("the last child: %v", err)
		}
	}
	t.Logf("%d kills", kills)
	return lines
}

// watch reads what a child says and kills it: after a random number of acknowledgements and a little more, so that a slow machine
// does as much as a fast one; or early, while it opens its journal.
func watch(t *testing.T, child *exec.Cmd, out io.Reader, kill, early bool) (lines []string) {
	left := leastAcks + rand.IntN(200)
	soon := func(most time.Duration) { time.AfterFunc(rand.N(most), func() { child.Process.Kill() }) }
	for in := bufio.NewReader(out); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			if err != io.EOF && !errors.Is(err, os.ErrClosed) {
				t.Fatal(err)
			}
			return lines
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
		switch {
		case !kill:
		case early && line == "alive\n":
			soon(40 * time.Millisecond)
		case !early && strings.HasPrefix(line, "acked"):
			if left--; left == 0 {
				soon(5 * time.Millisecond)
			}
		}
	}
}

// leastAcks is how much each child does that is not killed early.
const leastAcks = 30

func say(words ...any) { fmt.Fprintln(os.Stdout, words...) }

// A table is a sink in SQLite as the comment of cache.Batch wants it. It fails now and then, before or after its commit.
type table struct{ db *sql.DB }

const schema = `
	CREATE TABLE IF NOT EXISTS applied (journal BLOB PRIMARY KEY, seq INTEGER NOT NULL);
	CREATE TABLE IF NOT EXISTS rows (key INTEGER PRIMARY KEY, value INTEGER NOT NULL);
	CREATE TABLE IF NOT EXISTS history (key INTEGER, value INTEGER, seq INTEGER);`

func openTable(dir string) (*table, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "sink.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(schema)
	return &table{db}, err
}

var errNow = errors.New("not now")

// write applies a batch once; set says what an entry does to its row.
func (s *table) write(ctx context.Context, b cache.Batch[int64, int64], set string) (err error) {
	content := sha256.Sum256(fmt.Append(nil, b.Entries))
	say("offer", b.ID.Seq, hex.EncodeToString(content[:8]), hex.EncodeToString(b.ID.Journal[:]))
	if rand.IntN(8) == 0 {
		return errNow
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	result, err := tx.ExecContext(ctx, `INSERT INTO applied VALUES (?, ?)
		ON CONFLICT (journal) DO UPDATE SET seq = excluded.seq WHERE seq < excluded.seq`, b.ID.Journal[:], b.ID.Seq)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); n == 0 || err != nil {
		return err
	}
	for _, e := range b.Entries {
		if _, err := tx.ExecContext(ctx, `INSERT INTO rows VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = `+set, e.Key, e.Value); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO history VALUES (?, ?, ?)`, e.Key, e.Value, b.ID.Seq); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if rand.IntN(8) == 0 {
		return errNow // the answer is lost
	}
	return nil
}

// load reads totals and the last batch they have.
func (s *table) load(ctx context.Context, journal [16]byte, keys []int64) (map[int64]int64, uint64, error) {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, 0, err
	}
	defer tx.Rollback()
	var seq uint64
	if err := tx.QueryRowContext(ctx, `SELECT seq FROM applied WHERE journal = ?`, journal[:]).Scan(&seq); err != nil && err != sql.ErrNoRows {
		return nil, 0, err
	}
	totals := map[int64]int64{}
	for _, key := range keys {
		var value int64
		if err := tx.QueryRowContext(ctx, `SELECT value FROM rows WHERE key = ?`, key).Scan(&value); err != nil && err != sql.ErrNoRows {
			return nil, 0, err
		}
		totals[key] = value
	}
	return totals, seq, nil
}

// said are the words of the lines that begin with what, as numbers.
func said(lines []string, what string, each func(n ...int64)) {
	for _, line := range lines {
		words, ok := strings.CutPrefix(line, what+" ")
		if !ok {
			continue
		}
		var a, b, c int64
		if n, _ := fmt.Sscan(words, &a, &b, &c); n >= 2 {
			each(a, b, c)
		}
	}
}

// wantSameBatches checks that what was offered more than once had one content, and that batches came in their order.
func wantSameBatches(t *testing.T, lines []string) {
	t.Helper()
	contents, last, again := map[string]string{}, 0, 0
	for _, line := range lines {
		var seq int
		var content, journal string
		if n, _ := fmt.Sscanf(line, "offer %d %s %s", &seq, &content, &journal); n != 3 || len(journal) != 32 {
			continue
		}
		id := fmt.Sprint(journal, " ", seq)
		if before, ok := contents[id]; !ok {
			contents[id] = content
		} else if again++; before != content {
			t.Errorf("batch %s was offered as %s and as %s", id, before, content)
		}
		if seq != last && seq != last+1 {
			t.Errorf("batch %d was offered after %d", seq, last)
		}
		last = seq
	}
	t.Logf("%d batches, %d offered again", len(contents), again)
}

func (s *table) rows(t *testing.T, query string, each func(key, value int64)) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key, value int64
		if err := rows.Scan(&key, &value); err != nil {
			t.Fatal(err)
		}
		each(key, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

const (
	killWorkers = 6
	killKeys    = 3 // of each worker
)

var quick = cache.Retry{Attempts: 1000, First: time.Millisecond, Most: 2 * time.Millisecond}

// Each worker puts rising versions of its own keys. At the end each row has the last version that was acknowledged, or one that
// was begun after it and whose fate the kill has hidden.
func TestWriteBehindKill(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		endChild(putAsChild(dir))
	}
	dir := t.TempDir()
	lines := lives(t, t.Name(), dir)
	wantSameBatches(t, lines)
	acked, begun, acks := map[int64]int64{}, map[int64]int64{}, 0
	said(lines, "begin", func(n ...int64) { begun[n[0]] = n[1] })
	said(lines, "acked", func(n ...int64) { acked[n[0]] = n[1]; acks++ })
	s, err := openTable(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	got := map[int64]int64{}
	s.rows(t, "SELECT key, value FROM rows", func(key, value int64) { got[key] = value })
	for key := range acked {
		if got[key] < acked[key] || got[key] > begun[key] {
			t.Errorf("key %d is %d; %d was acknowledged last and %d begun", key, got[key], acked[key], begun[key])
		}
	}
	newest := map[int64]int64{}
	s.rows(t, "SELECT key, value FROM history ORDER BY seq", func(key, value int64) {
		if value <= newest[key] {
			t.Errorf("key %d: version %d was written after %d", key, value, newest[key])
		}
		newest[key] = value
	})
	if acks < 3*leastAcks {
		t.Errorf("only %d acknowledged: the test proves nothing", acks)
	}
	t.Logf("%d acknowledged", acks)
}

func endChild(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func putAsChild(dir string) error {
	say("alive")
	s, err := openTable(dir)
	if err != nil {
		return err
	}
	w, err := cache.DefineWriteBehind(cache.WriteBehindOptions[int64, int64]{
		Name: "rows", Dir: filepath.Join(dir, "journal"), FlushEvery: 5 * time.Millisecond, BatchMax: 8, PendingMax: 16,
		JournalMax: 16 << 10, Retry: quick, // short segments: many checkpoints
		Write: func(ctx context.Context, b cache.Batch[int64, int64]) error { return s.write(ctx, b, "excluded.value") },
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if os.Getenv(childEnds) != "" {
		return errors.Join(w.Close(ctx), s.db.Close())
	}
	var life int64
	fmt.Sscan(os.Getenv(childLife), &life)
	failed := make(chan error)
	for worker := range int64(killWorkers) {
		go func() {
			for version := (life + 1) << 32; ; version++ {
				key := worker*killKeys + version%killKeys
				say("begin", key, version)
				if err := w.Put(ctx, key, version); err != nil {
					failed <- err
					return
				}
				say("acked", key, version)
				if v, pending := w.Get(key); pending && v != version {
					failed <- fmt.Errorf("key %d is pending as %d after %d was put", key, v, version)
					return
				}
			}
		}()
	}
	return <-failed
}

// Each worker adds to its own keys. At the end each row has the sum of what was acknowledged, and of some of the Adds that were under way
// at a kill; while it lives, each worker reads exactly what it has added.
func TestCounterKill(t *testing.T) {
	if dir := os.Getenv(childDir); dir != "" {
		endChild(addAsChild(dir))
	}
	dir := t.TempDir()
	lines := lives(t, t.Name(), dir)
	wantSameBatches(t, lines)
	acked, unknown, acks := map[int64]int64{}, map[int64]map[int64]int64{}, 0
	said(lines, "begin", func(n ...int64) { // key, delta, number
		if unknown[n[0]] == nil {
			unknown[n[0]] = map[int64]int64{}
		}
		unknown[n[0]][n[2]] = n[1]
	})
	said(lines, "acked", func(n ...int64) {
		acked[n[0]] += n[1]
		delete(unknown[n[0]], n[2])
		acks++
	})
	s, err := openTable(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	got := map[int64]int64{}
	s.rows(t, "SELECT key, value FROM rows", func(key, value int64) { got[key] = value })
	inFlight := 0
	for key, sum := range acked {
		inFlight += len(unknown[key])
		if !sumOfSome(got[key]-sum, unknown[key]) {
			t.Errorf("key %d is %d; %d was acknowledged, and under way were %v", key, got[key], sum, unknown[key])
		}
	}
	if acks < 3*leastAcks {
		t.Errorf("only %d acknowledged: the test proves nothing", acks)
	}
	t.Logf("%d acknowledged, %d under way at a kill", acks, inFlight)
}

// sumOfSome tells whether want is the sum of some of the deltas.
func sumOfSome(want int64, deltas map[int64]int64) bool {
	sums := map[int64]bool{0: true}
	for _, delta := range deltas {
		next := map[int64]bool{}
		for sum := range sums {
			next[sum], next[sum+delta] = true, true
		}
		sums = next
	}
	return sums[want]
}

func addAsChild(dir string) error {
	say("alive")
	s, err := openTable(dir)
	if err != nil {
		return err
	}
	c, err := cache.DefineCounter(cache.CounterOptions[int64]{
		Name: "views", Dir: filepath.Join(dir, "journal"), FlushEvery: 5 * time.Millisecond, BatchMax: 8, PendingMax: 16,
		JournalMax: 16 << 10, Retry: quick, Load: s.load,
		Write: func(ctx context.Context, b cache.Batch[int64, int64]) error {
			return s.write(ctx, b, "value + excluded.value")
		},
	})
	if err != nil {
		return err
	}
	ctx := context.Background()
	if os.Getenv(childEnds) != "" {
		return errors.Join(c.Close(ctx), s.db.Close())
	}
	var life int64
	fmt.Sscan(os.Getenv(childLife), &life)
	failed := make(chan error)
	for worker := range int64(killWorkers) {
		go func() { failed <- addToOwn(ctx, c, worker, life) }()
	}
	return <-failed
}

// addToOwn adds to the keys of one worker and compares what it reads with what it has added.
func addToOwn(ctx context.Context, c *cache.Counter[int64], worker, life int64) error {
	own := map[int64]int64{}
	for key := worker * killKeys; key < (worker+1)*killKeys; key++ {
		totals, err := c.Get(ctx, key)
		if err != nil {
			return err
		}
		own[key] = totals[key]
	}
	for number := life << 32; ; number++ {
		key, delta := worker*killKeys+number%killKeys, 1+rand.Int64N(50)
		say("begin", key, delta, number)
		total, err := c.Add(ctx, key, delta)
		if err != nil {
			return err
		}
		say("acked", key, delta, number)
		own[key] += delta
		totals, err := c.Get(ctx, key)
		if err != nil || total != own[key] || totals[key] != own[key] {
			return fmt.Errorf("key %d: Add returned %d and Get %d, %v; want %d", key, total, totals[key], err, own[key])
		}
	}
}
