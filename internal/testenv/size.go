package testenv

import (
	"os"
	"testing"
)

// Size returns how much of something a test does: short in the race pass
// (`go test -short`), plain in `make test`, soak in `make soak` (FRESHET_SOAK
// is set). Outside of a test binary it is plain.
//
//	for range testenv.Size(50, 1_000, 1_000_000) { … }
//
// A test scales its work with it and never skips: each of the three runs goes
// through the same code.
func Size(short, plain, soak int) int {
	switch {
	case os.Getenv("FRESHET_SOAK") != "":
		return soak
	case testing.Testing() && testing.Short():
		return short
	}
	return plain
}
