package cache

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// A forgetfulDisk can be full, can fail to sync, and knows what would be left of it after the power has failed.
type forgetfulDisk struct {
	mu      sync.Mutex
	full    bool  // writes take half of what they are given
	syncErr error // of the next Sync
	synced  map[string]int
	renamed map[string]string // new names to old ones, until the folder is synced
}

func newForgetfulDisk() *forgetfulDisk {
	return &forgetfulDisk{synced: map[string]int{}, renamed: map[string]string{}}
}

func (d *forgetfulDisk) fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *forgetfulDisk) Create(path string) (journalFile, error) {
	f, err := osDisk{}.Create(path)
	return &forgetfulFile{disk: d, file: f, path: path}, err
}

func (d *forgetfulDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.synced[to], d.renamed[to] = d.synced[from], from
	return osDisk{}.Rename(from, to)
}

func (d *forgetfulDisk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.renamed)
	return osDisk{}.SyncDir(dir)
}

// powerFails copies what a folder would hold into another: of each file what was synced and, as the system may have written
// some of the rest, a few bytes more.
func (d *forgetfulDisk) powerFails(t *testing.T, dir string, more int) (after string) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	after = t.TempDir()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path, name := filepath.Join(dir, f.Name()), f.Name()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if old, ok := d.renamed[path]; ok {
			name = filepath.Base(old)
		}
		data = data[:min(len(data), d.synced[path]+more)]
		if err := os.WriteFile(filepath.Join(after, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return after
}

type forgetfulFile struct {
	disk    *forgetfulDisk
	file    journalFile
	path    string
	written int
}

func (f *forgetfulFile) Write(data []byte) (int, error) {
	f.disk.mu.Lock()
	full := f.disk.full
	f.disk.mu.Unlock()
	if full {
		n, _ := f.file.Write(data[:len(data)/2])
		return n, syscall.ENOSPC
	}
	n, err := f.file.Write(data)
	f.written += n
	return n, err
}

func (f *forgetfulFile) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if err := f.disk.syncErr; err != nil {
		f.disk.syncErr = nil
		return err
	}
	f.disk.synced[f.path] = f.written
	for to, from := range f.disk.renamed {
		if from == f.path {
			f.disk.synced[to] = f.written
		}
	}
	if segment := f.path[:len(f.path)-len(filepath.Ext(f.path))] + segmentSuffix; f.disk.synced[segment] > 0 {
		f.disk.synced[segment] = f.written // it was created under its other name
	}
	return f.file.Sync()
}

func (f *forgetfulFile) Close() error { return f.file.Close() }

// A notebook is the simplest state that a journal can be of: all payloads, one after another.
type notebook struct{ lines [][]byte }

func (n *notebook) open(dir string, disk journalDisk, segment int64) (*journal, error) {
	return openJournal(journalOptions{
		dir: dir, disk: disk, segment: segment,
		replay: func(payload []byte, checkpoint bool) error {
			if !checkpoint {
				n.lines = append(n.lines, bytes.Clone(payload))
				return nil
			}
			r := &fieldReader{data: payload}
			for len(r.data) > 0 {
				n.lines = append(n.lines, bytes.Clone(r.chunk()))
			}
			if r.bad {
				return errRecord
			}
			return nil
		},
		checkpoint: func(buf []byte) ([]byte, error) {
			for _, line := range n.lines {
				buf = appendChunk(buf, line)
			}
			return buf, nil
		},
	})
}

// write commits lines and notes those that were acknowledged.
func (n *notebook) write(t *testing.T, j *journal, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := j.commit([]byte(line)); err != nil {
			t.Fatal(err)
		}
		n.lines = append(n.lines, []byte(line))
	}
}

func (n *notebook) texts() (texts []string) {
	for _, line := range n.lines {
		texts = append(texts, string(line))
	}
	return texts
}

