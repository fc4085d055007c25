package archtest

// Module is the import path of the domain, the root package.
const Module = "github.com/freshet/freshet"

// Station is one row of [Table]: a folder, its one job, and what it may import
// of this module. All that is below a folder belongs to its station, and a
// station may import its own packages.
type Station struct {
	Folder string
	Job    string
	May    []string // packages, by folder; Everything
	Core   bool     // also the domain and position
	Ground []string // what its adapters, and its tests, may import besides: the ground they share
}

// Everything in a row's May lifts the limits of the row.
const Everything = "everything"

// Table is the house: one folder a station, in the order a request meets them.
// A package that is named in May is meant alone, without what is below it: of
// `store` a station gets the ports and never an adapter.
var Table = []Station{
	{Folder: ".", Job: "the domain: User, Post, ID, Cursor, Effect, error codes"},
	{Folder: "position", Job: "leaf: Position and Token, their codec and order"},
	{Folder: "cmd/freshet", Job: "main and one file per command", Core: true, May: []string{"app", "config", "client", "load", "plan"}},
	{Folder: "config", Job: "settings: flags, environment, YAML, reference page"},
	{Folder: "app", Job: "turns a configuration into a running node", Core: true, May: []string{Everything}},
	{Folder: "edge", Job: "what meets the client: HTTP cache, balancing, purge", May: []string{"position"}},
	{Folder: "access", Job: "who asks and how often", Core: true, May: []string{"store", "cache"}},
	{Folder: "api", Job: "HTTP/JSON and server-sent events: translation only", Core: true, May: []string{"social", "access", "media", "webhook", "notify", "board", "jobs", "cache"}},
	{Folder: "web", Job: "server-rendered pages", Core: true, May: []string{"social", "access", "media", "notify", "monitor"}},
	{Folder: "social", Job: "the use cases, and Change → cached refs", Core: true, May: []string{"feed", "cache", "store", "jobs"}},
	{Folder: "feed", Job: "timelines: push, pull, hybrid, adaptive", Core: true},
	{Folder: "notify", Job: "notifications, live events, mail", Core: true, May: []string{"store", "jobs"}},
	{Folder: "board", Job: "leaderboards: decayed scores by window", Core: true},
	{Folder: "cache", Job: "typed multi-layer caching", May: []string{"position"}},
	{Folder: "store", Job: "the system of record: ports, change feed, contract", Core: true, Ground: []string{"internal/litedb", "internal/pgdb"}},
	{Folder: "jobs", Job: "background work: engines and transports", Core: true, Ground: []string{"internal/litedb", "internal/pgdb"}},
	{Folder: "media", Job: "uploads and variants", Core: true, May: []string{"store", "jobs"}},
	{Folder: "webhook", Job: "signed delivery out, verified reception in", Core: true, May: []string{"store", "jobs"}},
	{Folder: "monitor", Job: "metrics, traces, SLOs, alerts"},
	{Folder: "load", Job: "the synthetic network and the load generator", Core: true, May: []string{"client"}},
	{Folder: "plan", Job: "capacity model and simulator", Core: true, May: []string{"feed"}},
	{Folder: "client", Job: "the Go client of the HTTP API", Core: true},
	{Folder: "examples", Job: "programs to read and run", Core: true, May: []string{Everything}},

	{Folder: "internal/litedb", Job: "one SQLite file: lock, group commit, read pool, changes", Core: true},
	{Folder: "internal/pgdb", Job: "PostgreSQL: pool, flush position, retries", Core: true},
	{Folder: "internal/testenv", Job: "real servers, real data and a real disk for tests"},
	{Folder: "internal/archtest", Job: "this"},
	{Folder: "internal/mutants", Job: "takes guards out and sees tests go red"},
	{Folder: "internal/show", Job: "the acceptance points, measured", Core: true, May: []string{Everything}},
}

// TestsMay is what tests may import of this module beyond their station's row.
// The conformance suites (cache/cachetest, store/storetest, …) come on top.
var TestsMay = []string{"internal/testenv", "load", "client"}

// Technologies name the packages that are adapters: store/sqlite, cache/redis.
// Whoever imports one has chosen that technology, and only those choose that
// wire a program together.
var Technologies = []string{"httpchannel", "memcached", "memory", "nats", "postgres", "rabbitmq", "redis", "sqlite", "sqs"}

// Choosers are the stations that may import adapters; tests may import those of
// their own station.
var Choosers = []string{"app", "examples", "internal/show"}

// Ports are the packages whose interfaces take data: no transaction type and no
// closure crosses them, so that an adapter may put a network in between.
var Ports = []string{"store", "feed", "cache", "jobs"}

// StdlibOnly are the packages that anybody can import at no cost.
var StdlibOnly = []string{".", "position"}

// NoNames say nothing about what is in a package.
var NoNames = []string{"util", "utils", "common", "helper", "helpers", "model", "models", "pkg", "misc"}

// WithoutExample are the stations that nobody imports, or that are documented
// by what they serve.
var WithoutExample = []string{"cmd/freshet", "web", "app", "internal", "examples"}

// MaxLines is how long a file may be that is not a test. One idea takes 100 to
// 300 lines; what takes twice that is in LongFiles, with its reason.
const MaxLines = 600

// LongFiles are the exceptions from MaxLines, by path.
var LongFiles = map[string]string{}

// Skips are the tests that may be skipped, by "path: function". A test that did
// not run looks like one that passed: each needs a reason why it cannot run.
var Skips = map[string]string{}
