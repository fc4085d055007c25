package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

const speedAim = "hit at most 1.25 of otter's; peers at least 10; remote hit at least 0.85 of a GET, 0.5 of redis-benchmark"

// measureSpeed is point 3: the comparison with peers, which is a module of its own.
func measureSpeed(ctx context.Context, l *lab) (outcome, error) {
	cmd := l.tool(ctx, "go", "run", ".", "cache", "-json")
	cmd.Dir = filepath.Join(l.root, "bench")
	var exit *exec.ExitError
	out, err := cmd.Output()
	if err != nil && !errors.As(err, &exit) { // it exits 1 where it is short
		return outcome{}, err
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var figures []struct {
		Name, Aim string
		Value     float64
		OK        bool
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &figures); err != nil {
		said := ""
		if exit != nil {
			said = string(exit.Stderr)
		}
		return outcome{}, fmt.Errorf("read what bench said: %w\n%s", err, said)
	}
	for _, line := range lines[:len(lines)-1] {
		l.detail("%s", line)
	}
	reached, aims := 0, 0
	var short []string
	for _, f := range figures {
		if f.Aim == "" {
			continue
		}
		if aims++; f.OK {
			reached++
		} else {
			short = append(short, fmt.Sprintf("%s %.2f (%s)", f.Name, f.Value, f.Aim))
		}
	}
	figure := fmt.Sprintf("%d of %d aims", reached, aims)
	if len(short) > 0 {
		figure += ", short: " + strings.Join(short, "; ")
	}
	return outcome{figure, aims > 0 && reached == aims}, nil
}
