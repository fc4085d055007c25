package config

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// Shard is one PostgreSQL primary with its replicas, each a URL. They may bear passwords, so they are never printed whole.
type Shard struct {
	Primary  string   `yaml:"primary"`
	Replicas []string `yaml:"replicas"`
}

// Shards is a list of them; none: the embedded store. In flags and the environment it is written as in the file, in flow style:
// [{primary: "postgres://…", replicas: ["postgres://…"]}].
type Shards []Shard

// shardsMax bounds what one configuration may name, of shards and of a shard's replicas.
const shardsMax = 64

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
	for i, s := range list {
		if s.Primary == "" {
			return nil, fmt.Errorf("names no primary for shard %d", i)
		}
		if len(s.Replicas) >= shardsMax {
			return nil, fmt.Errorf("names more than %d replicas for shard %d", shardsMax-1, i)
		}
		for _, text := range append([]string{s.Primary}, s.Replicas...) {
			if u, err := url.Parse(text); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" {
				return nil, fmt.Errorf("holds a URL in shard %d that is not postgres://user:password@host:port/database", i)
			}
		}
	}
	return list, nil
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
