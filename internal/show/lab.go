package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/freshet/freshet/internal/testenv"
)

// point is one thing that an issue must show.
type point struct {
	n       int
	what    string
	aim     string
	measure func(ctx context.Context, l *lab) (outcome, error)
}

// outcome is what a point measured.
type outcome struct {
	figure string
	ok     bool
}

// size is how much of something a point does: a test's count, or the full one.
func size(test, soak int) int { return testenv.Size(test, test, soak) }

// lab is where points are measured: a folder on a disk, the binary, the data.
type lab struct {
	testenv.Scope

	root     string // of the module
	dir      string // on a disk
	bin      string // freshet
	self     string // this program
	progress io.Writer
	details  []string
	data     *dataset                          // the real network, once it is asked for
	imported string                            // a folder that holds it, once there is one
	storeOf  func(data string) (shards string) // nil: the embedded store in the folder
	keep     bool
}

var _ testenv.TB = (*lab)(nil)

// openLab makes the folders and builds freshet.
func openLab(ctx context.Context, keep bool, progress io.Writer) (l *lab, err error) {
	l = &lab{progress: progress, keep: keep}
	defer func() {
		if p := recover(); p != nil { // testenv.Scope.Fatalf
			err = fmt.Errorf("%v", p)
		}
		if err != nil {
			l.Close()
		}
	}()
	l.root = testenv.ModuleRoot(l)
	if l.self, err = os.Executable(); err != nil {
		return l, err
	}
	if keep {
		l.dir, err = os.MkdirTemp("/var/tmp", "freshet-show-")
		l.say("data stays in %s", l.dir)
	} else {
		l.dir = testenv.DiskDir(l)
	}
	if err != nil {
		return l, err
	}
	l.bin = filepath.Join(l.dir, "freshet")
	l.say("building freshet")
	if text, err := l.tool(ctx, "go", "build", "-o", l.bin, "./cmd/freshet").CombinedOutput(); err != nil {
		return l, fmt.Errorf("build freshet: %w\n%s", err, text)
	}
	return l, nil
}

// run measures one point. What goes wrong is that point's result.
func (l *lab) run(ctx context.Context, p point) (o outcome) {
	defer func() {
		if p := recover(); p != nil {
			if _, ours := p.(string); !ours { // testenv.Scope.Fatalf panics with a text
				panic(p)
			}
			o = l.failed(fmt.Errorf("%v", p))
		}
	}()
	l.say("point %d: %s", p.n, p.what)
	o, err := p.measure(ctx, l)
	if err != nil {
		return l.failed(err)
	}
	return o
}

// failed is the outcome of an error: its first line is the figure.
func (l *lab) failed(err error) outcome {
	first, rest, _ := strings.Cut(err.Error(), "\n")
	for line := range strings.Lines(rest) {
		l.detail("%s", strings.TrimRight(line, "\n"))
	}
	return outcome{figure: "failed: " + first}
}

// folder names a fresh folder.
func (l *lab) folder(name string) string {
	dir := filepath.Join(l.dir, name)
	for i := 2; ; i++ {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return dir
		}
		dir = filepath.Join(l.dir, fmt.Sprintf("%s-%d", name, i))
	}
}

// drop removes a folder that no later point needs.
func (l *lab) drop(dirs ...string) {
	if l.keep {
		return
	}
	for _, dir := range dirs {
		os.RemoveAll(dir)
	}
}

// detail keeps a line that is printed below the point's own.
func (l *lab) detail(format string, args ...any) {
	l.details = append(l.details, fmt.Sprintf(format, args...))
}

func (l *lab) takeDetails() []string {
	d := l.details
	l.details = nil
	return d
}

// Logf makes what testenv says a detail.
func (l *lab) Logf(format string, args ...any) { l.detail(format, args...) }

// say tells whoever waits what is going on.
func (l *lab) say(format string, args ...any) { fmt.Fprintf(l.progress, "… "+format+"\n", args...) }
