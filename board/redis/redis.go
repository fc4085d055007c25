// Package redis keeps boards in sorted sets of a Redis, Redis Cluster or Valkey, where all nodes find them.
//
//	b := redis.New(client, redis.Options{})
//	top, err := b.Top(ctx, board.Posts, board.Day, board.Rank{}, 50)
//
// A list and window is a sorted set by the scores of package board, and a hash for each list bears the values that were told last.
// What is observed is told by a script, so each node may tell what it hears of the same feed: the second adds nothing. A batch is
// one pipeline. All keys are in one slot of a cluster; they end when nothing was told for two weeks.
package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/board"
)

// Options says how a [Board] keeps what it is told. The zero value works.
type Options struct {
	Prefix string           // of all keys; default "f:"
	Keep   int              // of each list and window; default 10,000
	Now    func() time.Time // default time.Now
}

// Board implements [board.Board].
type Board struct {
	client  rueidis.Client
	options Options
	keys    map[board.List][]string // the hash, and a set for each window
}

var _ board.Board = (*Board)(nil)

const (
	atOnce = 50                  // observations that the server takes in one step
	ends   = 14 * 24 * time.Hour // after the last observation
)

// New makes a board on a client, which stays the caller's to close.
func New(client rueidis.Client, o Options) *Board {
	if o.Prefix == "" {
		o.Prefix = "f:"
	}
	if o.Keep <= 0 {
		o.Keep = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	b := &Board{client: client, options: o, keys: make(map[board.List][]string)}
	for _, l := range board.Lists {
		key := o.Prefix + "{board}:" + string(l)
		b.keys[l] = []string{key}
		for _, w := range board.Windows {
			b.keys[l] = append(b.keys[l], key+":"+string(w))
		}
	}
	return b
}

// Observe implements [board.Board].
func (b *Board) Observe(ctx context.Context, at time.Time, seen []board.Seen) error {
	common := []string{strconv.Itoa(b.options.Keep), strconv.FormatInt(int64(ends/time.Second), 10)}
	for _, w := range board.Windows {
		common = append(common, number(w.Add(board.None, 1, at)), number(w.Least(b.options.Now())))
	}
	var calls []rueidis.LuaExec
	for part := range slices.Chunk(seen, atOnce) {
		args := slices.Clone(common)
		for _, s := range part {
			list, author := "a", ""
			if s.List == board.Posts {
				list = "p"
			}
			if s.Author != 0 {
				author = member(s.Author)
			}
			args = append(args, list, member(s.ID), author, strconv.FormatInt(s.Value, 10), strconv.FormatInt(s.Touched, 10))
		}
		calls = append(calls, rueidis.LuaExec{Keys: slices.Concat(b.keys[board.Posts], b.keys[board.Authors]), Args: args})
	}
	if len(calls) == 0 {
		return nil
	}
	for _, r := range observe.ExecMulti(ctx, b.client, calls...) {
		if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return unavailable(err)
		}
	}
	return nil
}

// Remove implements [board.Board].
func (b *Board) Remove(ctx context.Context, list board.List, ids ...freshet.ID) error {
	for part := range slices.Chunk(ids, 1000) {
		members := make([]string, len(part))
		for i, id := range part {
			members[i] = member(id)
		}
		keys := b.keys[list]
		commands := rueidis.Commands{b.client.B().Hdel().Key(keys[0]).Field(members...).Build()}
		for _, key := range keys[1:] {
			commands = append(commands, b.client.B().Zrem().Key(key).Member(members...).Build())
		}
		for _, r := range b.client.DoMulti(ctx, commands...) {
			if err := r.Error(); err != nil {
				return unavailable(err)
			}
		}
	}
	return nil
}

// Top implements [board.Board]. Where more have exactly the score of the last rank than were asked for, it asks again.
func (b *Board) Top(ctx context.Context, list board.List, w board.Window, after board.Rank, n int) (ranks []board.Rank, err error) {
	key, high := b.options.Prefix+"{board}:"+string(list)+":"+string(w), "+inf"
	if after.ID != 0 {
		high = number(after.Score)
	}
	least := number(w.Least(b.options.Now()))
	for offset := 0; len(ranks) < n; {
		want := n - len(ranks) + 1
		scores, err := b.client.Do(ctx, b.client.B().Zrevrangebyscore().Key(key).Max(high).Min(least).Withscores().
			Limit(int64(offset), int64(want)).Build()).AsZScores()
		if err != nil {
			return nil, unavailable(err)
		}
		for _, s := range scores {
			id, err := strconv.ParseInt(s.Member, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("read the board %s: %w", key, err)
			}
			if r := (board.Rank{ID: freshet.ID(id), Score: s.Score}); after.ID == 0 || after.Before(r) {
				ranks = append(ranks, r)
			}
		}
		if len(scores) < want {
			break
		}
		offset += want
	}
	return ranks[:min(n, len(ranks))], nil
}

// member has all ids at one length, so that equal scores are ordered by id.
func member(id freshet.ID) string { return fmt.Sprintf("%019d", int64(id)) }

func number(f float64) string { return strconv.FormatFloat(f, 'g', 17, 64) }

func unavailable(err error) error {
	return &freshet.Error{Code: freshet.CodeUnavailable, RetryAfter: time.Second, Message: "the leaderboards can't be reached; try again", Err: err}
}
