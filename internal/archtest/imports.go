package archtest

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// station returns the row that a folder belongs to.
func station(folder string) (s Station, ok bool) {
	i := slices.IndexFunc(Table, func(s Station) bool { return below(folder, s.Folder) })
	if i < 0 {
		return Station{}, false
	}
	return Table[i], true
}

// stations reports folders that no row of the table speaks of.
func stations(t *Tree) (broken []Violation) {
	for _, p := range t.Packages {
		if _, ok := station(p.Folder); !ok {
			broken = append(broken, Violation{p.Folder, "no station of the table (internal/archtest/table.go) has this folder"})
		}
	}
	return broken
}

// use is one import of this module's packages: who imports what.
type use struct {
	from   *Package
	by     Station
	test   bool
	folder string // what is imported
	where  string
}

// uses lists the imports of this module within the tree. Folders without a
// station are left to the rule stations.
func uses(t *Tree) (all []use) {
	for _, p := range t.Packages {
		by, ok := station(p.Folder)
		if !ok {
			continue
		}
		for _, f := range p.Files {
			for _, spec := range f.Imports {
				if folder, ok := inModule(importPath(spec.Path.Value)); ok {
					all = append(all, use{from: p, by: by, test: f.Test, folder: folder, where: t.at(spec)})
				}
			}
		}
	}
	return all
}

// importPath is the path in an import's string literal.
func importPath(literal string) string {
	p, _ := strconv.Unquote(literal) // the parser has checked it
	return p
}

// imports reports imports that a station's row does not name.
func imports(t *Tree) (broken []Violation) {
	for _, u := range uses(t) {
		if !u.allowed() {
			broken = append(broken, Violation{u.where, u.by.Folder + " does not import " + u.folder + " (see the table in internal/archtest/table.go)"})
		}
	}
	return broken
}

func (u use) allowed() bool {
	switch {
	case below(u.folder, u.by.Folder), slices.Contains(u.by.May, Everything), slices.Contains(u.by.May, u.folder):
		return true
	case u.folder == "." || u.folder == "position":
		return u.by.Core
	case u.test && (slices.Contains(TestsMay, u.folder) || isSuite(u.folder)):
		return true
	case u.test || isAdapter(u.from.Folder):
		return slices.Contains(u.by.Ground, u.folder)
	}
	return false
}

// adapters reports imports of an adapter by others than those that choose one
// and the tests of its own station.
func adapters(t *Tree) (broken []Violation) {
	for _, u := range uses(t) {
		own := below(u.folder, u.by.Folder)
		if !isAdapter(u.folder) || slices.Contains(Choosers, u.by.Folder) || own && u.test {
			continue
		}
		broken = append(broken, Violation{u.where, u.folder + " is an adapter: only " + strings.Join(Choosers, ", ") + " and tests of its own station import it"})
	}
	return broken
}

// isAdapter tells whether a folder, or one above it, bears a technology's name.
func isAdapter(folder string) bool {
	return slices.ContainsFunc(strings.Split(folder, "/"), func(part string) bool { return slices.Contains(Technologies, part) })
}

// isSuite tells whether a folder is a conformance suite: store/storetest.
func isSuite(folder string) bool {
	return path.Base(folder) == path.Base(path.Dir(folder))+"test"
}

// stdlibOnly reports imports of anything else by the packages that have to do
// without. Their tests are free.
func stdlibOnly(t *Tree) (broken []Violation) {
	for _, p := range t.Packages {
		if !slices.Contains(StdlibOnly, p.Folder) {
			continue
		}
		for _, f := range p.code() {
			for _, spec := range f.Imports {
				if name := importPath(spec.Path.Value); !inStdlib(name) {
					broken = append(broken, Violation{t.at(spec), "imports " + name + ": here is the standard library only"})
				}
			}
		}
	}
	return broken
}

// cgo reports imports of "C".
func cgo(t *Tree) (broken []Violation) {
	for _, p := range t.Packages {
		for _, f := range p.Files {
			for _, spec := range f.Imports {
				if importPath(spec.Path.Value) == "C" {
					broken = append(broken, Violation{t.at(spec), `imports "C"`})
				}
			}
		}
	}
	return broken
}
