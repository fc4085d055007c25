package cache

import "time"

// Health is how a node stands with the layer that it shares. Where there is none, only Trusted says something.
type Health struct {
	Remote bool `json:"remote"` // there is a remote layer
	// Usable: reads ask it. They do not while the breaker is open, while a fence is owed, until the node knows the layer's
	// generation, and when it has not been told of it for longer than Options.MaxStale.
	Usable bool `json:"usable"`
	// Breaker is "closed", or "open": calls have failed, and none is made but the node's own beat, which closes it.
	Breaker   string `json:"breaker,omitempty"`
	Trips     uint64 `json:"breaker_trips"` // times that it opened
	Calls     uint64 `json:"calls"`         // of the layer, the node's own included
	Failures  uint64 `json:"failures"`      // calls that failed or took longer than Options.RemoteTimeout
	KeysOwed  int    `json:"keys_owed"`     // keys that could not be fenced there yet
	TagsOwed  int    `json:"tags_owed"`     // likewise, whole spaces among them
	Channel   bool   `json:"channel"`       // the layer tells nodes of fences
	EverHeard bool   `json:"ever_heard"`    // and has told this one
	// ChannelAge is how long ago this node last knew of all fences: the channel's delay in good times, some 100 ms more with
	// the rhythm of its probes. Beyond Options.MaxStale memory is not trusted.
	ChannelAge time.Duration `json:"channel_age"`
	Trusted    bool          `json:"trusted"` // memory answers reads; with Options.Feed also: the consumer has reached the head in time
}

// Health tells how the node stands with the remote layer now.
func (s *Stack) Health() Health {
	h := Health{Trusted: s.trust.until.Load() > s.clock.NowNano()}
	if s.link != nil {
		s.link.health(&h)
	}
	return h
}

func (l *link) health(h *Health) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.Remote, h.Usable, h.Breaker = true, l.reads(), "closed"
	if l.broken {
		h.Breaker = "open"
	}
	h.Trips, h.Calls, h.Failures = l.trips, l.calls, l.failed
	h.KeysOwed, h.TagsOwed = len(l.owed.keys), len(l.owed.tags)
	h.Channel, h.EverHeard = l.stack.channel != nil, l.heard
	if l.heard {
		h.ChannelAge = time.Since(l.probed)
	}
}
