package config

import (
	"fmt"
	"strings"
)

// Reference returns docs/reference/config.md: every setting in Markdown.
func Reference() string {
	all := describe()
	var b strings.Builder
	b.WriteString(referenceHead)
	all.table(&b, "")
	for _, g := range all.groups {
		switch {
		case g.entry && g.first:
			fmt.Fprintf(&b, "\n`<space>` is one of: %s.\n", strings.Join(all.children(parent(g.key)), ", "))
			all.table(&b, g.key)
		case g.entry || !all.described(g.key):
		default:
			fmt.Fprintf(&b, "\n## %s\n\n%s.\n", g.key, g.help)
			all.table(&b, g.key)
		}
	}
	return b.String()
}

const referenceHead = `<!-- Generated from config/settings.go by: go test ./config -run TestReferencePage -update -->

# Settings

Every setting has a default, and none is needed to start. One rule gives its names: the key ` + "`feed.mode`" + ` is
the flag ` + "`--feed-mode`" + `, the variable ` + "`FRESHET_FEED_MODE`" + ` and, in the YAML file,

` + "```yaml" + `
feed:
  mode: push
` + "```" + `

Underscores in a key are dashes in its flag. A flag wins over the environment, the environment over the file named by
` + "`--config`" + `, the file over the default. ` + "`freshet config show`" + ` prints what is in force and where it comes from;
` + "`freshet config check`" + ` reports everything that is wrong at once.

- An empty variable counts as not set. A variable that begins with ` + "`FRESHET_`" + ` and is no setting is reported at start;
  an unknown key in the file is an error.
- Durations have a unit: ` + "`500ms`, `30s`, `5m`, `24h`, `30d`" + `. Sizes too: ` + "`512B`, `64KiB`, `4MiB`" + `. Rates are written
  ` + "`20/s`, `600/m`, `1000/h`" + `; shares ` + "`10%`" + ` or ` + "`0.1`" + `; digits may be grouped: ` + "`100_000`" + `.
- A list is separated by commas in a flag or a variable, and a list in YAML.
- A secret is better kept in a file: with ` + "`_file`" + ` appended, each of its names takes the path of one, as
  ` + "`FRESHET_ADMIN_PASSWORD_FILE=/run/secrets/admin`" + `. Secrets are never printed.
`

// described reports whether a group has more to tell than its name: settings, or entries that have some.
func (s *schema) described(group string) bool {
	for _, one := range s.settings {
		if parent(one.key) == group || one.name != "" && parent(parent(one.key)) == group {
			return true
		}
	}
	return false
}

// table writes the settings directly below a group; those in an entry of a map stand for every entry.
func (s *schema) table(b *strings.Builder, group string) {
	head := "\n| setting | environment | default | allowed | what it does |\n|---|---|---|---|---|\n"
	general := func(text string) string { return text }
	if s.byGroup[group].entry {
		name := last(group)
		general = func(text string) string {
			return strings.NewReplacer("."+name+".", ".<space>.", "_"+strings.ToUpper(name)+"_", "_<SPACE>_").Replace(text)
		}
	}
	for _, one := range s.settings {
		if parent(one.key) != group || one.fills != "" {
			continue
		}
		fmt.Fprintf(b, "%s| `%s` | `%s` | %s | %s | %s |\n", head,
			general(one.key), general(one.env()), code(one.def), cell(general(one.allowed())), cell(one.help))
		head = ""
	}
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// Example returns a YAML file with every setting at its default and commented out, groups left in: taking away one #
// is all it needs to change a setting.
func Example() string {
	all := describe()
	var b strings.Builder
	b.WriteString("## Settings of freshet with their defaults, or with an example where there is none.\n## Take away the # before the one to change.\n")
	all.example(&b, "", "")
	return b.String()
}

// example writes what is below a group.
func (s *schema) example(b *strings.Builder, group, indent string) {
	for _, one := range s.settings {
		if parent(one.key) != group || one.noFile || one.fills != "" {
			continue
		}
		value := one.def
		if value == "" {
			value = one.example
		}
		switch {
		case one.list():
			value = "[" + value + "]"
		case value == "":
			value = `""`
		}
		fmt.Fprintf(b, "%s## %s\n%s#%s: %s\n", indent, one.usage(), indent, last(one.key), value)
	}
	for _, g := range s.groups {
		if parent(g.key) != group || g.entry && !g.first {
			continue
		}
		if g.entry {
			fmt.Fprintf(b, "%s## the same for: %s\n", indent, strings.Join(s.children(group)[1:], ", "))
		} else {
			fmt.Fprintf(b, "\n%s## %s\n", indent, g.help)
		}
		fmt.Fprintf(b, "%s%s:\n", indent, last(g.key))
		s.example(b, g.key, indent+"  ")
	}
}
