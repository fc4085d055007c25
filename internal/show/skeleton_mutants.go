package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// measureMutants is point 8.
func measureMutants(ctx context.Context, l *lab) (outcome, error) {
	red, all, err := l.mutants(ctx, "")
	return outcome{fmt.Sprintf("%d/%d", red, all), err == nil && red == all && all > 0}, err
}

// mutants puts the patch of each guard whose name matches into a copy of the tree,
// and counts those whose test goes red, as it has to. The list goes to the progress.
func (l *lab) mutants(ctx context.Context, match string) (red, all int, err error) {
	var text bytes.Buffer
	cmd := l.tool(ctx, "go", "run", "./internal/mutants", "-run", match)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&text, l.progress), io.MultiWriter(&text, l.progress)
	ended := cmd.Run()
	found := mutantsCounted.FindStringSubmatch(text.String())
	if found == nil {
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		return 0, 0, fmt.Errorf("go run ./internal/mutants: %v: it counts nothing\n%s", ended, strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
	if all, err = strconv.Atoi(found[1]); err != nil {
		return 0, 0, err
	}
	if red, err = strconv.Atoi(found[2]); err != nil {
		return 0, 0, err
	}
	for _, row := range mutantsAlive.FindAllString(text.String(), -1) {
		l.detail("%s", strings.TrimSpace(row))
	}
	if ended != nil && red == all {
		err = fmt.Errorf("go run ./internal/mutants: %w", ended)
	}
	return red, all, err
}

var (
	mutantsCounted = regexp.MustCompile(`(?m)^(\d+) mutants: (\d+) red`)
	mutantsAlive   = regexp.MustCompile(`(?m)^.*  (SURVIVED|BROKEN)$`)
)
