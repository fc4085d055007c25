package reach_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/freshet/freshet/store/reach"
)

// reader is an evenly spread hash.
func reader(seed, n int) uint64 {
	sum := sha256.Sum256(fmt.Append(nil, seed, " ", n))
	return binary.BigEndian.Uint64(sum[:])
}

// again stores a set and reads it.
func again(t *testing.T, s *reach.Set) *reach.Set {
	t.Helper()
	read, err := reach.Parse(s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestCountsExactlyToTheBound(t *testing.T) {
	s := new(reach.Set)
	for n := 1; n <= reach.Exact; n++ {
		if !s.Add(reader(1, n)) {
			t.Fatalf("reader %d changes nothing", n)
		}
		if s.Add(reader(1, n)) {
			t.Fatalf("reader %d counts twice", n)
		}
		if s = again(t, s); s.Count() != int64(n) {
			t.Fatalf("%d readers count as %d", n, s.Count())
		}
	}
}

// The mean error over many sets says whether the sketch is what it claims; the
// hashes are fixed, so that the test always sees the same sets.
func TestEstimatesBeyondTheBound(t *testing.T) {
	const sets, claimed = 20, 1.04 / 64
	for _, n := range []int{reach.Exact + 1, 2_000, 20_000} {
		var squares float64
		for seed := range sets {
			s := new(reach.Set)
			for i := range n {
				s.Add(reader(seed, i))
			}
			off := float64(s.Count())/float64(n) - 1
			squares += off * off
			if size := len(s.Bytes()); size > 4200 {
				t.Fatalf("a set takes %d bytes", size)
			}
			if again(t, s).Count() != s.Count() {
				t.Fatal("a stored set counts otherwise")
			}
		}
		if got := math.Sqrt(squares / sets); got > 1.5*claimed {
			t.Errorf("%d readers: the standard error is %.2f %%, the page says %.2f %%", n, 100*got, 100*claimed)
		} else {
			t.Logf("%d readers: standard error %.2f %%", n, 100*got)
		}
	}
}

// A union is the same in any order and however often its parts come.
func TestAddingIsAUnion(t *testing.T) {
	for _, n := range []int{100, 3 * reach.Exact} {
		var hashes []uint64
		for i := range n {
			hashes = append(hashes, reader(7, i))
		}
		a, b := new(reach.Set), new(reach.Set)
		for _, h := range hashes {
			a.Add(h)
		}
		slices.Reverse(hashes)
		for range 2 {
			for _, h := range hashes {
				b.Add(h)
			}
			b = again(t, b)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%d readers: another order or a second time makes another set", n)
		}
	}
}

func FuzzParse(f *testing.F) {
	small, large := new(reach.Set), new(reach.Set)
	for i := range reach.Exact + 1 {
		if i < 3 {
			small.Add(reader(1, i))
		}
		large.Add(reader(1, i))
	}
	f.Add([]byte(nil))
	f.Add(small.Bytes())
	f.Add(large.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := reach.Parse(data)
		if err != nil {
			return
		}
		if got, err := reach.Parse(s.Bytes()); err != nil || got.Count() != s.Count() {
			t.Fatalf("read again: %v", err)
		}
		s.Add(1)
	})
}
