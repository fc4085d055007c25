package config

import (
	"net/netip"
	"time"
)

// Config is every setting of a node. A group is a struct; a setting is a field with these tags:
//
//	key      last part of the name; the groups above it come before, joined by dots
//	default  as it would be written in the file
//	help     one sentence for --help, the reference page and the example file
//	min max  bounds, written as values
//	atmost   key of a setting of the same group that this one may not exceed
//	oneof    the values possible
//	is       the form of a text: "address" (host:port), "origin" (scheme://host[:port]), "path" (empty only by default)
//	names    of a map: the entries it may have
//	example  a value for the example file where the default is empty
//	file     "no": flag and environment only
//
// A field of type [Secret] is never shown, and is also read from the file named by its name with _file appended.
// A pointer that is nil means: not set, whoever uses it has a default of its own.
type Config struct {
	Addr string `key:"addr" default:"127.0.0.1:8080" is:"address" help:"Address to listen on, host:port; port 0 takes a free one."`
	Data string `key:"data" default:"./freshet-data" is:"path" help:"Folder that holds the data of the embedded store, and what a node keeps for itself."`
	File string `key:"config" default:"" is:"path" file:"no" help:"YAML file to read settings from."`

	Log       Log       `key:"log" help:"Logs, written to standard error"`
	Feed      Feed      `key:"feed" help:"Timelines and fan-out"`
	Cache     Cache     `key:"cache" help:"Caches"`
	Store     Store     `key:"store" help:"The store"`
	Jobs      Jobs      `key:"jobs" help:"Background jobs"`
	Limits    Limits    `key:"limits" help:"What one client may ask for"`
	Session   Session   `key:"session" help:"Sign-in sessions"`
	Token     Token     `key:"token" help:"User tokens, which an API key draws for browsers and apps"`
	Password  Password  `key:"password" help:"Passwords"`
	HTTP      HTTP      `key:"http" help:"The HTTP server"`
	CORS      CORS      `key:"cors" help:"Requests from pages of other origins"`
	Admin     Admin     `key:"admin" help:"The administrator"`
	Retention Retention `key:"retention" help:"How long things are kept"`

	sources map[string]Source // by key, of what is not a default
}

// Log says what is logged and how.
type Log struct {
	Level  string `key:"level" default:"info" oneof:"debug,info,warn,error" help:"Least severe level that is logged."`
	Format string `key:"format" default:"auto" oneof:"auto,text,json" help:"Form of the log; auto is text on a terminal and JSON elsewhere."`
}

// Feed says how home feeds are made.
type Feed struct {
	Mode           string `key:"mode" default:"adaptive" oneof:"push,pull,hybrid,adaptive" help:"push puts a post on its followers' timelines once it is written; pull gathers it when a home feed is read; hybrid pushes, but not the posts of those with many followers; adaptive does for each reader and author what costs less, by how often they read and post. The answer is the same."`
	Threshold      int    `key:"hybrid_threshold" default:"10000" min:"1" max:"1000000000" help:"Followers from which hybrid gathers an author's posts when feeds are read."`
	Timelines      string `key:"timelines" default:"memory" oneof:"memory,redis" help:"Where timelines are kept: in the memory of one process, or in the Redis that cache.remote names, for as many processes as read them."`
	TimelineLength int    `key:"timeline_length" default:"800" min:"50" max:"10000" help:"Posts kept on one timeline; older ones are pulled."`
	TimelinesMax   int    `key:"timelines_max" default:"100000" min:"1" max:"10000000" help:"Readers whose timelines are kept; in memory the one unread for longest leaves first, in Redis, where authors' newest posts count too, the one built first. It is rebuilt by its next read."`
	InflightMax    int    `key:"inflight_max" default:"10000" min:"1" max:"1000000" help:"Posts that may await their fan-out; every read consults them."`
	RingsMax       int    `key:"rings_max" default:"100000" min:"1" max:"10000000" help:"Authors whose newest posts are kept in memory for those who gather them; the one unread for longest leaves first. Several processes keep none."`
	FanoutChunk    int    `key:"fanout_chunk" default:"1000" min:"1" max:"100000" help:"Readers served by one step of a fan-out; between two it may end."`
}

