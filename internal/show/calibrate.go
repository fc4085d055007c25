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

// disk says how long the disk under a folder takes for an fsync right now: of a
// block that was appended, as the median of several.
func (l *lab) disk(dir string) error {
	f, err := os.CreateTemp(dir, "fsync-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	times := make([]time.Duration, 51)
	for i := range times {
		if _, err := f.Write(block); err != nil {
			return err
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return err
		}
		times[i] = time.Since(began)
	}
	l.detail("the disk right now: an fsync takes %s", micros(middle(times)))
	return nil
}
