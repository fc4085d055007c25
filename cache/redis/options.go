package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Options say which Redis, and how to speak with it. One of URL, Addrs and Client is needed.
type Options struct {
	// URL is redis://[user:password@]host[:port][/db], rediss:// for TLS, redis-cluster:// and rediss-cluster:// with
	// several hosts after each other, comma between. With Sentinel the hosts are those of the sentinels.
	URL string
	// Addrs are host:port each, instead of a URL.
	Addrs []string
	// Cluster says that Addrs belong to a Redis Cluster.
	Cluster bool
	// Sentinel is the name of the master set that the sentinels at Addrs watch.
	Sentinel string
	// Username and Password are those of the URL if empty.
	Username, Password string
	// TLS, if not nil, is used to connect.
	TLS *tls.Config
	// Client is a client that exists already. It stays the caller's to close. It must speak RESP3 and send no command
	// to replicas, since what a replica answers may be from before a fence.
	Client rueidis.Client

	// Prefix of all keys; default "f:".
	Prefix string
	// MaxFlushDelay, if not zero, has commands wait for each other: some 20 µs double the throughput of many callers,
	// at as much latency.
	MaxFlushDelay time.Duration
	// Trust is how long after a probe was sent a node trusts its memory; the same on all nodes. Default 1 s.
	Trust time.Duration
	// Heartbeat is the time between two probes of the channel. Default a quarter of Trust.
	Heartbeat time.Duration
	// Broken, if not nil, is told why the channel broke or could not be connected, before it is tried again.
	Broken func(error)
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = "f:"
	}
	if o.Trust == 0 {
		o.Trust = DefaultTrust
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = o.Trust / 4
	}
	return o
}

// DefaultTrust is how long memory is trusted after a probe was sent.
const DefaultTrust = time.Second

// ErrOptions says that Options cannot be meant; the text says why, and what to write.
var ErrOptions = errors.New("redis: options")

func wrong(hint, format string, args ...any) error {
	return fmt.Errorf("%w: %s\nhint: %s", ErrOptions, fmt.Sprintf(format, args...), hint)
}

const defaultPort = "6379"

// client opens the client for commands.
func (o Options) client() (rueidis.ClientOption, rueidis.Client, error) {
	option, err := o.ClientOption()
	if err != nil {
		return option, nil, err
	}
	c, err := rueidis.NewClient(option)
	if err != nil {
		return option, nil, fmt.Errorf("open redis at %s: %w", strings.Join(option.InitAddress, ","), explain(err))
	}
	return option, c, nil
}

// explain adds what to do about errors that are common at the first start.
func explain(err error) error {
	hints := []struct{ in, hint string }{
		{"NOAUTH", "the server asks for a password: write redis://user:password@host, or set Password"},
		{"WRONGPASS", "user and password are not those of the server"},
		{"connection refused", "nothing listens there: is the server running, and is the port right?"},
		{"cluster support disabled", "the server is no cluster: write redis://"},
		{"no such host", "the name is unknown to DNS"},
		{"first record does not look like a TLS handshake", "the server speaks no TLS on that port: write redis://"},
	}
	for _, h := range hints {
		if strings.Contains(err.Error(), h.in) {
			return fmt.Errorf("%w\nhint: %s", err, h.hint)
		}
	}
	return err
}