// Cache says where caches keep what they hold, and holds a policy for each space.
type Cache struct {
	Remote     Secret        `key:"remote" default:"" help:"Layer that nodes share: redis://, rediss://, redis-cluster://h1,h2 or memcached://h1,h2; empty: memory alone. It may bear a password, so it is never printed."`
	MaxStale   time.Duration `key:"max_stale" default:"1s" min:"100ms" max:"1m" help:"Longest time a node serves what another has invalidated, also when it can't hear of it."`
	AuditEvery int           `key:"audit_every" default:"10000" min:"0" max:"1000000000" help:"Of so many reads that memory answers one is checked against the store, 50 a second at most; what should have been forgotten is logged and counted. 0: none."`

	// Policies is by space; a space that is absent has the zero Policy: nothing set.
	Policies map[string]Policy `key:"policies" names:"user,post,counts,relations,liked,ref,session,key" help:"Overrides by space; what is not set is the space's own default"`
}

// Policy overrides how one space is cached; nil leaves the space's own default.
type Policy struct {
	TTL          *time.Duration `key:"ttl" min:"1ms" max:"365d" example:"5m" help:"How long a value is fresh."`
	Stale        *time.Duration `key:"stale" min:"0s" max:"365d" example:"1h" help:"How long after that it may still be served while its source fails or is asked again."`
	Jitter       *Ratio         `key:"jitter" min:"0%" max:"100%" example:"10%" help:"Share of the TTL by which expiries are spread."`
	NegativeTTL  *time.Duration `key:"negative_ttl" min:"0s" max:"365d" example:"5s" help:"How long an absence is remembered; 0s: not at all."`
	SoftTimeout  *time.Duration `key:"soft_timeout" min:"1ms" max:"10m" atmost:"hard_timeout" example:"100ms" help:"Wait for the source before a stale value is served instead."`
	RefreshAhead *Ratio         `key:"refresh_ahead" min:"0%" max:"10000%" example:"100%" help:"How eagerly what is read is loaded again before it expires: 100% is about as long before as a load takes, 0% not at all."`
	HardTimeout  *time.Duration `key:"hard_timeout" min:"1ms" max:"10m" example:"2s" help:"Wait for the source before a load fails."`
	MaxEntries   *int           `key:"max_entries" min:"1" max:"1000000000" example:"100000" help:"Entries kept in memory."`
}

// Store says where the data is, and tunes the embedded store.
type Store struct {
	Shards   Shards `key:"shards" default:"" example:"[{primary: \"postgres://freshet@localhost:5432/freshet\"}]" help:"The parts of the store: a list of {primary, replicas}, each the URL of a PostgreSQL database. A primary may be sqlite, the file freshet.db of the data folder, or sqlite:NAME.db, another file there. Empty: [{primary: sqlite}]."`
	MaxConns int    `key:"max_conns" default:"0" min:"0" max:"1000" help:"Connections to one PostgreSQL server; 0 is four for each processor, 16 at least."`
	GroupMax int    `key:"group_max" default:"512" min:"1" max:"4096" help:"Writes that may share one commit of the embedded store."`
	Readers  int    `key:"readers" default:"0" min:"0" max:"1024" help:"Connections of the embedded store that read; 0 is twice the number of processors in use."`
}

// Jobs tunes background work.
type Jobs struct {
	Workers     int           `key:"workers" default:"8" min:"1" max:"1024" help:"Jobs that run at once."`
	MaxAttempts int           `key:"max_attempts" default:"25" min:"1" max:"1000" help:"Attempts before a job is a dead letter."`
	BackoffBase time.Duration `key:"backoff_base" default:"1s" min:"1ms" max:"1h" atmost:"backoff_max" help:"Wait before the second attempt; it doubles from there, with jitter."`
	BackoffMax  time.Duration `key:"backoff_max" default:"1h" min:"1ms" max:"7d" help:"Longest wait between two attempts."`
}

