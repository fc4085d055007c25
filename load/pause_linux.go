package load

import (
	"syscall"
	"time"
)

// pause sleeps for less than a few milliseconds, to within a tenth of one. The
// processor is free for others meanwhile.
func pause(d time.Duration) {
	left := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&left, nil) // a signal that cuts it short does no harm
}
