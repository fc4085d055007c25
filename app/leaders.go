package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/board"
	"github.com/freshet/freshet/board/memory"
	boardredis "github.com/freshet/freshet/board/redis"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/redis"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// leaders tell the leaderboards what has happened. Who follows the change feed names what was touched, which costs nothing; once a
// second the counts of that are read, from the caches that the same changes have fenced, and the board is told.
type leaders struct {
	node  *Node
	board board.Board

	mu      sync.Mutex
	touched map[touched]map[freshet.ID]int64 // by whom or what, and what that is worth at most
	gone    map[board.List][]freshet.ID
	marks   int            // in touched
	at      position.Token // of the last change that was heard: counts are read there or later

	missed atomic.Uint64
}

type touched struct {
	list board.List
	id   freshet.ID
}

const (
	tellEvery  = time.Second
	saveEvery  = time.Minute
	marksMost  = 262_144 // between two tellings; what is not noted is made good when it is touched again
	tellAtOnce = 500     // things whose counts are read together
)

// boardFile holds the boards of a node that keeps them in memory.
const boardFile = "leaderboards"

// openLeaders takes the boards up where they were left: on the servers of the remote layer where that is Redis, for all nodes, else in
// this node's memory, by its file.
func (n *Node) openLeaders() error {
	n.leaders = &leaders{node: n, touched: make(map[touched]map[freshet.ID]int64), gone: make(map[board.List][]freshet.ID)}
	if r, ok := n.remote.(*redis.Remote); ok {
		n.leaders.board = boardredis.New(r.Client(), boardredis.Options{Now: n.opts.Now})
		return nil
	}
	b := memory.New(memory.Options{Now: n.opts.Now})
	n.leaders.board = b
	file, err := os.Open(filepath.Join(n.cfg.Data, boardFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := b.Load(file); err != nil {
		n.log.Warn("the leaderboards begin anew", "error", err)
	}
	return nil
}

// hear notes what changes have touched.
func (l *leaders) hear(changes []store.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		l.at = l.at.Raise(c.At)
		switch c.Kind {
		case store.LikeChanged:
			l.touch(board.Posts, c.Subject, c.Object, board.LikeWeight)
		case store.CommentChanged:
			l.touch(board.Posts, c.Subject, c.Object, board.CommentWeight)
		case store.FollowChanged:
			l.touch(board.Authors, c.Object, c.Subject, board.FollowWeight)
		case store.BlockChanged: // which ends follows, and makes none
			l.touch(board.Authors, c.Object, c.Subject, 0)
			l.touch(board.Authors, c.Subject, c.Object, 0)
		case store.PostDeleted:
			l.bury(board.Posts, c.Subject)
		case store.UserErased:
			l.bury(board.Authors, c.Subject)
		}
	}
}

// bury notes what is no more. What it can't note is left out by whoever reads.
func (l *leaders) bury(list board.List, ids ...freshet.ID) {
	l.gone[list] = append(l.gone[list], ids[:min(len(ids), marksMost-len(l.gone[list]))]...)
}

// touch is called with the lock held.
func (l *leaders) touch(list board.List, id, by freshet.ID, worth int64) {
	if l.marks >= marksMost {
		l.missed.Add(1)
		return
	}
	t := touched{list, id}
	if l.touched[t] == nil {
		l.touched[t] = make(map[freshet.ID]int64, 1)
	}
	if _, noted := l.touched[t][by]; !noted {
		l.marks++
	}
	l.touched[t][by] = max(l.touched[t][by], worth)
}

// run tells the boards until ctx ends, and once more.
func (l *leaders) run(ctx context.Context) {
	saved := time.Now()
	for ctx.Err() == nil {
		pause(ctx, tellEvery)
		if err := l.tell(context.WithoutCancel(ctx)); err != nil {
			l.node.log.Error("leaderboards were not told; trying again", "error", err)
		}
		if time.Since(saved) >= saveEvery || ctx.Err() != nil {
			if err := l.save(); err != nil {
				l.node.log.Error("save the leaderboards", "error", err)
			}
			saved = time.Now()
		}
	}
}

// tell reads the counts of what was touched and tells the boards. What fails is told with the next.
func (l *leaders) tell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	l.mu.Lock()
	marks, gone, at := l.touched, l.gone, l.at
	l.touched, l.gone, l.marks = make(map[touched]map[freshet.ID]int64), make(map[board.List][]freshet.ID), 0
	l.mu.Unlock()
	err := l.tellAll(cache.At(ctx, at), marks, gone)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for t, by := range marks {
		for who, worth := range by {
			l.touch(t.list, t.id, who, worth)
		}
	}
	for list, ids := range gone {
		l.bury(list, ids...)
	}
	return err
}

func (l *leaders) tellAll(ctx context.Context, marks map[touched]map[freshet.ID]int64, gone map[board.List][]freshet.ID) error {
	ids := make(map[board.List][]freshet.ID)
	for t := range marks {
		ids[t.list] = append(ids[t.list], t.id)
	}
	for list, read := range map[board.List]func(context.Context, []freshet.ID) ([]board.Seen, error){
		board.Posts: l.posts, board.Authors: l.authors,
	} {
		slices.Sort(ids[list])
		for part := range slices.Chunk(ids[list], tellAtOnce) {
			seen, err := read(ctx, part)
			if err != nil {
				return err
			}
			for i, s := range seen {
				for _, worth := range marks[touched{list, s.ID}] {
					seen[i].Touched += worth
				}
			}
			if err := l.board.Observe(ctx, l.node.opts.Now(), seen); err != nil {
				return err
			}
		}
	}
	for list, ids := range gone {
		if err := l.board.Remove(ctx, list, ids...); err != nil {
			return err
		}
	}
	return nil
}

func (l *leaders) posts(ctx context.Context, ids []freshet.ID) ([]board.Seen, error) {
	tallies, err := l.node.social.Tallies(ctx, ids)
	seen := make([]board.Seen, len(tallies))
	for i, t := range tallies {
		seen[i] = board.Seen{List: board.Posts, ID: t.Post, Author: t.Author, Value: board.PostValue(t.Counts)}
	}
	return seen, err
}

func (l *leaders) authors(ctx context.Context, ids []freshet.ID) ([]board.Seen, error) {
	audiences, err := l.node.social.Audiences(ctx, ids)
	var seen []board.Seen
	for id, followers := range audiences {
		seen = append(seen, board.Seen{List: board.Authors, ID: id, Value: board.FollowWeight * followers})
	}
	return seen, err
}

// save writes the boards beside their file and puts them in its place.
func (l *leaders) save() error {
	b, ok := l.board.(*memory.Board)
	if !ok {
		return nil
	}
	return replaceFile(filepath.Join(l.node.cfg.Data, boardFile), b.Save)
}
