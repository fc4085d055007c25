package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Tree is the source of a module.
type Tree struct {
	FS       fs.FS
	Fset     *token.FileSet
	Packages []*Package
	Faults   []Violation
}

// Package is a folder with Go files.
type Package struct {
	Folder string // slash-separated, "." for the root
	Files  []*File
}

// File is a Go file, for whatever system it is.
type File struct {
	Path  string
	Test  bool
	Lines int
	*ast.File
}

// Violation is one place where a rule is broken.
type Violation struct {
	Where string // a path, or path:line
	What  string
}

func (v Violation) String() string { return v.Where + ": " + v.What }

// Load parses all Go files of the module at the root of fsys. Other modules in
// it, testdata and hidden folders are left out. A file that does not parse is a
// fault of the tree and no error.
func Load(fsys fs.FS) (*Tree, error) {
	t := &Tree{FS: fsys, Fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (outside(d.Name()) || isModule(fsys, name)):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		return t.add(name)
	})
	return t, err
}

// outside tells of a folder that the go command does not look into.
func outside(base string) bool {
	return base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

func isModule(fsys fs.FS, folder string) bool {
	_, err := fs.Stat(fsys, path.Join(folder, "go.mod"))
	return err == nil
}

// add parses one file into its package.
func (t *Tree) add(name string) error {
	src, err := fs.ReadFile(t.FS, name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(t.Fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Faults = append(t.Faults, Violation{name, "does not parse: " + err.Error()})
		return nil
	}
	p := t.folder(path.Dir(name))
	p.Files = append(p.Files, &File{
		Path:  name,
		Test:  strings.HasSuffix(name, "_test.go"),
		Lines: bytes.Count(src, []byte("\n")),
		File:  parsed,
	})
	return nil
}

// folder returns the package of that folder, a new one where there is none.
func (t *Tree) folder(name string) *Package {
	for _, p := range t.Packages {
		if p.Folder == name {
			return p
		}
	}
	p := &Package{Folder: name}
	t.Packages = append(t.Packages, p)
	return p
}

// at is where a node is, as path:line.
func (t *Tree) at(n ast.Node) string {
	p := t.Fset.Position(n.Pos())
	return p.Filename + ":" + strconv.Itoa(p.Line)
}

// code are the files that are compiled into the package itself.
func (p *Package) code() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return f.Test })
}

// tests are the others.
func (p *Package) tests() []*File {
	return slices.DeleteFunc(slices.Clone(p.Files), func(f *File) bool { return !f.Test })
}

// below tells whether a folder is another or lies below it. Only itself is at
// or below the root folder.
func below(folder, other string) bool {
	return folder == other || other != "." && strings.HasPrefix(folder, other+"/")
}

// belowAny is below for any of several.
func belowAny(folder string, others []string) bool {
	return slices.ContainsFunc(others, func(o string) bool { return below(folder, o) })
}

// inModule returns the folder of an import path of this module.
func inModule(importPath string) (folder string, ok bool) {
	if importPath == Module {
		return ".", true
	}
	return strings.CutPrefix(importPath, Module+"/")
}

// inStdlib tells whether an import path is the standard library's: no dot in its
// first element.
func inStdlib(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}
