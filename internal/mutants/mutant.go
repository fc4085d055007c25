package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// mutant is one patch and what its head says.
type mutant struct {
	name   string // of the file, without .patch
	path   string
	guard  string // what the patch takes out
	test   string // as written
	pkg    string // the package that test names
	run    string // its -run
	flags  []string
	hangOK bool
}

// readMutants reads the patches in a folder of the tree.
func readMutants(root, dir string, only *regexp.Regexp) ([]mutant, error) {
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var mutants []mutant
	var faults []error
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".patch")
		if only != nil && !only.MatchString(name) {
			continue
		}
		m, err := readMutant(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("read mutant %s: %w", name, err))
		}
		m.name = name
		mutants = append(mutants, m)
	}
	if len(mutants) == 0 {
		faults = append(faults, fmt.Errorf("no mutants in %s", dir))
	}
	return mutants, errors.Join(faults...)
}

// readMutant reads a patch's head: the lines before the first that begins with
// no '#'.
func readMutant(path string) (m mutant, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if m.path, err = filepath.Abs(path); err != nil {
		return m, err
	}
	for line := range strings.Lines(string(text)) {
		head, isHead := strings.CutPrefix(strings.TrimSpace(line), "#")
		if !isHead {
			break
		}
		key, value, _ := strings.Cut(strings.TrimSpace(head), ":")
		switch value = strings.TrimSpace(value); key {
		case "guard":
			m.guard = value
		case "test":
			m.test = value
		case "hang-ok":
			m.hangOK = true
		default:
			return m, fmt.Errorf("a line %q: want guard, test or hang-ok", strings.TrimSpace(line))
		}
	}
	if m.guard == "" || m.test == "" {
		return m, errors.New(`it needs a line "# guard: …" and a line "# test: …" before the diff`)
	}
	return m, m.parseTest()
}

// parseTest takes the arguments of go test apart.
func (m *mutant) parseTest() error {
	fields := strings.Fields(m.test)
	for i := 0; i < len(fields); i++ {
		f := strings.Trim(fields[i], `'"`)
		switch value, isRun := strings.CutPrefix(f, "-run="); {
		case isRun:
			m.run = value
		case f == "-run" && i+1 < len(fields):
			i++
			m.run = strings.Trim(fields[i], `'"`)
		case strings.HasPrefix(f, "-"):
			m.flags = append(m.flags, f)
		case m.pkg == "":
			m.pkg = f
		default:
			return fmt.Errorf("test %q: one package, and flags with their values as -flag=value", m.test)
		}
	}
	if m.pkg == "" || m.run == "" {
		return fmt.Errorf("test %q: it names no package or has no -run", m.test)
	}
	_, err := regexp.Compile(m.run)
	return err
}

// group is what mutants have in common whose tests can run in one go test.
func (m mutant) group() string { return m.pkg + " " + strings.Join(m.flags, " ") }

// names tells whether the mutant's -run selects a test, or a test below one that
// it selects. As in go test, alternatives are split at '|' and their elements at
// '/'; a '/' within brackets is beyond it.
func (m mutant) names(test string) bool {
	elements := strings.Split(test, "/")
	return slices.ContainsFunc(alternatives(m.run), func(pattern string) bool {
		patterns := strings.Split(pattern, "/")
		if len(patterns) > len(elements) {
			return false
		}
		for i, p := range patterns {
			if ok, err := regexp.MatchString(p, elements[i]); err != nil || !ok {
				return false
			}
		}
		return true
	})
}

// alternatives splits a pattern at the '|' that stand in no brackets.
func alternatives(pattern string) (parts []string) {
	depth, from := 0, 0
	for i, r := range pattern {
		switch r {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		case '|':
			if depth == 0 {
				parts = append(parts, pattern[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, pattern[from:])
}
