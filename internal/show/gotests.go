package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// goTests runs tests of this module and reports what they said.
func (l *lab) goTests(ctx context.Context, run string, packages ...string) (*testReport, error) {
	cmd := l.tool(ctx, "go", append([]string{"test", "-count=1", "-json", "-timeout=2h", "-run=" + run}, packages...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r, err := readTests(out)
	failed := cmd.Wait()
	var exit *exec.ExitError
	switch {
	case err != nil:
		return nil, err
	case failed != nil && !errors.As(failed, &exit) || len(r.suites) == 0:
		return nil, fmt.Errorf("go test: %v\n%s", failed, said.String())
	}
	r.failed = failed != nil
	return r, nil
}

// benchmark runs one for n rounds and gives its figures by their units.
func (l *lab) benchmark(ctx context.Context, name string, n int, folder string) (map[string]float64, error) {
	out, err := l.tool(ctx, "go", "test", "-run=^$", "-bench=^"+strings.ReplaceAll(name, "/", "$/^")+"$", fmt.Sprintf("-benchtime=%dx", n), folder).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("go test -bench %s: %w\n%s", name, err, out)
	}
	figures := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[0], name) {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if figures[fields[i+1]], err = strconv.ParseFloat(fields[i], 64); err != nil {
				return nil, fmt.Errorf("read what %s says: %w\n%s", name, err, line)
			}
		}
	}
	return figures, nil
}

// numbers reads the figures that a test logged: those that the groups of a pattern find, of each line that it finds.
func (r *testReport) numbers(pattern *regexp.Regexp) (lines [][]float64, err error) {
	for _, found := range pattern.FindAllStringSubmatch(r.said.String(), -1) {
		var line []float64
		for _, text := range found[1:] {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", found[0], err)
			}
			line = append(line, n)
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("the tests do not say %s\n%s", pattern, r.said.String())
	}
	return lines, nil
}

// print shows a report and counts its cases.
func (r *testReport) print(l *lab) (passed, cases int) {
	for _, s := range r.suites {
		passed, cases = passed+s.passed, cases+s.passed+len(s.failed)
		l.detail("%s: %d cases passed, %d failed", s.name, s.passed, len(s.failed))
		for _, text := range slices.Concat(s.failed, s.notes) {
			l.detail("  %s", text)
		}
	}
	return passed, cases
}

// testSuite is one test function.
type testSuite struct {
	name   string
	passed int
	failed []string
	notes  []string // what was left out and why, how much was done
}

// testReport is what go test -json said.
type testReport struct {
	suites []*testSuite
	leaves map[string]bool // by package and test: nothing ran inside it
	failed bool            // go test did
	said   strings.Builder // by all tests
}

// testEvent is a line of go test -json (go doc test2json).
type testEvent struct{ Action, Package, Test, Output string }

func readTests(in io.Reader) (*testReport, error) {
	r := &testReport{leaves: map[string]bool{}}
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

func (r *testReport) take(e testEvent) {
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
		r.said.WriteString(e.Output)
		if _, reason, found := strings.Cut(e.Output, "left out: "); found {
			r.suite(e.Package, top).note("left out: %s: %s", name, reason)
		} else if _, did, found := strings.Cut(e.Output, ".go:"); found && !inner {
			_, did, _ = strings.Cut(did, ": ")
			r.suite(e.Package, top).note("%s", did)
		}
	case "pass", "fail", "skip":
		if !r.leaves[id] {
			return
		}
		if b := r.suite(e.Package, top); e.Action == "pass" {
			b.passed++
		} else { // a case that is skipped has not passed
			b.failed = append(b.failed, e.Action+": "+e.Test)
		}
	}
}

func (b *testSuite) note(format string, args ...any) {
	b.notes = append(b.notes, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (r *testReport) suite(pkg, test string) *testSuite {
	_, folder, _ := strings.Cut(pkg, "freshet/freshet/")
	name := folder + " " + test
	for _, b := range r.suites {
		if b.name == name {
			return b
		}
	}
	b := &testSuite{name: name}
	r.suites = append(r.suites, b)
	return b
}