// wantLines opens the journal in dir and compares what is in it.
func wantLines(t *testing.T, dir string, want ...string) {
	t.Helper()
	var n notebook
	j, err := n.open(dir, osDisk{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if got := n.texts(); !slices.Equal(got, want) {
		t.Fatalf("journal holds %q, want %q", got, want)
	}
}

func onlySegment(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	if err != nil || len(names) != 1 {
		t.Fatalf("segments %v, %v; want one", names, err)
	}
	return names[0]
}

// notes makes a journal with three commits behind its checkpoint and returns its folder, its segment, and where each begins.
func notes(t *testing.T) (dir string, data []byte, begins []int) {
	t.Helper()
	dir = t.TempDir()
	var n notebook
	j, err := n.open(dir, osDisk{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"one", "two", "three"} {
		begins = append(begins, int(j.size))
		n.write(t, j, line)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	data, err = os.ReadFile(onlySegment(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return dir, data, begins
}

// withSegment makes a folder of a journal whose only segment is data.
func withSegment(t *testing.T, data []byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestJournalSurvivesReopening(t *testing.T) {
	dir, _, _ := notes(t)
	wantLines(t, dir, "one", "two", "three")
	wantLines(t, dir, "one", "two", "three")
}

// A crash may leave any part of the last write: the commits before it are there, and nothing of it.
func TestJournalTornAtEachByte(t *testing.T) {
	_, data, begins := notes(t)
	for cut := begins[2]; cut < len(data); cut++ {
		wantLines(t, withSegment(t, data[:cut]), "one", "two")
		hole := slices.Concat(data[:cut], make([]byte, len(data)-cut)) // the length was written, the blocks were not
		wantLines(t, withSegment(t, hole), "one", "two")
	}
	wantLines(t, withSegment(t, data[:begins[2]]), "one", "two")
}

// What is behind a torn write must not come to life when a later write fills the gap before it.
func TestJournalIsNotContinuedBehindATornWrite(t *testing.T) {
	_, data, begins := notes(t)
	dir := withSegment(t, data[:begins[2]+5])
	var n notebook
	j, err := n.open(dir, osDisk{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, j, "four")
	j.close()
	wantLines(t, dir, "one", "two", "four")
}

// No crash damages what was durable: that is said, with the place, and nothing is dropped.
func TestJournalDamagedInTheMiddle(t *testing.T) {
	_, data, begins := notes(t)
	for at := range begins[2] {
		flipped := bytes.Clone(data)
		flipped[at] ^= 1 << (at % 8)
		dir := withSegment(t, flipped)
		var n notebook
		_, err := n.open(dir, osDisk{}, 1<<20)
		damage, ok := errors.AsType[*JournalDamageError](err)
		if !ok {
			t.Fatalf("byte %d of %d flipped: err = %v, want a JournalDamageError; read %q", at, len(data), err, n.texts())
		}
		if damage.File != onlySegment(t, dir) || damage.Offset > int64(at) {
			t.Fatalf("byte %d flipped: reported at byte %d of %s", at, damage.Offset, damage.File)
		}
	}
}

func TestJournalCheckpointCutShort(t *testing.T) {
	_, data, begins := notes(t)
	for cut := range begins[0] {
		var n notebook
		_, err := n.open(withSegment(t, data[:cut]), osDisk{}, 1<<20)
		if _, ok := errors.AsType[*JournalDamageError](err); !ok {
			t.Fatalf("cut at byte %d: err = %v, want a JournalDamageError", cut, err)
		}
	}
}

func TestJournalIsLocked(t *testing.T) {
	dir := t.TempDir()
	var n notebook
	j, err := n.open(dir, osDisk{}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.open(dir, osDisk{}, 1<<20); !errors.Is(err, ErrJournalLocked) {
		t.Fatalf("second opening: %v, want ErrJournalLocked", err)
	}
	j.close()
	wantLines(t, dir)
}

// A segment is replaced by a checkpoint when it is long enough, so the folder follows what is owed and not what was written.
func TestJournalStaysShort(t *testing.T) {
	dir := t.TempDir()
	var n notebook
	j, err := n.open(dir, osDisk{}, 4<<10)
	if err != nil {
		t.Fatal(err)
	}
	line := string(make([]byte, 100))
	for range 1000 {
		n.write(t, j, line)
		n.lines = n.lines[:0] // it has been dealt with
	}
	n.write(t, j, "last")
	j.close()
	info, err := os.Stat(onlySegment(t, dir))
	if err != nil || info.Size() > 5<<10 {
		t.Fatalf("%d bytes after 100 kB, %v", info.Size(), err)
	}
	if j.number < 20 {
		t.Fatalf("only %d segments", j.number)
	}
	n.lines = nil
	j, err = n.open(dir, osDisk{}, 4<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	if got := n.texts(); got[len(got)-1] != "last" {
		t.Fatalf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
}

// What commit has acknowledged is there after the power failed, whatever part of the rest is.
func TestJournalAcknowledgesWhatIsDurable(t *testing.T) {
	disk, dir := newForgetfulDisk(), t.TempDir()
	var n notebook
	j, err := n.open(dir, disk, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	for i := range 40 {
		n.write(t, j, string(rune('a'+i)))
		wantLines(t, disk.powerFails(t, dir, i%7), n.texts()...)
	}
}

func TestJournalOnAFullDisk(t *testing.T) {
	disk, dir := newForgetfulDisk(), t.TempDir()
	var n notebook
	j, err := n.open(dir, disk, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	n.write(t, j, "before")
	disk.fill(true)
	for range 3 {
		if err := j.commit([]byte("refused")); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("commit on a full disk: %v", err)
		}
		wantLines(t, disk.powerFails(t, dir, 9), "before")
	}
	disk.fill(false)
	n.write(t, j, "after")
	wantLines(t, disk.powerFails(t, dir, 0), "before", "after")
}

// After a failed fsync the system may have dropped what was written and call the next fsync a success: the file is given up.
func TestJournalGivesUpAFileThatFailedToSync(t *testing.T) {
	disk, dir := newForgetfulDisk(), t.TempDir()
	var n notebook
	j, err := n.open(dir, disk, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	n.write(t, j, "before")
	segment := onlySegment(t, dir)
	disk.syncErr = syscall.EIO
	if err := j.commit([]byte("lost")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("commit: %v", err)
	}
	n.write(t, j, "after")
	if onlySegment(t, dir) == segment {
		t.Fatal("the file is still in use")
	}
	wantLines(t, disk.powerFails(t, dir, 0), "before", "after")
}

func FuzzJournalSegment(f *testing.F) {
	id := [16]byte{1, 2, 3, 4}
	whole := appendHeader(nil, id, 7)
	whole = appendFrame(whole, id, 7, int64(len(whole)), []byte("checkpoint"))
	whole = appendFrame(whole, id, 7, int64(len(whole)), []byte("payload"))
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(whole[:headerSize])
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseSegment(data)
		if err != nil {
			return
		}
		// What is read is what would be written, and what is left out is torn.
		again := appendHeader(nil, s.id, s.number)
		for _, p := range s.payloads {
			if p.at != int64(len(again)) {
				t.Fatalf("a payload at byte %d, want %d", p.at, len(again))
			}
			again = appendFrame(again, s.id, s.number, p.at, p.data)
		}
		if !bytes.HasPrefix(data, again) {
			t.Fatalf("read %x of %x", again, data)
		}
	})
}
