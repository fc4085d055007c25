package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readFile reads the YAML file that a flag or a variable names.
func (l *loader) readFile() {
	path, ok := l.pick(l.byKey["config"])
	if !ok || path.text == "" {
		return
	}
	text, err := readAtMost(path.text, 1<<20)
	if err != nil {
		l.fail(Error{
			Key: "config", Source: path.source, Problem: "cannot be read: " + err.Error(),
			Suggestion: "name a YAML file that this user can read, or none: every setting has a default",
		})
		return
	}
	l.readYAML(path.text, text)
}

// readYAML reads the settings of one document. Values are taken as they are written, not as YAML types them, so that
// they mean the same in every source.
func (l *loader) readYAML(path string, text []byte) {
	l.file = layer{}
	in := &document{loader: l, path: path}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		in.syntax(err)
		return
	}
	if len(file.Docs) > 1 {
		in.fail(nil, "config", "holds more than one document", "keep the first and remove what follows the line ---")
		return
	}
	for _, doc := range file.Docs {
		in.group("", doc.Body)
	}
}

// document is one YAML file being read.
type document struct {
	*loader
	path string
}

func (d *document) at(node ast.Node) Source {
	source := Source{Kind: FromFile, Name: d.path}
	if node != nil && node.GetToken() != nil && node.GetToken().Position != nil {
		source.Line = node.GetToken().Position.Line
	}
	return source
}

func (d *document) fail(at ast.Node, key, problem, hint string) {
	d.loader.fail(Error{Key: key, Source: d.at(at), Problem: problem, Suggestion: hint})
}

// syntax reports what the parser says, without the excerpt of the file that it offers: that might hold a secret.
func (d *document) syntax(err error) {
	problem, source := "is not valid YAML", d.at(nil)
	if typed := yaml.Error(nil); errors.As(err, &typed) {
		problem += ": " + typed.GetMessage()
		if t := typed.GetToken(); t != nil && t.Position != nil {
			source.Line = t.Position.Line
		}
	}
	d.loader.fail(Error{Key: "config", Source: source, Problem: problem, Suggestion: "write `key: value` lines, and indent with spaces"})
}

// group reads what stands below a group; nothing there is nothing set.
func (d *document) group(key string, node ast.Node) {
	switch n := node.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
	case *ast.MappingNode:
		for _, entry := range n.Values {
			d.entry(key, entry)
		}
	case *ast.MappingValueNode:
		d.entry(key, n)
	default:
		problem := "is a group of settings and has no value of its own"
		if key == "" {
			key, problem = "config", "holds a value without a name"
		}
		d.fail(node, key, problem, "write `name: value` lines")
	}
}

// entry reads one `name: value` below a group. A name may hold dots: `feed.mode: push` is `feed: {mode: push}`.
func (d *document) entry(group string, entry *ast.MappingValueNode) {
	name := entry.Key.GetToken().Value
	if text, ok := entry.Key.(*ast.StringNode); ok {
		name = text.Value
	}
	key := join(group, name)
	s, known := d.byKey[key]
	_, isGroup := d.byGroup[key]
	switch {
	case known && s.noFile:
		d.fail(entry.Key, key, "cannot be set in a file", fmt.Sprintf("use --%s or %s", s.flag(), s.env()))
	case known:
		d.value(s, entry)
	case isGroup:
		d.group(key, entry.Value)
	default:
		d.unknown(group, name, entry.Key)
	}
}

func (d *document) unknown(group, name string, at ast.Node) {
	siblings := d.children(group)
	meant := Nearest(name, siblings)
	if meant != "" {
		meant = join(group, meant)
	} else if strings.Contains(name, ".") {
		meant = Nearest(join(group, name), d.keys())
	}
	if meant == "" {
		meant = onlyEndingIn(name, d.keys(), ".")
	}
	d.loader.fail(Error{
		Key: join(group, name), Source: d.at(at), Problem: "is not a setting",
		Allowed: strings.Join(siblings, ", "), Suggestion: didYouMean(meant, "`freshet config show` lists every setting"),
	})
}

// value takes the text of a scalar or, where s is a list, of each of its items; null is not set.
func (d *document) value(s setting, entry *ast.MappingValueNode) {
	if before, twice := d.file[s.key]; twice {
		d.fail(entry.Key, s.key, fmt.Sprintf("is given twice, also in line %d", before.source.Line), "leave one of the two out")
		return
	}
	node := entry.Value
	if _, null := node.(*ast.NullNode); null || node == nil {
		return
	}
	if s.typ == reflect.TypeFor[Shards]() { // it is YAML in every source
		text := node.String()
		if t := node.GetToken(); t != nil && t.Position != nil { // all lines but the first stand where they stood
			text = strings.ReplaceAll(text, "\n"+strings.Repeat(" ", max(t.Position.Column-1, 0)), "\n")
		}
		d.file.put(s, text, d.at(entry.Key))
		return
	}
	nodes := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok && s.list() {
		nodes = sequence.Values
	}
	var texts []string
	for _, n := range nodes {
		text, ok := scalar(n)
		if !ok {
			d.loader.fail(Error{
				Key: s.key, Source: d.at(n), Problem: "is not a plain value", Allowed: s.allowed(),
				Suggestion: "write one value, without anchors, aliases and tags",
			})
			return
		}
		texts = append(texts, text)
	}
	d.file.put(s, strings.Join(texts, ","), d.at(entry.Key))
}

// scalar returns the text of a plain value.
func scalar(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}
