package cache_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/freshet/freshet/cache"
)

// Who asks after a tag was fenced is not answered by a load that began before: the load may have read what was there.
func TestTagIsNotJoinedByWhoComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStack(t, cache.Options{})
		version, goOn := "old", make(chan struct{})
		var loads atomic.Int64
		c := cache.Define(s, cache.Space[string, string]{
			Name: "value", Tags: func(string, string) []string { return []string{"tag"} },
			LoadMany: func(_ context.Context, keys []string) (map[string]string, error) {
				loads.Add(1)
				read := version
				if read == "old" {
					<-goOn
				}
				m := make(map[string]string)
				for _, k := range keys {
					m[k] = read
				}
				return m, nil
			},
		})
		go func() { _, _ = c.Get(t.Context(), "one") }()
		go func() { _, _ = c.GetMany(t.Context(), []string{"many"}) }()
		synctest.Wait()
		version = "new"
		if err := s.InvalidateTags(t.Context(), "tag"); err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 2)
		go func() {
			v, err := c.Get(t.Context(), "one")
			if err != nil {
				t.Error(err)
			}
			got <- v
		}()
		go func() {
			m, err := c.GetMany(t.Context(), []string{"many"})
			if err != nil {
				t.Error(err)
			}
			got <- m["many"]
		}()
		synctest.Wait()
		close(goOn)
		for range 2 {
			if v := <-got; v != "new" {
				t.Errorf("who asked after the tag was fenced was told %q", v)
			}
		}
		if loads.Load() != 4 {
			t.Errorf("%d loads, want one of each key before and after", loads.Load())
		}
	})
}
