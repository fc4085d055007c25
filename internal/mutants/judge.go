package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// status is what became of a mutant.
type status string

const (
	red      status = "red"
	survived status = "SURVIVED"
	broken   status = "BROKEN"
)

// verdict is a status and, unless it is red, what there was to see.
type verdict struct {
	status status
	detail string
}

// events is what go test -json tells of one run (go doc cmd/test2json).
type events struct {
	ran    []string // tests that began
	failed []string // tests that failed
	built  bool
	passed bool   // all of it
	hung   bool   // it ran into its timeout
	output string // all of it, as text
}

// readEvents reads what go test printed: JSON, and between it lines of the go
// command itself.
func readEvents(out []byte) events {
	e := events{built: true}
	var text strings.Builder
	for line := range bytes.Lines(out) {
		var event struct{ Action, Test, Output, FailedBuild string }
		if json.Unmarshal(line, &event) != nil {
			text.Write(line)
			continue
		}
		text.WriteString(event.Output)
		switch event.Action {
		case "run":
			e.ran = append(e.ran, event.Test)
		case "build-fail":
			e.built = false
		case "pass":
			e.passed = e.passed || event.Test == ""
		case "fail":
			if event.Test != "" {
				e.failed = append(e.failed, event.Test)
			}
			e.built = e.built && event.FailedBuild == ""
		case "output":
			e.hung = e.hung || strings.HasPrefix(event.Output, "panic: test timed out after ")
		}
	}
	e.output = text.String()
	return e
}

// judge applies a mutant, runs its test, and puts the copy back.
func (t tree) judge(ctx context.Context, m mutant, timeout time.Duration) (v verdict) {
	if err := t.git(ctx, "apply", m.path); err != nil {
		return verdict{broken, "the patch does not apply: " + err.Error()}
	}
	out, err := t.goTest(ctx, timeout, append(slices.Clone(m.flags), "-run="+m.run, m.pkg)...)
	if restored := t.restore(ctx); restored != nil {
		err = errors.Join(err, restored)
	}
	e := readEvents(out)
	switch {
	case err != nil:
		return verdict{broken, err.Error() + "\n" + tail(e.output)}
	case !e.built:
		return verdict{broken, "it does not compile:\n" + tail(e.output)}
	case e.passed:
		return verdict{survived, "the test does not see that this guard is gone:\n" + tail(e.output)}
	case e.hung && !m.hangOK:
		return verdict{broken, fmt.Sprintf("the test hung for %v: let it fail instead, or say \"# hang-ok\"\n%s", timeout, tail(e.output))}
	case !e.hung && len(e.failed) == 0 && len(e.ran) == 0:
		return verdict{broken, "no test ran:\n" + tail(e.output)}
	}
	return verdict{status: red}
}

// baseline runs the tests of all mutants against the tree as it is, those of a
// package together. A test that is red without a patch, or that is not there,
// could say nothing about a guard.
func (c copies) baseline(ctx context.Context, mutants []mutant, timeout time.Duration) error {
	groups := make(map[string][]mutant)
	for _, m := range mutants {
		groups[m.group()] = append(groups[m.group()], m)
	}
	names := slices.Sorted(maps.Keys(groups))
	faults := make([]error, len(names))
	c.spread(len(names), func(t tree, i int) {
		faults[i] = errors.Join(t.green(ctx, groups[names[i]], timeout), t.restore(ctx))
	})
	return errors.Join(faults...)
}

// green runs the tests of one group and tells what is wrong with them.
func (t tree) green(ctx context.Context, group []mutant, timeout time.Duration) error {
	var runs []string
	for _, m := range group {
		if !slices.Contains(runs, m.run) {
			runs = append(runs, m.run)
		}
	}
	together := timeout * time.Duration(len(runs))
	out, err := t.goTest(ctx, together, append(slices.Clone(group[0].flags), "-run="+strings.Join(runs, "|"), group[0].pkg)...)
	if err != nil {
		return err
	}
	e := readEvents(out)
	if !e.passed {
		return fmt.Errorf("%s is not green without any patch:\n%s", group[0].group(), tail(e.output))
	}
	var faults []error
	for _, m := range group {
		if !slices.ContainsFunc(e.ran, m.names) {
			faults = append(faults, fmt.Errorf("%s: no test is called %s in %s", m.name, m.run, m.pkg))
		}
	}
	return errors.Join(faults...)
}

// tail is the end of an output, indented.
func tail(output string) string {
	const most = 40
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if len(lines) > most {
		lines = append([]string{"…"}, lines[len(lines)-most:]...)
	}
	return "    " + strings.Join(lines, "\n    ")
}
