package config

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// DatabaseFile is the embedded store's file in the data folder.
const DatabaseFile = "freshet.db"

// embedded is a shard's primary that is [DatabaseFile]; with a colon and a name behind it, another file of the data folder.
const embedded = "sqlite"

// Embedded is the store where none is named.
func Embedded() Shards { return Shards{{Primary: embedded}} }

// Shard is one part of the store: a PostgreSQL primary with its replicas, each a URL, or a file of the data folder. URLs may bear
// passwords, so they are never printed whole.
type Shard struct {
	Primary  string   `yaml:"primary"`
	Replicas []string `yaml:"replicas"`
}

// File is the path, relative to the data folder, of a shard that is a file.
func (s Shard) File() (path string, ok bool) {
	kind, name, named := strings.Cut(s.Primary, ":")
	if kind != embedded {
		return "", false
	}
	if !named {
		name = DatabaseFile
	}
	return filepath.Clean(name), true
}

// Shards is a list of them; none: the embedded store. In flags and the environment it is written as in the file, in flow style:
// [{primary: "postgres://…", replicas: ["postgres://…"]}].
type Shards []Shard

// shardsMax and replicasMax bound what one configuration may name. A token bears a position of each shard and of the directory, 64 in
// all (position.MaxSystems).
const (
	shardsMax   = 63
	replicasMax = 63
)

func parseShards(text string) (Shards, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var list Shards
	if err := yaml.UnmarshalWithOptions([]byte(text), &list, yaml.Strict()); err != nil {
		return nil, errors.New("is not a list of {primary, replicas}") // the cause would show what is written there
	}
	if len(list) > shardsMax {
		return nil, fmt.Errorf("has more than %d shards", shardsMax)
	}
	files := make(map[string]int)
	for i, s := range list {
		if err := s.check(i, files); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// check says what is wrong with the shard of a number; files are those of the shards before it.
func (s Shard) check(i int, files map[string]int) error {
	if s.Primary == "" {
		return fmt.Errorf("names no primary for shard %d", i)
	}
	if file, ok := s.File(); ok {
		other, twice := files[file]
		files[file] = i
		switch {
		case !filepath.IsLocal(file) || filepath.Ext(file) != ".db": // the data folder's lock is the file's, and it holds other things
			return fmt.Errorf("names a file for shard %d that is not in the data folder, or does not end in .db", i)
		case twice:
			return fmt.Errorf("names one file for the shards %d and %d", other, i)
		case len(s.Replicas) > 0:
			return fmt.Errorf("names replicas for shard %d, which is a file", i)
		}
		return nil
	}
	if len(s.Replicas) > replicasMax {
		return fmt.Errorf("names more than %d replicas for shard %d", replicasMax, i)
	}
	for _, text := range append([]string{s.Primary}, s.Replicas...) {
		if u, err := url.Parse(text); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" {
			return fmt.Errorf("holds a URL in shard %d that is not postgres://user:password@host:port/database", i)
		}
	}
	return nil
}

// String is the list with passwords left out.
func (s Shards) String() string {
	if len(s) == 0 {
		return ""
	}
	shards := make([]string, len(s))
	for i, one := range s {
		one = one.Redacted()
		shards[i] = "primary: " + strconv.Quote(one.Primary)
		if len(one.Replicas) > 0 {
			replicas := make([]string, len(one.Replicas))
			for j, r := range one.Replicas {
				replicas[j] = strconv.Quote(r)
			}
			shards[i] += ", replicas: [" + strings.Join(replicas, ", ") + "]"
		}
	}
	return "[{" + strings.Join(shards, "}, {") + "}]"
}

// Redacted is the shard with passwords left out.
func (s Shard) Redacted() Shard {
	out := Shard{Primary: redact(s.Primary)}
	for _, r := range s.Replicas {
		out.Replicas = append(out.Replicas, redact(r))
	}
	return out
}

func redact(text string) string {
	if _, ok := (Shard{Primary: text}).File(); ok {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return Redacted
	}
	q := u.Query()
	for name := range q {
		if strings.Contains(strings.ToLower(name), "pass") {
			q.Set(name, Redacted)
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}
