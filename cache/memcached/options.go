package memcached

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options configures a layer on memcached. Servers is required.
type Options struct {
	// Servers are the addresses, host:port or host (port 11211). All nodes have to write them in the same way.
	Servers []string
	// Conns is how many connections there are to each server. Default: 2.
	Conns int
	// Prefix stands before every key, so that deployments can share servers; at most 64 printable characters without a
	// space. Default: none.
	Prefix string
	// Timeout is how long a server may leave a command unanswered, and how long it may take to connect. Default: 1 s.
	Timeout time.Duration
	// Dial makes a connection. Default: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

const (
	defaultPort = "11211"
	maxPrefix   = 64
)

// ParseURL reads options from memcached://host[:port][,host[:port]…][?conns=2&prefix=a:&timeout=1s].
func ParseURL(text string) (Options, error) {
	const scheme = "memcached://"
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		return Options{}, fmt.Errorf("parse memcached URL %q: it does not begin with %s\nhint: memcached://10.0.0.1:11211,10.0.0.2:11211", text, scheme)
	}
	hosts, query, _ := strings.Cut(rest, "?")
	options := Options{Servers: strings.Split(strings.TrimSuffix(hosts, "/"), ",")}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Options{}, fmt.Errorf("parse memcached URL %q: %w", text, err)
	}
	for name := range values {
		if err := options.set(name, values.Get(name)); err != nil {
			return Options{}, fmt.Errorf("parse memcached URL %q: %w", text, err)
		}
	}
	if _, err := options.withDefaults(); err != nil {
		return Options{}, fmt.Errorf("parse memcached URL %q: %w", text, err)
	}
	return options, nil
}

func (o *Options) set(name, value string) (err error) {
	switch name {
	case "conns":
		o.Conns, err = strconv.Atoi(value)
	case "prefix":
		o.Prefix = value
	case "timeout":
		o.Timeout, err = time.ParseDuration(value)
	default:
		return fmt.Errorf("unknown setting %q\nhint: there are conns, prefix and timeout", name)
	}
	if err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return nil
}

// withDefaults is o with all fields set, or what is wrong with it.
func (o Options) withDefaults() (Options, error) {
	if len(o.Servers) == 0 {
		return o, errors.New("no servers\nhint: memcached://10.0.0.1:11211")
	}
	o.Servers = slices.Clone(o.Servers)
	for i, server := range o.Servers {
		if _, _, err := net.SplitHostPort(server); err != nil {
			o.Servers[i] = net.JoinHostPort(strings.Trim(server, "[]"), defaultPort)
		}
		if host, _, err := net.SplitHostPort(o.Servers[i]); err != nil || host == "" {
			return o, fmt.Errorf("server %q is no address\nhint: host:port", server)
		}
		if slices.Contains(o.Servers[:i], o.Servers[i]) {
			return o, fmt.Errorf("server %q is named twice", server)
		}
	}
	if len(o.Prefix) > maxPrefix || !plain(o.Prefix) {
		return o, fmt.Errorf("prefix %q is not at most %d printable characters without a space", o.Prefix, maxPrefix)
	}
	if o.Conns <= 0 {
		o.Conns = 2
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	if o.Dial == nil {
		o.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	return o, nil
}
