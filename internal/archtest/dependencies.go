package archtest

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The page that names dependencies, and the modules that it speaks of.
const dependenciesPage = "docs/dependencies.md"

var dependencyModules = []string{"go.mod", "tools/go.mod", "bench/go.mod"}

// dependencies compares the page of dependencies with what is required and
// imported: each direct one is on the page, and the page has no others.
func dependencies(t *Tree) (broken []Violation) {
	page, err := fs.ReadFile(t.FS, dependenciesPage)
	if err != nil {
		return []Violation{{dependenciesPage, "cannot be read: " + err.Error()}}
	}
	named := namedModules(string(page))
	for _, r := range requirements(t.FS, "go.mod") {
		if !r.indirect && !slices.Contains(named, r.module) {
			broken = append(broken, Violation{"go.mod", r.module + " is not in " + dependenciesPage})
		}
	}
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, spec := range f.Imports {
				name := importPath(spec.Path.Value)
				if _, own := inModule(name); own || inStdlib(name) || belowAny(name, named) {
					continue
				}
				broken = append(broken, Violation{t.at(spec), name + " is of no module in " + dependenciesPage})
			}
		}
	}
	var required []string
	for _, mod := range dependencyModules {
		for _, r := range requirements(t.FS, mod) {
			required = append(required, r.module)
		}
	}
	for _, module := range named {
		if !slices.Contains(required, module) {
			broken = append(broken, Violation{dependenciesPage, module + " is required by no module: take it off"})
		}
	}
	return broken
}

// rowOfModule is a row of a table that begins with a module's path in code
// quotes.
var rowOfModule = regexp.MustCompile("(?m)^\\| *`([^`]+)`")

func namedModules(page string) (named []string) {
	for _, m := range rowOfModule.FindAllStringSubmatch(page, -1) {
		named = append(named, m[1])
	}
	return named
}

// requirement is one line of a go.mod.
type requirement struct {
	module   string
	indirect bool
}

// requirements reads the require directives of a go.mod (Go Modules Reference,
// "go.mod files"); one that is not there has none.
func requirements(fsys fs.FS, name string) (all []requirement) {
	text, err := fs.ReadFile(fsys, path.Clean(name))
	if err != nil {
		return nil
	}
	block := false
	for line := range strings.Lines(string(text)) {
		code, comment, _ := strings.Cut(line, "//")
		fields := strings.Fields(code)
		switch {
		case len(fields) == 0:
		case fields[0] == ")":
			block = false
		case fields[0] == "require" && len(fields) == 2 && fields[1] == "(":
			block = true
		case fields[0] == "require":
			fields = fields[1:]
			fallthrough
		case block:
			if len(fields) == 2 {
				all = append(all, requirement{fields[0], strings.TrimSpace(comment) == "indirect"})
			}
		}
	}
	return all
}
