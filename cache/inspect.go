package cache

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Inspection is what the layers hold under one key, for operators.
type Inspection struct {
	Space  string `json:"space"`
	Key    string `json:"key"`
	Memory Layer  `json:"memory"`
	Remote *Layer `json:"remote,omitempty"` // nil: the space has no values there
}

// Layer is what one of them holds.
type Layer struct {
	// State is "absent", "fresh", "stale" (past its TTL), "ended" (a tag, or what the channel lost, has ended it), "loading"
	// (somebody does; nothing to serve meanwhile), or "unreadable".
	State string `json:"state"`
	// Value is as JSON writes it; absent where the source has none, which is what is remembered then.
	Value    json.RawMessage `json:"value,omitempty"`
	Missing  bool            `json:"missing,omitempty"`   // it is remembered that the source has no value
	FreshFor time.Duration   `json:"fresh_for,omitempty"` // negative: that long past its TTL
	Tags     []string        `json:"tags,omitempty"`
	Bytes    int             `json:"bytes,omitempty"` // in the remote layer
}

// Inspect tells what the layers hold under a key, given as text. It changes nothing and counts for nothing.
func (s *Stack) Inspect(ctx context.Context, space, key string) (Inspection, error) {
	sp, err := s.find(space)
	if err != nil {
		return Inspection{}, err
	}
	in, err := sp.inspect(ctx, key)
	if err != nil {
		return in, fmt.Errorf("inspect %s: %w", space, err)
	}
	return in, nil
}

func (c *Cache[K, V]) inspect(ctx context.Context, text string) (Inspection, error) {
	in := Inspection{Space: c.name, Key: text, Memory: Layer{State: "absent"}}
	k, err := c.parseRemoteText(text)
	if err != nil {
		return in, err
	}
	if e, ok := c.memory.peek(k); ok {
		in.Memory = c.layer(e)
	}
	if c.codec == nil {
		return in, nil
	}
	in.Remote = &Layer{State: "absent"}
	full, records := c.remoteKey(c.stack.link.prefix(), k), make([]Record, 1)
	err = c.stack.link.call(ctx, func(ctx context.Context) error { return c.stack.remote.Get(ctx, []string{full}, records) })
	if err != nil {
		return in, err
	}
	switch rec := records[0]; rec.State {
	case Leased:
		in.Remote.State = "loading"
	case Filled, Renewing:
		*in.Remote = c.remoteLayer(full, rec.Value)
	}
	return in, nil
}

func (c *Cache[K, V]) layer(e *entry) Layer {
	l := Layer{State: "fresh", Missing: !e.found, FreshFor: time.Duration(e.freshUntil - c.clock.NowNano())}
	switch {
	case !c.valid(e):
		l.State = "ended"
	case l.FreshFor <= 0:
		l.State = "stale"
	}
	if e.found {
		l.Value, _ = json.Marshal(c.value(e)) // what can't be shown is left out
	}
	return l
}

func (c *Cache[K, V]) remoteLayer(full string, data []byte) Layer {
	l := Layer{State: "unreadable", Bytes: len(data)}
	env, err := parseEnvelope(data, full, c.stack.options.MaxValue)
	if err != nil || env.schema != c.version {
		return l
	}
	l.State, l.Missing, l.Tags = "fresh", !env.found, env.tags.list()
	if l.FreshFor = env.freshUntil.Sub(c.stack.remote.Now()); l.FreshFor <= 0 {
		l.State = "stale"
	}
	if !tagged(c.stack.tags.intern(l.Tags), env.epoch) {
		l.State = "ended"
	}
	if env.found {
		value, err := c.codec.Decode(env.payload)
		if err != nil {
			return Layer{State: "unreadable", Bytes: len(data)}
		}
		l.Value, _ = json.Marshal(value)
	}
	return l
}
