package archtest

import (
	"cmp"
	"slices"
)

// Rule is one thing that the tree keeps to.
type Rule struct {
	Name   string
	Why    string
	broken func(*Tree) []Violation
}

// Rules are all of them.
var Rules = []Rule{
	{"parses", "a file that does not parse is in nobody's build", func(t *Tree) []Violation { return t.Faults }},
	{"stations", "a folder is a station of the table, so that ls tells the story", stations},
	{"imports", "a station imports what its row of the table names: dependencies point inward", imports},
	{"adapters", "who imports an adapter has chosen its technology: that is app's to do", adapters},
	{"stdlib", "the domain and position cost their importer nothing", stdlibOnly},
	{"cgo", "one static binary for each system, built on any other", cgo},
	{"ports", "no transaction type and no closure crosses a port", ports},
	{"names", "a name tells what is inside", names},
	{"comments", "a package says what it is for", comments},
	{"examples", "a package that others import shows how, in code that is run", examples},
	{"lines", "one idea a file", lines},
	{"skips", "a test that did not run looks like one that passed", skips},
	{"dependencies", "a dependency is named with its reason", dependencies},
}

// Broken returns where the rule is broken, by place.
func (r Rule) Broken(t *Tree) []Violation {
	violations := r.broken(t)
	slices.SortFunc(violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.What, b.What))
	})
	return slices.Compact(violations)
}
