package config

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// Sources is what Load reads; --config or FRESHET_CONFIG in them names the file. The zero value gives the defaults.
type Sources struct {
	Flags *pflag.FlagSet // bound by [BindFlags] and parsed; nil: none
	Env   []string       // NAME=value, as os.Environ returns it
}

// Default returns the settings of a node that was told nothing.
func Default() *Config {
	c := &Config{}
	for _, s := range describe().settings {
		if s.def == "" || s.fills != "" {
			continue
		}
		value, err := s.codec.parse(s.def)
		if err != nil {
			panic(fmt.Sprintf("config: default of %s: %q %v", s.key, s.def, err))
		}
		s.set(c, value)
	}
	return c
}

// Load reads every source once and returns the settings in force. The error is an [Errors] with everything that is
// wrong, and the settings are nil then; warnings come in both cases.
func Load(from Sources) (*Config, []Warning, error) {
	l := &loader{schema: describe(), config: Default()}
	l.readFlags(from.Flags)
	l.readEnv(from.Env)
	l.readFile()
	l.resolve()
	l.check()
	if len(l.errs) > 0 {
		return nil, l.warnings, l.errs
	}
	return l.config, l.warnings, nil
}

// Source says where the value of a setting came from.
func (c *Config) Source(key string) Source { return c.sources[key] }

// loader carries one Load. Its layers hold texts as they were given; only those that win are parsed.
type loader struct {
	*schema
	flags, env, file layer
	config           *Config
	warnings         []Warning
	errs             Errors
}

// layer is what one source gave, by key.
type layer map[string]given

type given struct {
	text   string
	source Source
}

func (l *loader) fail(e Error) {
	if e.Suggestion == "" {
		e.Suggestion = "`freshet config show` lists every setting with its value"
	}
	l.errs = append(l.errs, &e)
}

func (l *loader) warn(message, hint string) {
	l.warnings = append(l.warnings, Warning{Message: message, Hint: hint})
}

// pick finds the text of a setting in the first source that gives one.
func (l *loader) pick(s setting) (given, bool) {
	for _, from := range []layer{l.flags, l.env, l.file} {
		text, ok := from[s.key]
		if !s.secret() {
			if ok {
				return text, true
			}
			continue
		}
		path, inFile := from[s.key+"_file"]
		switch {
		case ok && inFile:
			l.fail(Error{
				Key: s.key, Source: text.source, Problem: fmt.Sprintf("is given twice, also by %v", path.source),
				Suggestion: "leave one of the two out",
			})
			return given{}, false
		case inFile:
			return l.readSecret(s, path)
		case ok:
			return text, true
		}
	}
	return given{}, false
}

// readSecret reads the file that path names; the newline at its end is not part of the secret.
func (l *loader) readSecret(s setting, path given) (given, bool) {
	text, err := readAtMost(path.text, 64*1024)
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case err != nil:
		l.fail(Error{Key: s.key, Source: path.source, Problem: "cannot be read: " + err.Error(), Suggestion: "name a file that this user can read"})
	case secret == "":
		l.fail(Error{Key: s.key, Source: path.source, Problem: "the file " + path.text + " is empty", Suggestion: "write the secret into the file, or leave the setting out"})
	}
	return given{text: secret, source: path.source}, err == nil && secret != ""
}

// resolve puts the text that wins into the configuration.
func (l *loader) resolve() {
	l.config.sources = map[string]Source{}
	for _, s := range l.settings {
		if s.fills != "" {
			continue
		}
		found, ok := l.pick(s)
		if !ok {
			continue
		}
		if !s.secret() {
			found.text = strings.TrimSpace(found.text)
		}
		value, err := s.codec.parse(found.text)
		if err != nil {
			given := strconv.Quote(found.text)
			if s.typ == reflect.TypeFor[Shards]() { // it may bear passwords
				given = "what is written there"
			}
			l.fail(Error{
				Key: s.key, Source: found.source, Problem: fmt.Sprintf("%s %v", given, err),
				Allowed: s.allowed(), Suggestion: "write " + s.codec.written,
			})
			continue
		}
		l.config.sources[s.key] = found.source
		s.set(l.config, value)
		if problem := s.problem(value); problem != "" {
			l.fail(Error{Key: s.key, Source: found.source, Problem: problem, Allowed: s.allowed(), Suggestion: s.remedy(found.text)})
		}
	}
}

// check finds settings that are valid alone and wrong together. One that was refused already is not complained about
// again.
func (l *loader) check() {
	refused := map[string]bool{}
	for _, e := range l.errs {
		refused[e.Key] = true
	}
	for _, s := range l.settings {
		if s.atMost == "" || refused[s.key] || refused[s.atMost] {
			continue
		}
		other := l.byKey[s.atMost]
		value, bound := s.get(l.config), other.get(l.config)
		if value == nil || bound == nil || s.codec.compare(value, bound) <= 0 {
			continue
		}
		l.fail(Error{
			Key: s.key, Source: l.config.Source(s.key),
			Problem:    s.codec.format(value) + " is more than " + other.key,
			Allowed:    fmt.Sprintf("at most %s (%v)", s.codec.format(bound), l.config.Source(other.key)),
			Suggestion: "lower " + s.key + " or raise " + other.key,
		})
	}
	if n := utf8.RuneCountInString(string(l.config.Admin.Password)); n > 0 && n < l.config.Password.Min && !refused["password.min"] {
		l.fail(Error{
			Key: "admin.password", Source: l.config.Source("admin.password"), Problem: "is too short",
			Allowed:    fmt.Sprintf("at least %d characters (password.min)", l.config.Password.Min),
			Suggestion: "choose a longer password",
		})
	}
}

// readAtMost reads a file of at most max bytes.
func readAtMost(path string, max int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > max {
		return nil, fmt.Errorf("%s is larger than %v", path, Bytes(max))
	}
	return os.ReadFile(path)
}
