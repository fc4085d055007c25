package cache

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// Stats is what a space has done since it was defined. Hits and Misses count keys, and their sum is the number of
// keys asked for.
type Stats struct {
	Name         string    `json:"name"`
	Entries      int       `json:"entries"`       // now in memory, including those that have expired and wait to be removed
	Bytes        uint64    `json:"bytes"`         // that they take, where the space has a Weigh; else 0
	Hot          int       `json:"hot"`           // keys that Space.Hot names now
	Hits         uint64    `json:"hits"`          // answered from memory, remembered absences included
	Misses       uint64    `json:"misses"`        // had to ask the source, or to wait for somebody who did
	Loads        uint64    `json:"loads"`         // calls of the loader
	LoadErrors   uint64    `json:"load_errors"`   // loads that failed, timed out or panicked
	LoadTime     Histogram `json:"load_time"`     // of the calls that have returned
	Refused      uint64    `json:"refused"`       // reads that found MaxLoads in flight
	StaleServed  uint64    `json:"stale_served"`  // keys answered with a stale value
	Evictions    uint64    `json:"evictions"`     // entries removed for want of room
	RemoteHits   uint64    `json:"remote_hits"`   // keys answered by the remote layer
	RemoteMisses uint64    `json:"remote_misses"` // keys that it lacked, so that this node loaded them under a lease
	Rejected     uint64    `json:"rejected"`      // values that the remote layer did not take, because their key had been fenced meanwhile
	Undecodable  uint64    `json:"undecodable"`   // values in the remote layer that are none of this program's
	Unstorable   uint64    `json:"unstorable"`    // values that are too long for the remote layer, or that the codec refuses

	// See Policy.AuditEvery. The hits that were sampled are the first three together, and a few that are under way.
	Audited       uint64 `json:"audited"`        // hits that were compared with the source
	AuditsDropped uint64 `json:"audits_dropped"` // that nobody had time to compare
	AuditsFailed  uint64 `json:"audits_failed"`  // that could not be: the source failed, read behind, was late, or contradicted itself
	StaleReads    uint64 `json:"stale_reads"`    // of those compared: memory should have forgotten what it answered
}

// Observer is told about one space as it happens, where a count is not enough. Its methods are called from many
// goroutines at once, never on the way of a hit, and must not block. What can be counted is read from Stack.Stats.
type Observer interface {
	// Loaded reports one load: how many keys it had, how long it took, the remote layer included, how it ended.
	Loaded(keys int, took time.Duration, err error)
	// ServedStale reports one key answered with a stale value, and how long past its TTL the value was.
	ServedStale(late time.Duration)
}

// nobody is the observer of a space that none watches.
type nobody struct{}

func (nobody) Loaded(int, time.Duration, error) {}
func (nobody) ServedStale(time.Duration)        {}

// counts are the live numbers behind Stats.
type counts struct {
	hits                                                       striped
	misses, loads, loadErrors, refused, staleServed, evictions atomic.Uint64
	remoteHits, remoteMisses                                   atomic.Uint64
	rejected, undecodable, unstorable                          atomic.Uint64
	audited, auditsDropped, auditsFailed, staleReads           atomic.Uint64
	loadTime                                                   histogram
	hot                                                        atomic.Int64
}

// striped is a counter for the way of a hit. A single atomic word would travel between the cores at each hit (6 to 15 ns on
// two of them); here each goroutine adds to a cell of its own, with few exceptions (1.5 ns).
type striped struct{ cells [stripedCells]cell }

type cell struct {
	n atomic.Uint64
	_ [64 - 8]byte // one cell per cache line
}

const (
	stripedBits  = 5
	stripedCells = 1 << stripedBits
)

// cell is where the goroutine that calls counts for now. Another function of the same goroutine may be given another.
func (s *striped) cell() *cell { return &s.cells[stripe()] }

// add returns what has been added so far.
func (c *cell) add(n uint64) uint64 { return c.n.Add(n) }

// chosen is true for one in eight of what is counted next in this cell, whatever its order.
func (c *cell) chosen() bool { return c.n.Load()*spread>>61 == 0 }

func (s *striped) sum() uint64 {
	var sum uint64
	for i := range s.cells {
		sum += s.cells[i].n.Load()
	}
	return sum
}

// stripe spreads goroutines over the cells by the address of their stack, the cheapest thing in which two that run at the same
// time differ. Below 2 KiB, the smallest stack, the address tells the depth of the call instead. The multiplier is 2^64 over
// the golden ratio; the high bits of the product are the good ones (Knuth, TAOCP 3, 6.4).
func stripe() uint64 {
	var here byte
	return uint64(uintptr(unsafe.Pointer(&here))) >> 11 * 0x9e3779b97f4a7c15 >> (64 - stripedBits)
}
