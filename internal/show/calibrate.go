package main

import (
	"crypto/sha256"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine says what the figures of this moment are worth.
func (l *lab) machine() {
	load := "unknown"
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ = strings.Cut(string(text), " ")
	}
	l.detail("the machine right now: %d processors, load %s, SHA-256 of 1 MiB in %s", runtime.NumCPU(), load, calibration().Round(time.Microsecond))
}

// calibration is how fast this machine is right now: the time of a fixed piece
// of work, the SHA-256 of a megabyte, as the median of several. It is printed
// beside figures whose aim is an absolute time.
func calibration() time.Duration {
	block := make([]byte, 1<<20)
	times := make([]time.Duration, 21)
	for i := range times {
		began := time.Now()
		sum := sha256.Sum256(block)
		copy(block, sum[:])
		times[i] = time.Since(began)
	}
	return middle(times)
}
