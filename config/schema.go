package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// setting is one leaf of Config, with its tags.
type setting struct {
	key      string
	def      string
	help     string
	min, max string // "" = none
	atMost   string // key of the setting that it may not exceed
	oneOf    []string
	is       string
	example  string
	noFile   bool   // flag and environment only
	fills    string // of the pseudo-setting KEY_file: the secret that the named file holds
	typ      reflect.Type
	codec    codec

	index []int  // the field in Config
	name  string // where that field is a map: the entry …
	sub   []int  // … and the field in it
}

// flag and env are the mechanical rule.
func (s setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.key) }

func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

const envPrefix = "FRESHET_"

func (s setting) secret() bool { return s.typ == reflect.TypeFor[Secret]() }
func (s setting) list() bool {
	return s.typ.Kind() == reflect.Slice && s.typ != reflect.TypeFor[Shards]()
}

// get returns the value of s in c, nil where it is not set.
func (s setting) get(c *Config) any {
	v := reflect.ValueOf(c).Elem().FieldByIndex(s.index)
	if s.name != "" {
		if v = v.MapIndex(reflect.ValueOf(s.name)); !v.IsValid() {
			return nil
		}
		v = v.FieldByIndex(s.sub)
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	return v.Interface()
}

// set puts value, of type s.typ, into c.
func (s setting) set(c *Config, value any) {
	field := reflect.ValueOf(c).Elem().FieldByIndex(s.index)
	if s.name == "" {
		assign(field, value)
		return
	}
	if field.IsNil() {
		field.Set(reflect.MakeMap(field.Type()))
	}
	entry := reflect.New(field.Type().Elem()).Elem() // entries of a map cannot be changed in place
	if old := field.MapIndex(reflect.ValueOf(s.name)); old.IsValid() {
		entry.Set(old)
	}
	assign(entry.FieldByIndex(s.sub), value)
	field.SetMapIndex(reflect.ValueOf(s.name), entry)
}

func assign(field reflect.Value, value any) {
	if field.Kind() == reflect.Pointer {
		field.Set(reflect.New(field.Type().Elem()))
		field = field.Elem()
	}
	field.Set(reflect.ValueOf(value))
}

// group is a part of the tree of keys that holds settings.
type group struct {
	key, help string
	entry     bool // an entry of a map: its siblings have the same settings
	first     bool // the first such entry, which stands for all where they are described
}

// schema is all that the tags of Config say, in the order of its fields.
type schema struct {
	settings []setting
	groups   []group
	byKey    map[string]setting
	byGroup  map[string]group
	codecs   map[reflect.Type]codec
}

// describe reads the tags of Config. A tag that makes no sense is a mistake of the programmer: it panics.
func describe() *schema {
	s := &schema{byKey: map[string]setting{}, byGroup: map[string]group{}, codecs: codecs()}
	s.fields(reflect.TypeFor[Config](), setting{})
	return s
}

// fields adds what is declared by the fields of struct t, which stands at the place at.
func (s *schema) fields(t reflect.Type, at setting) {
	for field := range t.Fields() {
		if !field.IsExported() {
			continue
		}
		here := at
		here.key = join(at.key, field.Tag.Get("key"))
		if at.name == "" {
			here.index = slices.Concat(at.index, field.Index)
		} else {
			here.sub = slices.Concat(at.sub, field.Index)
		}
		help := field.Tag.Get("help")
		switch typ := field.Type; typ.Kind() {
		case reflect.Map:
			s.addGroup(group{key: here.key, help: help})
			for i, name := range strings.Split(field.Tag.Get("names"), ",") {
				entry := here
				entry.key, entry.name = join(here.key, name), name
				s.addGroup(group{key: entry.key, entry: true, first: i == 0})
				s.fields(typ.Elem(), entry)
			}
		case reflect.Struct:
			if _, leaf := s.codecs[typ]; !leaf {
				s.addGroup(group{key: here.key, help: help})
				s.fields(typ, here)
				continue
			}
			fallthrough
		default:
			s.addSetting(here, typ, field.Tag)
		}
	}
}

func (s *schema) addSetting(here setting, typ reflect.Type, tag reflect.StructTag) {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	c, ok := s.codecs[typ]
	if !ok {
		panic(fmt.Sprintf("config: %s has type %v, which cannot be written in a file", here.key, typ))
	}
	here.typ, here.codec = typ, c
	here.def, here.help, here.example = tag.Get("default"), tag.Get("help"), tag.Get("example")
	here.min, here.max, here.is = tag.Get("min"), tag.Get("max"), tag.Get("is")
	here.noFile = tag.Get("file") == "no"
	if v := tag.Get("atmost"); v != "" {
		here.atMost = join(parent(here.key), v)
	}
	if v := tag.Get("oneof"); v != "" {
		here.oneOf = strings.Split(v, ",")
	}
	s.add(here)
	if here.secret() {
		path := reflect.TypeFor[string]()
		s.add(setting{
			key: here.key + "_file", fills: here.key, typ: path, codec: s.codecs[path],
			help: "File that holds " + here.key + ".",
		})
	}
}

func (s *schema) add(one setting) {
	s.settings = append(s.settings, one)
	s.byKey[one.key] = one
}

func (s *schema) addGroup(g group) {
	s.groups = append(s.groups, g)
	s.byGroup[g.key] = g
}

// children lists the last parts of the names directly below a group, "" being the root.
func (s *schema) children(of string) []string {
	var names []string
	for _, one := range s.settings {
		if parent(one.key) == of && !one.noFile {
			names = append(names, last(one.key))
		}
	}
	for _, g := range s.groups {
		if parent(g.key) == of {
			names = append(names, last(g.key))
		}
	}
	return names
}

func (s *schema) keys() []string { return slices.Sorted(maps.Keys(s.byKey)) }

func join(group, name string) string {
	if group == "" {
		return name
	}
	return group + "." + name
}

func parent(key string) string { return key[:max(0, strings.LastIndexByte(key, '.'))] }
func last(key string) string   { return key[strings.LastIndexByte(key, '.')+1:] }
