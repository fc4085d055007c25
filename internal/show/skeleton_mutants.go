package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// measureMutants is point 8: each guard's patch is put into a copy of the tree,
// and the test that it names has to go red. The list goes to the progress.
func measureMutants(ctx context.Context, l *lab) (outcome, error) {
	var text bytes.Buffer
	cmd := l.tool(ctx, "go", "run", "./internal/mutants")
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&text, l.progress), io.MultiWriter(&text, l.progress)
	err := cmd.Run()
	found := mutantsCounted.FindStringSubmatch(text.String())
	if found == nil {
		lines := strings.Split(strings.TrimSpace(text.String()), "\n")
		return outcome{}, fmt.Errorf("go run ./internal/mutants: %v: it counts nothing\n%s", err, strings.Join(lines[max(0, len(lines)-20):], "\n"))
	}
	all, red := found[1], found[2]
	for _, row := range mutantsAlive.FindAllString(text.String(), -1) {
		l.detail("%s", strings.TrimSpace(row))
	}
	return outcome{red + "/" + all, err == nil && red == all && all != "0"}, nil
}

var (
	mutantsCounted = regexp.MustCompile(`(?m)^(\d+) mutants: (\d+) red`)
	mutantsAlive   = regexp.MustCompile(`(?m)^.*  (SURVIVED|BROKEN)$`)
)
