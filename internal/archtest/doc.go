// Package archtest keeps the shape of the tree: which package may import which,
// what each package has to explain about itself, and what may cross a port.
//
//	tree, err := archtest.Load(os.DirFS(root))
//	for _, rule := range archtest.Rules {
//		for _, v := range rule.Broken(tree) { fmt.Println(v) }
//	}
//
// The rules are data where they can be: [Table] is the table of the design, one
// row a station, and the lists of exceptions carry a reason each. Whoever changes
// the shape changes a row there, in sight of whoever reviews it.
//
// It reads source files and never builds them, whatever system they are for, so
// it works while a package is half written: a file that does not parse is one
// more violation. It does not judge style: gofumpt and staticcheck do.
package archtest
