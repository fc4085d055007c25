//go:build !linux

package load

import "time"

// pause sleeps as finely as the runtime's timers do.
func pause(d time.Duration) { time.Sleep(d) }
