package archtest

import (
	"fmt"
	"go/ast"
	"go/doc"
	"path"
	"slices"
	"strings"
)

// names reports packages and folders called for what everything is.
func names(t *Tree) (broken []Violation) {
	for _, p := range t.Packages {
		for part := range strings.SplitSeq(p.Folder, "/") {
			if slices.Contains(NoNames, part) {
				broken = append(broken, Violation{p.Folder, "a folder called " + part})
			}
		}
		for _, f := range p.Files {
			if slices.Contains(NoNames, f.Name.Name) {
				broken = append(broken, Violation{f.Path, "a package called " + f.Name.Name})
			}
		}
	}
	return broken
}

// comments reports packages without the comment that says what they are for, or
// with more than one.
func comments(t *Tree) (broken []Violation) {
	for _, p := range t.Packages {
		code := p.code()
		if len(code) == 0 {
			continue // tests only
		}
		want := "Package " + code[0].Name.Name + " "
		if code[0].Name.Name == "main" {
			want = "Command " + path.Base(p.Folder) + " "
		}
		var found []string
		for _, f := range code {
			if f.Doc == nil {
				continue
			}
			found = append(found, f.Path)
			if !strings.HasPrefix(oneLine(f.Doc.Text()), want) {
				broken = append(broken, Violation{f.Path, fmt.Sprintf("the package comment does not begin with %q", want)})
			}
		}
		switch len(found) {
		case 0:
			broken = append(broken, Violation{p.Folder, fmt.Sprintf("no package comment (%s…)", want)})
		case 1:
		default:
			broken = append(broken, Violation{p.Folder, "several package comments: " + strings.Join(found, ", ")})
		}
	}
	return broken
}

// oneLine joins the lines of a comment.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") + " " }

// examples reports packages for others to import that show no use in an example
// that runs, which is one with an Output. A conformance suite needs a
// *testing.T, which an example cannot make: its example need only compile.
func examples(t *Tree) (broken []Violation) {
	for _, p := range t.Packages {
		if len(p.code()) == 0 || belowAny(p.Folder, WithoutExample) {
			continue
		}
		var files []*ast.File
		for _, f := range p.tests() {
			files = append(files, f.File)
		}
		runs := slices.ContainsFunc(doc.Examples(files...), func(e *doc.Example) bool {
			return e.Output != "" || e.EmptyOutput || isSuite(p.Folder)
		})
		if !runs {
			broken = append(broken, Violation{p.Folder, "no Example with an Output in its tests"})
		}
	}
	return broken
}

// lines reports files that are too long to be about one thing, and exceptions
// that are no longer needed.
func lines(t *Tree) (broken []Violation) {
	needed := make(map[string]bool)
	for _, p := range t.Packages {
		for _, f := range p.code() {
			_, excepted := LongFiles[f.Path]
			switch long := f.Lines > MaxLines; {
			case long && !excepted:
				broken = append(broken, Violation{f.Path, fmt.Sprintf("%d lines, more than %d", f.Lines, MaxLines)})
			case long:
				needed[f.Path] = true
			}
		}
	}
	for path := range LongFiles {
		if !needed[path] {
			broken = append(broken, Violation{path, "is short enough: take it off LongFiles"})
		}
	}
	return broken
}