// Limits bounds what one client may ask for.
type Limits struct {
	WritesPerUser    Rate           `key:"writes_per_user" default:"20/s" min:"1/h" max:"1000000/s" help:"Writes of one user; API keys are exempt."`
	ReadsPerUser     Rate           `key:"reads_per_user" default:"200/s" min:"1/h" max:"1000000/s" help:"Reads of one user; API keys are exempt."`
	PerAddress       Rate           `key:"per_address" default:"1000/s" min:"1/h" max:"1000000/s" help:"Requests from one address; API keys are exempt."`
	Loopback         bool           `key:"loopback" default:"false" help:"Whether the rates hold for clients on this machine too."`
	TrustedProxies   []netip.Prefix `key:"trusted_proxies" default:"" example:"10.0.0.0/8" help:"Networks of the proxies before freshet; only a request from there has its client's address taken from X-Forwarded-For."`
	InflightRequests int            `key:"inflight_requests" default:"1024" min:"1" max:"1000000" help:"Requests served at once; more are answered 503 with Retry-After."`
	Streams          int            `key:"streams" default:"10000" min:"1" max:"1000000" help:"Streams of live events that are open at once on a node; more are answered 503 with Retry-After."`
	StreamsPerUser   int            `key:"streams_per_user" default:"10" min:"1" max:"10000" help:"Streams of live events that one user has open at once on a node; more are answered 429."`
	Body             Bytes          `key:"body" default:"64KiB" min:"1KiB" max:"64MiB" help:"Body of a request."`
	BatchBody        Bytes          `key:"batch_body" default:"4MiB" min:"1KiB" max:"1GiB" help:"Body of a batch."`
	BatchItems       int            `key:"batch_items" default:"1000" min:"1" max:"100000" help:"Operations in a batch."`
	Text             int            `key:"text" default:"5000" min:"1" max:"1000000" help:"Characters in the text of a post."`
	Data             Bytes          `key:"data" default:"8KiB" min:"0B" max:"1MiB" help:"JSON in the data of a post."`
	Comment          int            `key:"comment" default:"2000" min:"1" max:"1000000" help:"Characters in a comment."`
	Name             int            `key:"name" default:"100" min:"1" max:"1000" help:"Characters in a user's name."`
	Bio              int            `key:"bio" default:"500" min:"0" max:"100000" help:"Characters in a user's bio."`
	Follows          int            `key:"follows" default:"100000" min:"1" max:"10000000" help:"Users whom one user may follow."`
	Page             int            `key:"page" default:"100" min:"1" max:"1000" help:"Items in a page of a list, at most."`
	PageDefault      int            `key:"page_default" default:"50" min:"1" max:"1000" atmost:"page" help:"Items in a page where the request names no limit."`
}

// Session bounds sign-in sessions.
type Session struct {
	TTL time.Duration `key:"ttl" default:"24h" min:"1m" max:"365d" help:"How long a session lasts after its last use."`
}

// Token bounds user tokens.
type Token struct {
	TTLMax time.Duration `key:"ttl_max" default:"1h" min:"1m" max:"24h" help:"Longest life that a user token may be given."`
}

// Password says which passwords are accepted.
type Password struct {
	Min int `key:"min" default:"8" min:"1" max:"128" help:"Characters in a password, at least."`
}

// HTTP bounds how long the server waits.
type HTTP struct {
	ReadHeaderTimeout time.Duration `key:"read_header_timeout" default:"5s" min:"1ms" max:"1h" atmost:"read_timeout" help:"Wait for the headers of a request."`
	ReadTimeout       time.Duration `key:"read_timeout" default:"30s" min:"1ms" max:"1h" help:"Wait for a whole request."`
	WriteTimeout      time.Duration `key:"write_timeout" default:"1m" min:"1ms" max:"1h" help:"Time to answer a request."`
	IdleTimeout       time.Duration `key:"idle_timeout" default:"2m" min:"1ms" max:"1h" help:"Wait for the next request on a connection."`
	ShutdownTimeout   time.Duration `key:"shutdown_timeout" default:"15s" min:"0s" max:"10m" help:"Time for requests in progress to end when the node stops."`
}

// CORS names the other origins whose pages may call the API.
type CORS struct {
	Origins []string `key:"origins" default:"" is:"origin" example:"https://app.example.com" help:"Origins whose pages may call the API."`
}

// Admin makes the first administrator.
type Admin struct {
	Password Secret `key:"password" default:"" help:"Password of the administrator admin, who is created with it at start, or given it."`
}

// Retention says how long things are kept.
type Retention struct {
	Idempotency time.Duration `key:"idempotency" default:"24h" min:"1m" max:"30d" help:"How long the answer to an Idempotency-Key is repeated."`
	DeadJobs    time.Duration `key:"dead_jobs" default:"30d" min:"1m" max:"3650d" help:"How long a job that failed for good can be retried."`
	ViewHours   time.Duration `key:"view_hours" default:"8d" min:"169h" max:"3650d" help:"How long it is kept in which hour a post was seen; totals stay."`

	Notifications time.Duration `key:"notifications" default:"90d" min:"1h" max:"3650d" help:"How long a notification is kept."`
}
