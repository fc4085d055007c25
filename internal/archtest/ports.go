package archtest

import (
	"go/ast"
	"slices"
)

// ports reports methods of a port's exported interfaces that take a function or
// speak of a transaction. A closure that runs inside the other side's
// transaction ties both to one process and to one engine's locks.
func ports(t *Tree) (broken []Violation) {
	for _, p := range t.Packages {
		if !slices.Contains(Ports, p.Folder) {
			continue
		}
		types := typesOf(p)
		for name, typ := range types {
			port, ok := typ.(*ast.InterfaceType)
			if !ok || !ast.IsExported(name) {
				continue
			}
			broken = append(broken, closures(t, name, port, types)...)
		}
	}
	return broken
}

// typesOf returns the named types that the code of a package declares.
func typesOf(p *Package) map[string]ast.Expr {
	types := make(map[string]ast.Expr)
	for _, f := range p.code() {
		ast.Inspect(f.File, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				types[spec.Name.Name] = spec.Type
			}
			_, local := n.(*ast.FuncDecl)
			return !local
		})
	}
	return types
}

// closures reports what a method of one interface should not have.
func closures(t *Tree, name string, port *ast.InterfaceType, types map[string]ast.Expr) (broken []Violation) {
	for _, m := range port.Methods.List {
		sig, ok := m.Type.(*ast.FuncType)
		if !ok {
			continue // an embedded interface, seen where it is declared
		}
		method := name + "." + m.Names[0].Name
		for _, field := range sig.Params.List {
			if takesFunc(field.Type, types) {
				broken = append(broken, Violation{t.at(field), method + " takes a function"})
			}
		}
		fields := sig.Params.List
		if sig.Results != nil {
			fields = append(slices.Clone(fields), sig.Results.List...)
		}
		for _, field := range fields {
			if namesTx(field.Type) {
				broken = append(broken, Violation{t.at(field), method + " speaks of a transaction"})
			}
		}
	}
	return broken
}

// takesFunc tells whether a type is, or holds, a function: written out, by a
// name of this package, or as an iterator.
func takesFunc(typ ast.Expr, types map[string]ast.Expr) (found bool) {
	ast.Inspect(typ, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncType:
			found = true
		case *ast.Ident:
			found = found || isFunc(n, types)
		case *ast.SelectorExpr:
			pkg, _ := n.X.(*ast.Ident)
			found = found || pkg != nil && pkg.Name == "iter"
			return false
		}
		return !found
	})
	return found
}

// isFunc tells whether a name of this package stands for a function type, by
// way of other names or not. A chain of names cannot be longer than their number.
func isFunc(typ ast.Expr, types map[string]ast.Expr) bool {
	for range len(types) + 1 {
		name, ok := typ.(*ast.Ident)
		if !ok {
			break
		}
		typ = types[name.Name]
	}
	_, ok := typ.(*ast.FuncType)
	return ok
}

// namesTx tells whether a type is called Tx, whoever's it is.
func namesTx(typ ast.Expr) (found bool) {
	ast.Inspect(typ, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == "Tx"
		return !found
	})
	return found
}
