package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const (
	thisModule      = "github.com/freshet/freshet"
	dependenciesMax = 6
)

// measureDependencies is point 8: a module of somebody else's that imports cache
// alone is built, and the modules that provide packages of the build are counted.
func measureDependencies(ctx context.Context, l *lab) (outcome, error) {
	dir := l.folder("importer")
	sums, err := os.ReadFile(filepath.Join(l.root, "go.sum"))
	if err != nil {
		return outcome{}, err
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(runtime.Version(), "go"), " ")
	err = errors.Join(
		os.Mkdir(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600),
		os.WriteFile(filepath.Join(dir, "go.mod"), fmt.Appendf(nil, "module example.com/importer\n\ngo %s\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", version, thisModule, thisModule, l.root), 0o600),
		os.WriteFile(filepath.Join(dir, "main.go"), fmt.Appendf(nil, `package main

import (
	"context"
	"fmt"

	"%s/cache"
)

func main() {
	stack, err := cache.NewStack(cache.Options{})
	if err != nil {
		panic(err)
	}
	defer stack.Close()
	twice := cache.Func(stack, "twice", cache.Policy{}, func(_ context.Context, n int) (int, error) { return 2 * n, nil })
	fmt.Print(twice.Get(context.Background(), 21))
}
`, thisModule), 0o600),
	)
	if err != nil {
		return outcome{}, err
	}
	run := func(args ...string) (string, error) {
		cmd := l.tool(ctx, "go", args...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		text, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("go %s: %w\n%s", args[0], err, text)
		}
		return string(text), err
	}
	if said, err := run("run", "."); err != nil || said != "42 <nil>" {
		return outcome{}, errors.Join(err, fmt.Errorf("the importer prints %q", said))
	}
	text, err := run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	if err != nil {
		return outcome{}, err
	}
	modules := slices.Compact(slices.Sorted(slices.Values(strings.Fields(text))))
	modules = slices.DeleteFunc(modules, func(m string) bool { return m == "example.com/importer" || m == thisModule })
	l.detail("%s", strings.Join(modules, ", "))
	return outcome{fmt.Sprintf("%d modules", len(modules)), len(modules) <= dependenciesMax}, nil
}
