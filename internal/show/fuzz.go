package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// fuzzTarget is a Fuzz function of the tree.
type fuzzTarget struct{ folder, name string }

var fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`)

// fuzz runs every fuzz target below a folder of the tree for a moment.
func (l *lab) fuzz(ctx context.Context, under string) (hold, targets int, err error) {
	found, err := fuzzTargets(l.root)
	if err != nil {
		return 0, 0, err
	}
	found = slices.DeleteFunc(found, func(t fuzzTarget) bool {
		return under != "." && t.folder != under && !strings.HasPrefix(t.folder, under+"/")
	})
	seconds := size(5, 60)
	for _, t := range found {
		l.say("fuzzing %s %s", t.folder, t.name)
		text, err := l.tool(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", fmt.Sprintf("-fuzztime=%ds", seconds), "./"+t.folder).CombinedOutput()
		if err == nil || outOfTime(string(text)) {
			hold++
			continue
		}
		l.detail("%s of %s fails:", t.name, t.folder)
		for line := range strings.Lines(string(text)) {
			l.detail("  %s", strings.TrimRight(line, "\n"))
		}
	}
	l.detail("%d fuzz targets ran for %d s each", len(found), seconds)
	return hold, len(found), nil
}

// fuzzTargets finds the Fuzz functions of this module.
func fuzzTargets(root string) (targets []fuzzTarget, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || isModule(path)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range fuzzFunction.FindAllStringSubmatch(string(text), -1) {
			targets = append(targets, fuzzTarget{folder, m[1]})
		}
		return err
	})
	slices.SortFunc(targets, func(a, b fuzzTarget) int { return strings.Compare(a.folder+a.name, b.folder+b.name) })
	return targets, err
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// outOfTime reports whether fuzzing ended at its time in the way that go test takes for a failure where the machine is busy
// (go.dev/issue/48591): inputs were tried, and none failed.
func outOfTime(output string) bool {
	return strings.Contains(output, "now fuzzing") && strings.Contains(output, "context deadline exceeded") &&
		!strings.Contains(output, "Failing input")
}
