package sqlite

import (
	"slices"
	"time"

	"github.com/freshet/freshet"
)

// ref is a job that waits in memory.
type ref struct {
	id   freshet.ID
	task *task // nil: read it from the file when its turn comes
}

// since is when the job became due, as far as that is known without reading it.
func (r ref) since() time.Time {
	t := r.id.Time()
	if r.task != nil && r.task.job.RunAt.After(t) {
		t = r.task.job.RunAt
	}
	return t
}

// made orders jobs by their making: ids rise by time and sequence, and the
// bucket between the two says nothing (see litedb's NextID).
func made(id freshet.ID) int64 { return id.Millis()*freshet.Sequences + int64(id.Sequence()) }

// lane holds the due jobs of one key. The lane of the empty key has no order:
// it is never busy or held.
type lane struct {
	key    string
	queue  []ref // by making
	head   int   // of queue
	busy   bool  // one of its jobs runs
	until  int64 // held for the retry at its head, nanoseconds since 1970; 0: not
	inRing bool
	next   *lane
}

func (l *lane) len() int { return len(l.queue) - l.head }

// insert keeps the order of making. Almost always that is the end, or the
// front for a job that comes back.
func (l *lane) insert(r ref) {
	n := len(l.queue)
	switch {
	case l.len() == 0 || made(l.queue[n-1].id) < made(r.id):
		l.queue = append(l.queue, r)
	case l.head > 0 && made(r.id) < made(l.queue[l.head].id):
		l.head--
		l.queue[l.head] = r
	default:
		i, _ := slices.BinarySearchFunc(l.queue[l.head:], made(r.id), func(q ref, m int64) int {
			return int(min(max(made(q.id)-m, -1), 1))
		})
		l.queue = slices.Insert(l.queue, l.head+i, r)
	}
}

func (l *lane) pop() ref {
	r := l.queue[l.head]
	l.queue[l.head] = ref{}
	l.head++
	switch {
	case l.head == len(l.queue):
		l.queue, l.head = l.queue[:0], 0
	case l.head >= 1024 && l.head >= len(l.queue)/2:
		l.queue = append(make([]ref, 0, l.len()+l.len()/4), l.queue[l.head:]...)
		l.head = 0
	}
	return r
}

// lanes shares the workers among keys: the ring holds every lane that has a
// job which may run now, and each turn takes one job from the lane in front.
//
//	   ┌── front: pop one ──▶ worker ──done──┐
//	   │                                     ▼
//	[user:7] → [user:1] → [post:9] → …  ◀── back, if it has more
type lanes struct {
	byKey       map[string]*lane
	front, back *lane
}

// of finds or makes the lane of a key.
func (s *lanes) of(key string) *lane {
	l, ok := s.byKey[key]
	if !ok {
		l = &lane{key: key}
		s.byKey[key] = l
	}
	return l
}

// settle puts a lane into the ring if one of its jobs may run now, and drops it
// if it is of no more use. It reports whether it put the lane into the ring.
func (s *lanes) settle(l *lane) bool {
	switch {
	case l.inRing || l.busy || l.until != 0:
		return false
	case l.len() == 0:
		delete(s.byKey, l.key)
		return false
	}
	l.inRing, l.next = true, nil
	if s.front == nil {
		s.front = l
	} else {
		s.back.next = l
	}
	s.back = l
	return true
}

// turn takes the next job. The lane of a key is busy then until [lanes.done].
func (s *lanes) turn() (l *lane, r ref, ok bool) {
	l = s.front
	if l == nil {
		return nil, r, false
	}
	s.front = l.next
	l.inRing, l.next = false, nil
	r = l.pop()
	if l.key != "" {
		l.busy = true
	} else {
		s.settle(l)
	}
	return l, r, true
}

// done ends a turn.
func (s *lanes) done(l *lane) bool {
	l.busy = false
	return s.settle(l)
}
