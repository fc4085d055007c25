package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Dependency is something that queries read and changes change: the rows of a table that lie under a key ("follows of user
// 7": {"follows", "7"}), or all of a table. Table and Key are names of the program's own choice; they need not be those of a
// database, only the same where a query is declared and where a change is told.
type Dependency struct {
	Table string
	Key   string // empty: all of the table
}

// A query bears the tags of what it reads, a change fences those of what it changes:
//
//	           reads (table, key)   reads all of the table
//	changes (table, key)   of key                 any
//	changes all            all                    any
//
// so that a change ends a query exactly if one names all of the table, or both name the same key.
func (d Dependency) keyTag() string { return "q:k\x00" + d.Table + "\x00" + d.Key }
func (d Dependency) allTag() string { return "q:a\x00" + d.Table }
func (d Dependency) anyTag() string { return "q:c\x00" + d.Table }

// readTags are the tags of a query that reads deps.
func readTags(deps []Dependency) []string {
	tags := make([]string, 0, 2*len(deps))
	for _, d := range deps {
		if d.Key == "" {
			tags = append(tags, d.anyTag())
		} else {
			tags = append(tags, d.keyTag(), d.allTag())
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// changeTags are the tags that a change of deps fences.
func changeTags(deps []Dependency) []string {
	tags := make([]string, 0, 2*len(deps))
	for _, d := range deps {
		if d.Key == "" {
			tags = append(tags, d.allTag(), d.anyTag())
		} else {
			tags = append(tags, d.keyTag(), d.anyTag())
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// Query declares a query whose results are kept until something that they were made of changes.
type Query[P comparable, R any] struct {
	// Name is that of the space which the results make: see Space.Name.
	Name string
	// Run asks the source for the result of one parameter, under the rules of Space.LoadMany. ErrNotFound, wrapped or not,
	// says that there is none; that is not remembered. Required.
	Run func(ctx context.Context, param P) (R, error)
	// Reads names all that the result was made of: whenever Run would give another result, one of these has changed. Package
	// cachetest checks it (cachetest.Queries). A result that reads nothing ends with its TTL. Required.
	Reads func(param P, result R) []Dependency
	// Policy is that of a Space, but for its TTL: it bounds how long a dependency that nobody declared, or a change that
	// nobody told, goes unseen. Default 1 h.
	Policy Policy

	Weigh   func(param P, result R) int // see Space
	Key     func(param P) string        // see Space
	Codec   Codec[R]                    // see Space
	Version uint64                      // see Space
	Local   bool                        // see Space
}

// queryTTL is for how long a query's result is kept that nothing ends.
const queryTTL = time.Hour

// DefineQuery adds a query to a stack, as Define adds a space, and returns the cache of its results. It panics where Define
// does.
//
// Stack.Changed ends results. What was computed before a change is served by nobody who asks after it, on no node, as long as
// the stack's channel tells them of it. Where the remote layer has no Channel, results stay in the memory of each node: what
// this one was told is gone at once, other nodes keep their results for Options.MaxStale at most.
func DefineQuery[P comparable, R any](stack *Stack, q Query[P, R]) *Cache[P, R] {
	if q.Run == nil || q.Reads == nil {
		panic(fmt.Sprintf("cache: query %q needs Run and Reads", q.Name))
	}
	if q.Policy.TTL == 0 {
		q.Policy.TTL = queryTTL
	}
	c := Define(stack, Space[P, R]{
		Name: q.Name, Policy: q.Policy, LoadMany: eachAlone(q.Run),
		Weigh: q.Weigh, Key: q.Key, Codec: q.Codec, Version: q.Version,
		Tags:  func(param P, result R) []string { return readTags(q.Reads(param, result)) },
		Local: q.Local || stack.channel == nil,
	})
	c.policy.NegativeTTL = 0 // an absence bears no tags: nothing would end it
	return c
}

// changedMax is how many tags are fenced in one call of the remote layer.
const changedMax = 500

// Changed ends every result of a query that reads one of deps, with the promise of Cache.Invalidate. Call it after the source
// has changed; Confirm after it waits for all nodes.
func (s *Stack) Changed(ctx context.Context, deps ...Dependency) error {
	tags := changeTags(deps)
	for i, name := range tags {
		tags[i] = ownTag(name)
	}
	if s.remote != nil && s.channel == nil {
		s.tags.draw(tags) // results are in memory alone
		return nil
	}
	var errs []error
	for part := range slices.Chunk(tags, changedMax) {
		errs = append(errs, s.fenceTags(ctx, part))
	}
	return errors.Join(errs...)
}
