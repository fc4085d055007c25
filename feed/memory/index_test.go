package memory

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndex compares an index with a map, under tags that coincide and that
// run over the end of the table.
func TestIndex(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var x index
	want := make(map[uint32][]uint32) // numbers by tag
	var all [][2]uint32
	for i := uint32(1); i <= 20_000; i++ {
		if len(all) == 0 || random.IntN(5) < 3 && len(all) < 500 {
			tag := ^uint32(0) - uint32(random.IntN(8))<<uint(random.IntN(30))
			x.add(tag, i)
			want[tag] = append(want[tag], i)
			all = append(all, [2]uint32{tag, i})
			continue
		}
		j := random.IntN(len(all))
		tag, number := all[j][0], all[j][1]
		all[j] = all[len(all)-1]
		all = all[:len(all)-1]
		x.remove(tag, number)
		want[tag] = slices.DeleteFunc(want[tag], func(n uint32) bool { return n == number })
		var got []uint32
		for n, next := x.first(tag); n != 0; n, next = x.next(tag, next) {
			got = append(got, n)
		}
		slices.Sort(got)
		slices.Sort(want[tag])
		if !slices.Equal(got, want[tag]) {
			t.Fatalf("step %d: under tag %x are %v, want %v", i, tag, got, want[tag])
		}
	}
	for tag, numbers := range want {
		for _, number := range numbers {
			n, next := x.first(tag)
			for n != number && n != 0 {
				n, next = x.next(tag, next)
			}
			if n != number {
				t.Errorf("number %d is lost", number)
			}
		}
	}
	if x.used != len(all) {
		t.Errorf("%d numbers are in the index, want %d", x.used, len(all))
	}
}