// ClientOption is how to connect as the options say, for another client of the same servers.
func (o Options) ClientOption() (c rueidis.ClientOption, err error) {
	if o.URL != "" {
		if len(o.Addrs) > 0 {
			return c, wrong("leave one of them out", "both URL and Addrs are set")
		}
		if o, err = o.parse(); err != nil {
			return c, err
		}
		c.SelectDB, err = database(o.URL)
		if err != nil {
			return c, err
		}
	}
	switch {
	case len(o.Addrs) == 0:
		return c, wrong("set URL to redis://host:6379", "no server is named")
	case o.Cluster && o.Sentinel != "":
		return c, wrong("a cluster elects its masters itself: leave Sentinel empty", "both Cluster and Sentinel are set")
	case o.Cluster && c.SelectDB != 0:
		return c, wrong("a cluster has database 0 alone", "database %d of a cluster", c.SelectDB)
	case !o.Cluster && o.Sentinel == "" && len(o.Addrs) > 1:
		return c, wrong("write redis-cluster://, or name the master set of Sentinel", "%d servers that are no cluster", len(o.Addrs))
	}
	c.InitAddress = o.Addrs
	c.ForceSingleClient = !o.Cluster && o.Sentinel == ""
	c.Username, c.Password, c.TLSConfig = o.Username, o.Password, o.TLS
	c.Dialer.Timeout = 2 * time.Second
	c.ConnWriteTimeout = 2 * time.Second // as long it asks a server that hangs who has taken its place
	c.MaxFlushDelay = o.MaxFlushDelay
	c.DisableCache = true // memory is the cache package's own, and the channel tracks by itself
	c.DisableRetry = true // a breaker stands above us
	// Without a pipeline rueidis waits in a read that a cancelled context does not end.
	c.AlwaysPipelining = true
	if o.Sentinel != "" {
		c.Sentinel = rueidis.SentinelOption{
			MasterSet: o.Sentinel, Username: o.Username, Password: o.Password, TLSConfig: o.TLS,
			// A lost +switch-master would leave us at the old master for good.
			TopologyRefreshInterval: 5 * time.Second,
		}
	}
	return c, nil
}

// parse takes the URL apart. Several hosts after commas are no URL to package net/url, so they are cut out first.
func (o Options) parse() (Options, error) {
	const hint = "write redis://[user:password@]host[:port], rediss://… for TLS, redis-cluster://host1,host2 for a cluster"
	scheme, rest, found := strings.Cut(o.URL, "://")
	if !found {
		return o, wrong(hint, "the URL has no scheme")
	}
	switch scheme {
	case "redis":
	case "rediss":
		o.TLS = orDefaultTLS(o.TLS)
	case "redis-cluster":
		o.Cluster = true
	case "rediss-cluster":
		o.Cluster, o.TLS = true, orDefaultTLS(o.TLS)
	default:
		return o, wrong(hint, "scheme %q is unknown", scheme)
	}
	authority, _, _ := strings.Cut(rest, "/")
	hosts := authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		hosts = authority[i+1:]
		u, err := url.Parse("redis://" + authority[:i] + "@host")
		if err != nil { // its text would show the password
			return o, wrong("escape what is no letter or digit in user and password as %XX", "user and password cannot be read")
		}
		o.Username = u.User.Username()
		o.Password, _ = u.User.Password()
	}
	for host := range strings.SplitSeq(hosts, ",") {
		addr, err := withPort(host)
		if err != nil {
			return o, wrong(hint, "host %q: %v", host, err)
		}
		o.Addrs = append(o.Addrs, addr)
	}
	return o, nil
}

func orDefaultTLS(c *tls.Config) *tls.Config {
	if c == nil {
		c = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return c
}

func withPort(host string) (string, error) {
	u, err := url.Parse("redis://" + host)
	switch {
	case err != nil:
		return "", errors.New("it cannot be read")
	case u.Hostname() == "":
		return "", errors.New("it is empty")
	case u.Port() == "":
		return net.JoinHostPort(u.Hostname(), defaultPort), nil
	}
	return net.JoinHostPort(u.Hostname(), u.Port()), nil
}

// database is the number in the path of a URL.
func database(text string) (int, error) {
	_, rest, _ := strings.Cut(text, "://")
	_, path, _ := strings.Cut(rest, "/")
	if path == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(path)
	if err != nil || n < 0 {
		return 0, wrong("after the host comes the number of a database, or nothing", "%q is no database", path)
	}
	return n, nil
}

// Open connects to Redis and fails if it does not answer.
func Open(ctx context.Context, o Options) (*Remote, error) {
	o = o.withDefaults()
	if strings.ContainsAny(o.Prefix, "{}") {
		return nil, wrong("the hash tag comes after the prefix: choose one without braces", "prefix %q", o.Prefix)
	}
	r := &Remote{o: o, client: o.Client, keys: keyspace(o.Prefix), closing: make(chan struct{})}
	if r.client == nil {
		option, client, err := o.client()
		if err != nil {
			return nil, err
		}
		r.client, r.own = client, &option
	}
	r.cluster = r.client.Mode() == rueidis.ClientModeCluster
	if err := r.readClock(ctx); err != nil {
		r.Close()
		return nil, fmt.Errorf("open redis: %w", explain(err))
	}
	return r, nil
}
