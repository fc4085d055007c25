package sqlite

import "container/heap"

// date is something that waits for its time: a job that is not in a lane yet,
// or the lane that a retry holds.
type date struct {
	at   int64 // nanoseconds since 1970
	key  string
	job  ref
	lane *lane // not nil: job is in it
}

// calendar is a heap of dates, the next one first.
type calendar []date

func (c calendar) Len() int           { return len(c) }
func (c calendar) Less(i, j int) bool { return c[i].at < c[j].at }
func (c calendar) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *calendar) Push(x any)        { *c = append(*c, x.(date)) }
func (c *calendar) Pop() any {
	last := len(*c) - 1
	d := (*c)[last]
	(*c)[last] = date{}
	*c = (*c)[:last]
	return d
}

func (c *calendar) add(d date) { heap.Push(c, d) }

// due takes the first date whose time has come.
func (c *calendar) due(now int64) (d date, ok bool) {
	if len(*c) == 0 || (*c)[0].at > now {
		return d, false
	}
	return heap.Pop(c).(date), true
}
