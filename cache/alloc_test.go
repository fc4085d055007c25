//go:build !race

package cache_test

import "testing"

func TestHitsAllocateNothing(t *testing.T) {
	c := warmCache(t)
	ctx := t.Context()
	var id int64
	if n := testing.AllocsPerRun(1000, func() {
		id++
		if _, err := c.Get(ctx, id%benchPosts); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Get allocates %v times", n)
	}
	keys, values, found := make([]int64, pageSize), make([]*post, pageSize), make([]bool, pageSize)
	for i := range keys {
		keys[i] = int64(i)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if err := c.GetInto(ctx, keys, values, found); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("GetInto of a page allocates %v times", n)
	}
}
