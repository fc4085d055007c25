package archtest

import (
	"go/ast"
	"slices"
)

// skips reports calls of Skip, Skipf and SkipNow in tests, and in packages that
// run them for others, and exceptions that are no longer needed. To skip on a
// *rapid.T is to discard one draw and not the test.
func skips(t *Tree) (broken []Violation) {
	needed := make(map[string]bool)
	for _, p := range t.Packages {
		for _, f := range p.Files {
			if !f.Test && !isSuite(p.Folder) && p.Folder != "internal/testenv" {
				continue
			}
			for _, d := range f.Decls {
				found, where := skipsIn(t, d), declared(f, d)
				if _, excepted := Skips[where]; !excepted {
					broken = append(broken, found...)
				} else if found != nil {
					needed[where] = true
				}
			}
		}
	}
	for where := range Skips {
		if !needed[where] {
			broken = append(broken, Violation{where, "skips nothing: take it off Skips"})
		}
	}
	return broken
}

// declared names a declaration as the keys of Skips do.
func declared(f *File, d ast.Decl) string {
	if fn, ok := d.(*ast.FuncDecl); ok {
		return f.Path + ": " + fn.Name.Name
	}
	return f.Path
}

// skipsIn lists the skips in one declaration.
func skipsIn(t *Tree, d ast.Decl) (found []Violation) {
	var path []ast.Node // from d to the node at hand
	ast.Inspect(d, func(n ast.Node) bool {
		if n == nil {
			path = path[:len(path)-1]
			return true
		}
		path = append(path, n)
		if sel, ok := n.(*ast.SelectorExpr); ok && isSkip(sel, path) {
			found = append(found, Violation{t.at(sel), "skips a test: let it fail or do less (testenv.Size)"})
		}
		return true
	})
	return found
}

// isSkip tells whether a selector is the Skip of something else than a *rapid.T
// that a function around it takes.
func isSkip(sel *ast.SelectorExpr, path []ast.Node) bool {
	if !slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
		return false
	}
	of, ok := sel.X.(*ast.Ident)
	if !ok {
		return true
	}
	for _, n := range slices.Backward(path) {
		var sig *ast.FuncType
		switch n := n.(type) {
		case *ast.FuncDecl:
			sig = n.Type
		case *ast.FuncLit:
			sig = n.Type
		default:
			continue
		}
		if typ := paramType(sig, of.Name); typ != nil {
			return !isRapidT(typ)
		}
	}
	return true
}

// paramType returns the type of the parameter with that name; nil if there is
// none.
func paramType(sig *ast.FuncType, name string) ast.Expr {
	for _, field := range sig.Params.List {
		if slices.ContainsFunc(field.Names, func(id *ast.Ident) bool { return id.Name == name }) {
			return field.Type
		}
	}
	return nil
}

// isRapidT tells whether a type is *rapid.T.
func isRapidT(typ ast.Expr) bool {
	star, ok := typ.(*ast.StarExpr)
	if !ok {
		return false
	}
	sel, ok := star.X.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "rapid" && sel.Sel.Name == "T"
}
