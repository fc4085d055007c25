package load

import "time"

// OnTimers makes o sleep on timers alone, whose clock a test can move.
func OnTimers(o OpenLoop) OpenLoop {
	o.pause = time.Sleep
	return o
}
