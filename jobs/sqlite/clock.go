package sqlite

import "time"

// runClock moves what becomes due from the calendar into the lanes.
func (e *Engine) runClock() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-e.wake:
		case <-e.ctx.Done():
			return
		}
		e.mu.Lock()
		e.releaseDue()
		wait := time.Hour // a clock that was set is noticed by then
		if len(e.calendar) > 0 {
			wait = min(wait, time.Duration(e.calendar[0].at-time.Now().UnixNano()))
		}
		e.mu.Unlock()
		timer.Reset(wait)
	}
}

func (e *Engine) releaseDue() {
	now := time.Now().UnixNano()
	for {
		d, ok := e.calendar.due(now)
		if !ok {
			return
		}
		if d.lane == nil {
			e.ready(d.key, d.job)
			continue
		}
		if d.lane.until <= now {
			d.lane.until = 0
			e.settle(d.lane)
		}
	}
}

// schedule puts a date into the calendar and tells the clock if it is the next.
func (e *Engine) schedule(d date) {
	e.calendar.add(d)
	if e.calendar[0].at == d.at {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// hold puts a job that waits for its next attempt into its lane and stops the lane.
func (e *Engine) hold(l *lane, r ref, at int64) {
	l.insert(r)
	l.until = max(l.until, at)
	e.schedule(date{at: at, lane: l})
}
