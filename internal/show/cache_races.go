package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// measureRaces is point 1: cachetest's races and histories on every backend, then
// the mutants of the cache.
func measureRaces(ctx context.Context, l *lab) (outcome, error) {
	l.say("races and histories")
	cmd := l.tool(ctx, "go", "test", "-count=1", "-json", "-timeout=2h", "-run=^(TestRaces|TestRacesOnCluster|TestHistories)$", "./cache", "./cache/redis", "./cache/memcached")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return outcome{}, err
	}
	if err := cmd.Start(); err != nil {
		return outcome{}, err
	}
	r, err := readRaces(out)
	failed := cmd.Wait()
	if err != nil {
		return outcome{}, err
	}
	if len(r.backends) == 0 {
		return outcome{}, fmt.Errorf("go test: %v\n%s", failed, said.String())
	}
	passed, cases := 0, 0
	for _, b := range r.backends {
		passed, cases = passed+b.passed, cases+b.passed+len(b.failed)
		l.detail("%s: %d cases passed, %d failed", b.name, b.passed, len(b.failed))
		for _, text := range slices.Concat(b.failed, b.notes) {
			l.detail("  %s", text)
		}
	}
	red, mutants, err := l.mutants(ctx, "^cache-")
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		fmt.Sprintf("%d of %d cases on %d backends, %d of %d mutants red", passed, cases, len(r.backends), red, mutants),
		failed == nil && passed == cases && red == mutants && mutants > 0,
	}, nil
}

// raceBackend is one test function: a suite on a backend.
type raceBackend struct {
	name   string
	passed int
	failed []string
	notes  []string // what was left out and why, how much was done
}

// raceReport is what go test -json said.
type raceReport struct {
	backends []*raceBackend
	leaves   map[string]bool // by package and test: nothing ran inside it
}

// testEvent is a line of go test -json (go doc test2json).
type testEvent struct{ Action, Package, Test, Output string }

func readRaces(in io.Reader) (*raceReport, error) {
	r := &raceReport{leaves: map[string]bool{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e testEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			continue // what a build that failed says
		}
		if e.Test != "" {
			r.take(e)
		}
	}
	return r, lines.Err()
}

func (r *raceReport) take(e testEvent) {
	top, name, inner := strings.Cut(e.Test, "/")
	id := e.Package + " " + e.Test
	switch e.Action {
	case "run":
		r.leaves[id] = true
		for outer, i := id, strings.LastIndexByte(id, '/'); inner && i > strings.LastIndexByte(e.Package, '/'); i = strings.LastIndexByte(outer, '/') {
			outer = outer[:i]
			r.leaves[outer] = false
		}
	case "output":
		if _, reason, found := strings.Cut(e.Output, "left out: "); found {
			r.backend(e.Package, top).note("left out: %s: %s", name, reason)
		} else if _, did, found := strings.Cut(e.Output, ".go:"); found && !inner {
			_, did, _ = strings.Cut(did, ": ")
			r.backend(e.Package, top).note("%s", did)
		}
	case "pass", "fail", "skip":
		if !r.leaves[id] {
			return
		}
		if b := r.backend(e.Package, top); e.Action == "pass" {
			b.passed++
		} else { // a case that is skipped has not passed
			b.failed = append(b.failed, e.Action+": "+e.Test)
		}
	}
}

func (b *raceBackend) note(format string, args ...any) {
	b.notes = append(b.notes, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (r *raceReport) backend(pkg, test string) *raceBackend {
	_, folder, _ := strings.Cut(pkg, "freshet/freshet/")
	name := folder + " " + test
	for _, b := range r.backends {
		if b.name == name {
			return b
		}
	}
	b := &raceBackend{name: name}
	r.backends = append(r.backends, b)
	return b
}
