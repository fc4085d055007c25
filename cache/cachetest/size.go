package cachetest

import "testing"

// size is how much of something a test does: less with -short, which the race pass has.
func size(short, plain int) int {
	if testing.Short() {
		return short
	}
	return plain
}
