package cache

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Errors of what is kept in a journal: a WriteBehind and a Counter. They are constants: compare them with errors.Is.
const (
	// ErrJournalFull: there was no room for another entry until the caller gave up waiting, or there never can be.
	ErrJournalFull = constError("cache: journal is full")
	// ErrJournalLocked: another process, or another definition in this one, has the folder open.
	ErrJournalLocked = constError("cache: journal is in use")
	// ErrRefused is what a sink wraps to say that it has not applied a batch and never will: it is not tried again.
	ErrRefused = constError("cache: batch refused")
	// ErrNoDeadLetter: no dead letter bears that number, or not any more.
	ErrNoDeadLetter = constError("cache: no such dead letter")
)

// JournalDamageError says that a journal holds something that no crash can have left there. What was acknowledged may be lost
// with it, so it is not opened.
type JournalDamageError struct {
	File   string
	Offset int64
	Reason string
}

func (e *JournalDamageError) Error() string {
	return fmt.Sprintf("journal %s is damaged at byte %d: %s", e.File, e.Offset, e.Reason)
}

// A journal makes payloads durable, one fsync each; who wants to share an fsync puts what waits together into one payload.
// Its folder holds
//
//	lock                  held with flock while the journal is open
//	000000000000002a.seg  the segment in use: header, checkpoint, payloads
//	000000000000002b.tmp  the next one, until it is durable
//
// Each segment begins with a checkpoint of all that is owed, so the ones before it are removed as soon as it is durable, and
// the journal is never longer than a fixed multiple of what is pending. A segment is appended to only by the process that
// began it and only after each write before has been fsynced. So what a crash can leave is a torn last frame and nothing
// else; recovery reads up to it and begins a new segment, and never appends behind something torn.
//
// After a failed write or fsync nobody knows what the file holds (Rebello et al., Can Applications Recover from fsync
// Failures?, ATC 2020): it is given up, and the next commit begins a new segment from memory, which holds exactly what has
// been acknowledged.
//
// A journal belongs to one goroutine.
type journal struct {
	disk       journalDisk
	dir        string
	lock       *os.File
	checkpoint func(buf []byte) ([]byte, error) // appends the state that all payloads so far have led to

	id      [16]byte
	number  uint64 // of the segment in use
	file    journalFile
	size    int64
	limit   int64 // beyond which the next commit begins another segment
	segment int64 // the shortest limit
	broken  bool  // a write has failed: the segment is not appended to any more
	buf     []byte
	syncs   uint64
}

// journalOptions says where a journal is and what it is a journal of.
type journalOptions struct {
	dir     string
	segment int64
	disk    journalDisk
	// replay is called while the journal is opened: first with a checkpoint, then with each payload since.
	replay     func(payload []byte, checkpoint bool) error
	checkpoint func(buf []byte) ([]byte, error)
}

// openJournal locks the folder, replays what is in it and begins a new segment.
func openJournal(o journalOptions) (_ *journal, err error) {
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of journal: %w", err)
	}
	lock, err := lockJournal(filepath.Join(o.dir, "lock"))
	if err != nil {
		return nil, err
	}
	j := &journal{disk: o.disk, dir: o.dir, lock: lock, checkpoint: o.checkpoint, segment: o.segment}
	defer func() {
		if err != nil {
			j.close()
		}
	}()
	if err := j.recover(o.replay); err != nil {
		return nil, err
	}
	if err := j.begin(); err != nil {
		return nil, err
	}
	return j, nil
}

// recover reads the newest segment. Older ones are what a crash kept from being removed.
func (j *journal) recover(replay func([]byte, bool) error) error {
	names, err := j.segments()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		rand.Read(j.id[:])
		return nil
	}
	newest := names[len(names)-1]
	path := filepath.Join(j.dir, newest)
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	s, err := parseSegment(data)
	for i, payload := range s.payloads {
		if err != nil {
			break
		}
		if bad := replay(payload.data, i == 0); bad != nil {
			err = &JournalDamageError{Offset: payload.at, Reason: bad.Error()}
		}
	}
	if damage, ok := errors.AsType[*JournalDamageError](err); ok {
		damage.File = path
	}
	j.id, j.number = s.id, s.number
	return err
}

// commit returns when payload is durable. After an error it may be found by the next recovery or not, unless a later commit
// has succeeded: then it is gone.
func (j *journal) commit(payload []byte) error {
	if j.broken || j.size >= j.limit {
		if err := j.begin(); err != nil {
			return err
		}
	}
	j.buf = appendFrame(j.buf[:0], j.id, j.number, j.size, payload)
	if err := j.write(j.file, j.buf); err != nil {
		j.broken = true
		return fmt.Errorf("append to journal: %w", err)
	}
	j.size += int64(len(j.buf))
	return nil
}

// write writes and waits for the disk.
func (j *journal) write(f journalFile, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	j.syncs++
	return f.Sync()
}

// begin makes a new segment the one in use, with a checkpoint in it. It gets its name when it is durable.
func (j *journal) begin() error {
	number := j.number + 1
	buf := appendHeader(j.buf[:0], j.id, number)
	state, err := j.checkpoint(nil)
	if err != nil {
		return fmt.Errorf("make checkpoint of journal: %w", err)
	}
	buf = appendFrame(buf, j.id, number, int64(len(buf)), state)
	name := fmt.Sprintf("%016x", number)
	temporary := filepath.Join(j.dir, name+".tmp")
	f, err := j.disk.Create(temporary)
	if err != nil {
		return fmt.Errorf("begin segment of journal: %w", err)
	}
	err = j.write(f, buf)
	if err == nil {
		err = j.disk.Rename(temporary, filepath.Join(j.dir, name+segmentSuffix))
	}
	if err == nil {
		err = j.disk.SyncDir(j.dir)
	}
	if err != nil {
		// If the name has been given to it, the next attempt takes the same name again. Until then the segment before counts
		// as given up: a crash now would find either.
		j.broken = true
		return errors.Join(fmt.Errorf("begin segment of journal: %w", err), f.Close(), removeIfThere(temporary))
	}
	if j.file != nil {
		j.file.Close() // all that counts in it is in the new one
	}
	j.buf, j.file, j.number, j.broken = buf, f, number, false
	j.size = int64(len(buf))
	j.limit = max(j.segment, 2*j.size)
	j.removeOthers()
	return nil
}

// removeOthers removes all segments but the one in use. What cannot be removed is tried again with the next segment.
func (j *journal) removeOthers() {
	names, _ := os.ReadDir(j.dir)
	for _, f := range names {
		number, ok := segmentNumber(f.Name())
		if (ok && number != j.number) || strings.HasSuffix(f.Name(), ".tmp") {
			os.Remove(filepath.Join(j.dir, f.Name()))
		}
	}
}

// close lets go of the folder.
func (j *journal) close() error {
	var errs []error
	if j.file != nil {
		errs = append(errs, j.file.Close())
	}
	return errors.Join(append(errs, j.lock.Close())...)
}

const segmentSuffix = ".seg"

// segments returns the names of the segments, the newest last.
func (j *journal) segments() ([]string, error) {
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("list journal: %w", err)
	}
	var names []string
	for _, f := range files {
		if _, ok := segmentNumber(f.Name()); ok {
			names = append(names, f.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(a, b) }) // of one length
	return names, nil
}

func segmentNumber(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
