package testenv

import (
	"fmt"
	"os"
	"slices"
	"sync"
)

// TB is the part of [testing.TB] that this package uses. A *testing.T is one,
// and so is a [Scope].
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// Scope is a [TB] for what has no *testing.T: an Example, a TestMain, an
// acceptance program. Close ends all that was started in it. The zero value is
// ready; it may be used by several goroutines.
type Scope struct {
	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

var _ TB = (*Scope)(nil)

// Helper does nothing: a Scope has no lines to attribute.
func (*Scope) Helper() {}

// Logf writes one line to standard error.
func (*Scope) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// Fatalf panics with the message; a deferred Close still runs.
func (s *Scope) Fatalf(format string, args ...any) {
	s.mu.Lock()
	s.failed = true
	s.mu.Unlock()
	panic(fmt.Sprintf(format, args...))
}

// Failed tells whether Fatalf was called.
func (s *Scope) Failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Cleanup has Close call f; what came last is called first.
func (s *Scope) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

// Close ends what was started. Closing again ends what was started since.
func (s *Scope) Close() {
	s.mu.Lock()
	cleanups := s.cleanups
	s.cleanups = nil
	s.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		f()
	}
}
