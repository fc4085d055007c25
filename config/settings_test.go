package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// sample is a valid value of s that is not its default, as it would be written.
func sample(t *testing.T, s setting) string {
	t.Helper()
	switch {
	case len(s.oneOf) > 0:
		return s.oneOf[len(s.oneOf)-1]
	case s.example != "":
		return s.example
	case s.codec.name == "bool":
		return "true"
	case s.is == "address":
		return "localhost:0"
	case s.secret():
		return "correct horse"
	case s.codec.name == "string":
		return "some/where"
	case s.min == s.def || s.codec.compare(s.bound(s.min), s.bound(s.def)) == 0:
		return s.codec.format(s.bound(s.max))
	case s.max != "" && strings.Contains(" http.read_timeout jobs.backoff_max limits.page ", " "+s.key+" "):
		return s.codec.format(s.bound(s.max)) // another setting may not exceed it
	}
	return s.codec.format(s.bound(s.min))
}

func load(t *testing.T, args, env []string) (*Config, []Warning, error) {
	t.Helper()
	fs := pflag.NewFlagSet("freshet", pflag.ContinueOnError)
	BindFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(Sources{Flags: fs, Env: env})
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "freshet.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// nested writes a key with its value as YAML: a.b.c becomes a: {b: {c: value}}.
func nested(key, value string) string {
	parts := strings.Split(key, ".")
	return strings.Join(parts, ": {") + ": " + value + strings.Repeat("}", len(parts)-1) + "\n"
}

// TestMechanicalRule derives the flag, the variable and the YAML key of every field from its tags by the published
// rule, sets it through each of them, and finds the value in the configuration with its source.
func TestMechanicalRule(t *testing.T) {
	all := describe()
	names := map[string]string{}
	for _, s := range all.settings {
		t.Run(s.key, func(t *testing.T) {
			if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)*$`).MatchString(s.key) {
				t.Errorf("key %q is not lower case words joined by dots and underscores", s.key)
			}
			flag := "--" + regexp.MustCompile(`[._]`).ReplaceAllString(s.key, "-")
			env := "FRESHET_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
			for _, name := range []string{flag, env} {
				if other, taken := names[name]; taken {
					t.Fatalf("%s names both %s and %s", name, s.key, other)
				}
				names[name] = s.key
			}
			if s.fills != "" {
				return // TestSecretFile
			}
			value := sample(t, s)
			path, yamlSource := "", ""
			if s.noFile {
				value = write(t, "log: {level: info}\n")
			} else {
				text := value
				if s.list() {
					text = "[" + value + "]"
				}
				path = write(t, nested(s.key, text))
				yamlSource = path + ":1"
			}
			for _, from := range []struct {
				args, env []string
				source    string
			}{
				{[]string{flag + "=" + value}, nil, "flag " + flag},
				{nil, []string{env + "=" + value}, "env " + env},
				{nil, []string{"FRESHET_CONFIG=" + path}, yamlSource},
			} {
				if from.source == "" {
					continue
				}
				cfg, _, err := load(t, from.args, from.env)
				if err != nil {
					t.Errorf("%s: %v", from.source, err)
					continue
				}
				if got := s.codec.format(s.get(cfg)); !s.secret() && got != value {
					t.Errorf("%s: %s is %q, want %q", from.source, s.key, got, value)
				}
				if s.secret() && fmt.Sprint(s.get(cfg)) != Redacted {
					t.Errorf("%s: %s is not set", from.source, s.key)
				}
				if got := cfg.Source(s.key).String(); got != from.source {
					t.Errorf("source of %s is %q, want %q", s.key, got, from.source)
				}
			}
		})
	}
}

// TestEveryFieldIsASetting walks the structs on its own, so that a field without tags cannot hide from describe.
func TestEveryFieldIsASetting(t *testing.T) {
	all := describe()
	fields := 0
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, at string) {
		for f := range typ.Fields() {
			where := at + "." + f.Name
			if !f.IsExported() {
				continue
			}
			if f.Tag.Get("key") == "" {
				t.Errorf("%s has no key", where)
			}
			if f.Tag.Get("help") == "" {
				t.Errorf("%s has no help", where)
			}
			if words := regexp.MustCompile(`(\w+):"`).FindAllStringSubmatch(string(f.Tag), -1); words != nil {
				for _, w := range words {
					if !strings.Contains(" key default help min max atmost oneof is names example file ", " "+w[1]+" ") {
						t.Errorf("%s has the unknown tag %s", where, w[1])
					}
				}
			}
			switch {
			case f.Type.Kind() == reflect.Map:
				for range strings.SplitSeq(f.Tag.Get("names"), ",") {
					walk(f.Type.Elem(), where)
				}
			case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == typ.PkgPath() && all.codecs[f.Type].name == "":
				walk(f.Type, where)
			default:
				fields++
			}
		}
	}
	walk(reflect.TypeFor[Config](), "Config")

	described := 0
	for _, s := range all.settings {
		if s.fills != "" {
			continue
		}
		described++
		if s.codec.compare != nil && (s.min == "" || s.max == "") {
			t.Errorf("%s has no bounds", s.key)
		}
		if s.atMost != "" {
			if other, ok := all.byKey[s.atMost]; !ok || other.typ != s.typ {
				t.Errorf("%s is at most %s, which is no setting of that type", s.key, s.atMost)
			}
		}
		if s.is != "" && !strings.Contains(" address origin path ", " "+s.is+" ") {
			t.Errorf("%s has the unknown form %q", s.key, s.is)
		}
		if !strings.HasSuffix(s.help, ".") {
			t.Errorf("help of %s is no sentence: %q", s.key, s.help)
		}
	}
	if described != fields {
		t.Errorf("%d settings are described, the structs have %d", described, fields)
	}
}

// TestDefaultsAreValid also checks the bounds and examples, which are written in the same way.
func TestDefaultsAreValid(t *testing.T) {
	cfg, warnings, err := Load(Sources{})
	if err != nil || len(warnings) > 0 {
		t.Fatalf("no sources: %v, %v", warnings, err)
	}
	for _, s := range describe().settings {
		if s.fills != "" {
			continue
		}
		value := s.get(cfg)
		if value == nil {
			if s.def != "" {
				t.Errorf("%s has the default %s and is not set", s.key, s.def)
			}
		} else if problem := s.problem(value); problem != "" {
			t.Errorf("default of %s: %s", s.key, problem)
		} else if got := s.codec.format(value); got != s.def {
			t.Errorf("default of %s is %q and reads as %q", s.key, s.def, got)
		}
		for _, text := range []string{s.min, s.max, s.example} {
			if text == "" {
				continue
			}
			if problem := s.problem(s.bound(text)); problem != "" {
				t.Errorf("%s: %s: %s", s.key, text, problem)
			}
			if got := s.codec.format(s.bound(text)); got != text {
				t.Errorf("%s: %s would be shown as %s", s.key, text, got)
			}
		}
	}
	if !reflect.DeepEqual(Default().Limits, cfg.Limits) || Default().Feed != cfg.Feed {
		t.Error("Default differs from Load without sources")
	}
}
