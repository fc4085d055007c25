package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// TestPrecedence gives one setting by every combination of sources: flag > environment > file > default.
func TestPrecedence(t *testing.T) {
	path := write(t, "\njobs:\n  workers: 3\n")
	for _, c := range []struct {
		flag, env, file bool
		want            int
		source          string
	}{
		{want: 8, source: "default"},
		{file: true, want: 3, source: path + ":3"},
		{env: true, want: 2, source: "env FRESHET_JOBS_WORKERS"},
		{env: true, file: true, want: 2, source: "env FRESHET_JOBS_WORKERS"},
		{flag: true, want: 1, source: "flag --jobs-workers"},
		{flag: true, file: true, want: 1, source: "flag --jobs-workers"},
		{flag: true, env: true, want: 1, source: "flag --jobs-workers"},
		{flag: true, env: true, file: true, want: 1, source: "flag --jobs-workers"},
	} {
		var args, env []string
		if c.flag {
			args = append(args, "--jobs-workers=1")
		}
		if c.env {
			env = append(env, "FRESHET_JOBS_WORKERS=2")
		}
		if c.file {
			env = append(env, "FRESHET_CONFIG="+path)
		}
		cfg, warnings, err := load(t, args, env)
		if err != nil || len(warnings) > 0 {
			t.Fatalf("%+v: %v, %v", c, warnings, err)
		}
		if got, source := cfg.Jobs.Workers, cfg.Source("jobs.workers").String(); got != c.want || source != c.source {
			t.Errorf("flag %v, env %v, file %v: %d from %s, want %d from %s", c.flag, c.env, c.file, got, source, c.want, c.source)
		}
	}
}

// TestFlagNamesTheFile: the file named by the flag is read, not the one named by the variable.
func TestFlagNamesTheFile(t *testing.T) {
	cfg, _, err := load(t, []string{"--config", write(t, "addr: :1\n")}, []string{"FRESHET_CONFIG=" + write(t, "addr: :2\n")})
	if err != nil || cfg.Addr != ":1" {
		t.Fatalf("addr %v, %v", cfg, err)
	}
	cfg, _, err = load(t, []string{"--config="}, []string{"FRESHET_CONFIG=" + write(t, "addr: :2\n")})
	if err != nil || cfg.Addr != "127.0.0.1:8080" {
		t.Fatalf("--config= reads no file: %v, %v", cfg, err)
	}
}

func TestValuesOfEveryKind(t *testing.T) {
	path := write(t, `
cors: {origins: ["https://a.example", 'http://localhost:3000']}
limits:
  trusted_proxies:
    - 10.0.0.0/8
    - 192.0.2.1
  body: 128KiB
  follows: 1_000
  writes_per_user: 600/m
  loopback: true
cache.policies.user.jitter: 5%
cache:
  policies:
    counts: {ttl: 10s, stale: 0s}
    post:
retention.dead_jobs: 45d
store:
# nothing here
`)
	cfg, _, err := load(t, []string{"--limits-trusted-proxies=", "--cors-origins=https://b.example,https://c.example", "--cors-origins", "https://d.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(cfg.CORS.Origins, " "); got != "https://b.example https://c.example https://d.example" {
		t.Errorf("repeated flag: %s", got)
	}
	cfg, _, err = load(t, nil, []string{"FRESHET_CONFIG=" + path, "FRESHET_CACHE_POLICIES_COUNTS_MAX_ENTRIES=7"})
	if err != nil {
		t.Fatal(err)
	}
	posts := cfg.Cache.Policies["counts"]
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"origins", slices.Equal(cfg.CORS.Origins, []string{"https://a.example", "http://localhost:3000"})},
		{"trusted proxies", fmt.Sprint(cfg.Limits.TrustedProxies) == "[10.0.0.0/8 192.0.2.1/32]"},
		{"body", cfg.Limits.Body == 128<<10},
		{"follows", cfg.Limits.Follows == 1000},
		{"writes", cfg.Limits.WritesPerUser.PerSecond() == 10},
		{"loopback", cfg.Limits.Loopback},
		{"dotted key", *cfg.Cache.Policies["user"].Jitter == 0.05},
		{"one field of a policy does not set another", cfg.Cache.Policies["user"].TTL == nil},
		{"policy", *posts.TTL == 10*time.Second && *posts.MaxEntries == 7},
		{"zero is not unset", posts.Stale != nil && *posts.Stale == 0},
		{"absent space", cfg.Cache.Policies["ref"] == Policy{}},
		{"days", cfg.Retention.DeadJobs == 45*24*time.Hour},
	} {
		if !c.ok {
			t.Errorf("%s: %+v", c.name, cfg)
		}
	}
}

func TestUnknownVariableIsReported(t *testing.T) {
	for _, c := range []struct{ env, want string }{
		{"FRESHET_FEED_MOD=push", "FRESHET_FEED_MOD is not a setting and has no effect; hint: did you mean FRESHET_FEED_MODE?"},
		{"FRESHET_CACHE_POLICIES_USR_TTL=5m", "FRESHET_CACHE_POLICIES_USR_TTL is not a setting and has no effect; hint: did you mean FRESHET_CACHE_POLICIES_USER_TTL?"},
		{"FRESHET_TIMELINE_LENGTH=5", "FRESHET_TIMELINE_LENGTH is not a setting and has no effect; hint: did you mean FRESHET_FEED_TIMELINE_LENGTH?"},
		{"FRESHET_ADMIN_PASWORD=hunter2hunter2", "FRESHET_ADMIN_PASWORD is not a setting and has no effect; hint: did you mean FRESHET_ADMIN_PASSWORD?"},
		{"FRESHET_WHATEVER_THIS_IS=1", "FRESHET_WHATEVER_THIS_IS is not a setting and has no effect; hint: `freshet config show` lists every setting"},
		{"FRESHET_FEED_MODE=pull", ""},
		{"FRESHET_FEED_MOD=", ""},
		{"FRESHET=1", ""},
		{"OTHER_FEED_MOD=1", ""},
		{"FRESHET_REALDATA=../data", ""},
		{"FRESHET_SOAK=1", ""},
		{"FRESHET_TEST_REDIS=1", ""},
		{"FRESHET_SERVICE_HOST=10.0.0.1", ""},
		{"FRESHET_PORT_8080_TCP_ADDR=10.0.0.1", ""},
	} {
		_, warnings, err := Load(Sources{Env: []string{c.env}})
		got := ""
		for _, w := range warnings {
			got += w.String()
		}
		if got != c.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", c.env, got, err, c.want)
		}
	}
}

// TestErrors gives one mistake each and expects the whole line: the key, the problem, the source and what is allowed.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		args, env []string
		yaml      string
		want      string // FILE stands for the path of the file
		hint      string
	}{
		{yaml: "feed:\n  mode: pul\n", want: `feed.mode: "pul" is not possible (FILE:2); allowed: push, pull, hybrid, adaptive`, hint: "did you mean pull?"},
		{env: []string{"FRESHET_FEED_MODE=guess"}, want: `feed.mode: "guess" is not possible (env FRESHET_FEED_MODE); allowed: push, pull, hybrid, adaptive`, hint: "the default is adaptive"},
		{args: []string{"--session-ttl=24"}, want: `session.ttl: "24" is not a duration (flag --session-ttl); allowed: 1m to 365d`, hint: "write a number with a unit, as 500ms, 30s, 5m, 24h or 30d"},
		{yaml: "\n\nlimits: {body: 64KB}\n", want: `limits.body: "64KB" is not a size (FILE:3); allowed: 1KiB to 64MiB`, hint: "write a number with a unit, as 512B, 64KiB or 4MiB"},
		{yaml: "limits:\n  text: 0x10\n", want: `limits.text: "0x10" is not a whole number (FILE:2); allowed: 1 to 1000000`, hint: "write a whole number, as 1000 or 1_000"},
		{yaml: "limits:\n  text: 99999999999999999999\n", want: `limits.text: "99999999999999999999" is too large (FILE:2); allowed: 1 to 1000000`, hint: "write a whole number, as 1000 or 1_000"},
		{args: []string{"--feed-timeline-length=49"}, want: `feed.timeline_length: 49 is too small (flag --feed-timeline-length); allowed: 50 to 10000`, hint: "the default is 800"},
		{args: []string{"--limits-per-address=2000000/s"}, want: `limits.per_address: 2000000/s is too large (flag --limits-per-address); allowed: 1/h to 1000000/s`, hint: "the default is 1000/s"},
		{args: []string{"--limits-per-address=2/d"}, want: `limits.per_address: "2/d" is not a rate (flag --limits-per-address); allowed: 1/h to 1000000/s`, hint: "write a number and a unit, as 20/s, 600/m or 1000/h"},
		{args: []string{"--limits-loopback=yes"}, want: `limits.loopback: "yes" is neither true nor false (flag --limits-loopback); allowed: true or false`, hint: "write true or false"},
		{args: []string{"--addr=8080"}, want: `addr: "8080" is not host:port (flag --addr); allowed: host:port`, hint: "write an address as 127.0.0.1:8080, or :8080 for all of this machine's"},
		{yaml: "data: ''\n", want: `data: is empty (FILE:1); allowed: a path`, hint: "the default is ./freshet-data"},
		{yaml: "cors:\n  origins: [https://a.example/]\n", want: `cors.origins: "https://a.example/" is not an origin (FILE:2); allowed: scheme://host or scheme://host:port`, hint: "write an origin as the browser sends it, as https://app.example.com, without a path"},
		{args: []string{"--limits-trusted-proxies=10.0.0.0/8,10.1.0.0/8"}, want: `limits.trusted_proxies: "10.0.0.0/8,10.1.0.0/8" holds "10.1.0.0/8", which has bits set outside its mask; the network is 10.0.0.0/8 (flag --limits-trusted-proxies); allowed: networks separated by commas, as 10.0.0.0/8 or 192.0.2.1`, hint: "write networks separated by commas, as 10.0.0.0/8 or 192.0.2.1"},
		{env: []string{"FRESHET_CACHE_POLICIES_USER_JITTER=200%"}, want: `cache.policies.user.jitter: 200% is too large (env FRESHET_CACHE_POLICIES_USER_JITTER); allowed: 0% to 100%`, hint: "leave it out for the default"},

		{args: []string{"--limits-page=10"}, want: `limits.page_default: 50 is more than limits.page (default); allowed: at most 10 (flag --limits-page)`, hint: "lower limits.page_default or raise limits.page"},
		{yaml: "cache:\n policies:\n  user: {soft_timeout: 2s, hard_timeout: 1s}\n", want: `cache.policies.user.soft_timeout: 2s is more than cache.policies.user.hard_timeout (FILE:3); allowed: at most 1s (FILE:3)`, hint: "lower cache.policies.user.soft_timeout or raise cache.policies.user.hard_timeout"},
		{env: []string{"FRESHET_ADMIN_PASSWORD=kurz"}, want: `admin.password: is too short (env FRESHET_ADMIN_PASSWORD); allowed: at least 8 characters (password.min)`, hint: "choose a longer password"},

		{yaml: "log:\n  level: info\nfed:\n  mode: push\n", want: `fed: is not a setting (FILE:3); allowed: addr, data, log, feed, cache, store, jobs, limits, session, token, password, http, cors, admin, retention`, hint: "did you mean feed?"},
		{yaml: "log:\n  level: info\n  formt: text\n", want: `log.formt: is not a setting (FILE:3); allowed: level, format`, hint: "did you mean log.format?"},
		{yaml: "cache: {policies: {usr: {ttl: 5m}}}\n", want: `cache.policies.usr: is not a setting (FILE:1); allowed: user, post, counts, relations, liked, ref, session, key`, hint: "did you mean cache.policies.user?"},
		{yaml: "log: {timeline_length: 100}\n", want: `log.timeline_length: is not a setting (FILE:1); allowed: level, format`, hint: "did you mean feed.timeline_length?"},
		{yaml: "feed.timeline-length: 100\n", want: `feed.timeline-length: is not a setting (FILE:1); allowed: addr, data, log, feed, cache, store, jobs, limits, session, token, password, http, cors, admin, retention`, hint: "did you mean feed.timeline_length?"},
		{yaml: "store: {folders: []}\n", want: `store.folders: is not a setting (FILE:1); allowed: shards, max_conns, group_max, readers`, hint: "`freshet config show` lists every setting"},
		{yaml: "config: other.yaml\n", want: `config: cannot be set in a file (FILE:1)`, hint: "use --config or FRESHET_CONFIG"},

		{yaml: "feed: push\n", want: `feed: is a group of settings and has no value of its own (FILE:1)`, hint: "write `name: value` lines"},
		{yaml: "push\n", want: `config: holds a value without a name (FILE:1)`, hint: "write `name: value` lines"},
		{yaml: "addr: [a, b]\n", want: `addr: is not a plain value (FILE:1); allowed: host:port`, hint: "write one value, without anchors, aliases and tags"},
		{yaml: "addr: &a :80\n", want: `addr: is not a plain value (FILE:1); allowed: host:port`, hint: "write one value, without anchors, aliases and tags"},
		{yaml: "feed:\n  mode: push\nfeed.mode: pull\n", want: `feed.mode: is given twice, also in line 2 (FILE:3)`, hint: "leave one of the two out"},
		{yaml: "addr: :1\n---\naddr: :2\n", want: `config: holds more than one document (FILE)`, hint: "keep the first and remove what follows the line ---"},
		{yaml: "addr: :1\nadmin:\n  password: \"hunter2hunter2\n", want: `config: is not valid YAML: could not find end character of double-quoted text (FILE:3)`, hint: "write `key: value` lines, and indent with spaces"},
		{yaml: "addr: :1\naddr: :2\n", want: `config: is not valid YAML: mapping key "addr" already defined at [1:1] (FILE:2)`, hint: "write `key: value` lines, and indent with spaces"},
		{yaml: "\tfeed: 1\n", want: `config: is not valid YAML: tab character cannot use as a map key directly (FILE:1)`, hint: "write `key: value` lines, and indent with spaces"},
	} {
		env, path := c.env, ""
		if c.yaml != "" {
			path = write(t, c.yaml)
			env = append(env, "FRESHET_CONFIG="+path)
		}
		cfg, _, err := load(t, c.args, env)
		if err == nil || cfg != nil {
			t.Errorf("accepted; want %s", c.want)
			continue
		}
		if got := strings.ReplaceAll(err.Error(), path, "FILE"); path != "" && got != c.want || path == "" && err.Error() != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		var one *Error
		if !errors.As(err, &one) {
			t.Fatalf("%T holds no *Error", err)
		}
		if one.Hint() != c.hint {
			t.Errorf("%s:\ngot  hint: %s\nwant hint: %s", c.want, one.Hint(), c.hint)
		}
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	_, _, err := load(t, []string{"--config", missing}, nil)
	want := "config: cannot be read: stat " + missing + ": no such file or directory (flag --config)"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	large := write(t, strings.Repeat("# nothing\n", 200_000))
	if _, _, err := load(t, nil, []string{"FRESHET_CONFIG=" + large}); err == nil || !strings.Contains(err.Error(), "larger than 1MiB (env FRESHET_CONFIG)") {
		t.Errorf("large file: %v", err)
	}
}

// TestErrorsComeTogether: every mistake in every source is in one error.
func TestErrorsComeTogether(t *testing.T) {
	path := write(t, "feed: {mode: pul}\nlimit: {text: 5}\nhttp: {read_timeout: 1s}\n")
	_, warnings, err := load(t, []string{"--jobs-workers=0"}, []string{"FRESHET_CONFIG=" + path, "FRESHET_LOG_LEVEL=loud", "FRESHET_LOG_LEVLE=info"})
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("%T is no Errors", err)
	}
	var keys []string
	for _, one := range all {
		keys = append(keys, one.Key)
	}
	want := []string{"limit", "log.level", "feed.mode", "jobs.workers", "http.read_header_timeout"}
	if !slices.Equal(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
	if lines := strings.Count(err.Error(), "\n") + 1; lines != len(want) {
		t.Errorf("%d lines:\n%v", lines, err)
	}
	if hints := all.Hint(); !strings.Contains(hints, "did you mean limits?\n") || !strings.Contains(hints, "did you mean pull?") {
		t.Errorf("hints: %s", hints)
	}
	if len(warnings) != 1 {
		t.Errorf("warnings beside errors: %v", warnings)
	}
}

func TestSecretFile(t *testing.T) {
	const password = "correct horse battery"
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, empty := file("good", password+"\n"), file("empty", "\n")
	for _, c := range []struct {
		args, env []string
		yaml      string
		source    string // FILE stands for the YAML file
		err       string
	}{
		{env: []string{"FRESHET_ADMIN_PASSWORD_FILE=" + good}, source: "env FRESHET_ADMIN_PASSWORD_FILE"},
		{args: []string{"--admin-password-file=" + good}, source: "flag --admin-password-file"},
		{yaml: "admin: {password_file: " + good + "}", source: "FILE:1"},
		{yaml: "admin: {password: other}", env: []string{"FRESHET_ADMIN_PASSWORD_FILE=" + file("crlf", password+"\r\n")}, source: "env FRESHET_ADMIN_PASSWORD_FILE"},
		{yaml: "admin: {password_file: " + empty + "}", env: []string{"FRESHET_ADMIN_PASSWORD=" + password}, source: "env FRESHET_ADMIN_PASSWORD"},
		{env: []string{"FRESHET_ADMIN_PASSWORD_FILE=" + empty}, err: "admin.password: the file " + empty + " is empty (env FRESHET_ADMIN_PASSWORD_FILE)"},
		{env: []string{"FRESHET_ADMIN_PASSWORD_FILE=" + dir + "/none"}, err: "admin.password: cannot be read: stat " + dir + "/none: no such file or directory (env FRESHET_ADMIN_PASSWORD_FILE)"},
		{env: []string{"FRESHET_ADMIN_PASSWORD_FILE=" + good, "FRESHET_ADMIN_PASSWORD=" + password}, err: "admin.password: is given twice, also by env FRESHET_ADMIN_PASSWORD_FILE (env FRESHET_ADMIN_PASSWORD)"},
	} {
		env := c.env
		if c.yaml != "" {
			path := write(t, c.yaml)
			env = append(env, "FRESHET_CONFIG="+path)
			c.source = strings.Replace(c.source, "FILE:", path+":", 1)
		}
		cfg, warnings, err := load(t, c.args, env)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("got  %v\nwant %s", err, c.err)
			}
			continue
		}
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", c.source, warnings, err)
			continue
		}
		if got := cfg.Admin.Password; string(got) != password || cfg.Source("admin.password").String() != c.source {
			t.Errorf("got %q from %s, want it from %s", string(got), cfg.Source("admin.password"), c.source)
		}
	}
}

// TestSecretIsNotPrinted looks for a secret in everything that the package hands out.
func TestSecretIsNotPrinted(t *testing.T) {
	const secret = "hunter2-hunter2"
	cfg, warnings, err := load(t, []string{"--admin-password=" + secret}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].String(), "use --admin-password-file or FRESHET_ADMIN_PASSWORD_FILE") {
		t.Errorf("a secret on the command line: %v", warnings)
	}
	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("started", "admin", cfg.Admin, "password", cfg.Admin.Password)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("started", "admin", cfg.Admin, "password", cfg.Admin.Password)
	_, _, short := load(t, []string{"--admin-password=" + secret, "--password-min=100"}, nil)

	for name, text := range map[string]string{
		"Show": fmt.Sprintf("%+v", cfg.Show()), "%v": fmt.Sprintf("%v", *cfg), "%+v": fmt.Sprintf("%+v", *cfg), "%#v": fmt.Sprintf("%#v", *cfg),
		"%s %q %x %d": fmt.Sprintf("%s %q %x %d", cfg.Admin, cfg.Admin, cfg.Admin.Password, cfg.Admin.Password),
		"JSON":        string(encoded), "log": logged.String(), "error": fmt.Sprint(short), "warnings": fmt.Sprint(warnings),
	} {
		for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
			if strings.Contains(text, form) {
				t.Errorf("%s holds the secret: %s", name, text)
			}
		}
		if name != "error" && name != "warnings" && !strings.Contains(text, Redacted) {
			t.Errorf("%s does not say that a secret is set: %s", name, text)
		}
	}
	if rows := Default().Show(); slices.ContainsFunc(rows, func(r Row) bool { return r.Value == Redacted }) {
		t.Error("a secret that is not set is shown as set")
	}
}

func TestBindFlags(t *testing.T) {
	fs := pflag.NewFlagSet("import", pflag.ContinueOnError)
	BindFlags(fs, "data", "config", "log", "admin.password")
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if want := []string{"admin-password", "admin-password-file", "config", "data", "log-format", "log-level"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}

	fs = pflag.NewFlagSet("serve", pflag.ContinueOnError)
	BindFlags(fs)
	usage := fs.FlagUsages()
	for _, want := range []string{
		"--feed-mode string", `[push, pull, hybrid, adaptive] (default "adaptive")`,
		"--limits-body size", "--session-ttl duration", "[1m to 365d] (default 24h)", "--limits-loopback ",
	} {
		if !strings.Contains(usage, want) {
			t.Errorf("usage lacks %q:\n%s", want, usage)
		}
	}
	if strings.Contains(usage, "cache-policies") {
		t.Error("the usage lists the policies")
	}
	if err := fs.Parse([]string{"--limits-loopback", "--cache-policies-user-ttl=1s"}); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := Load(Sources{Flags: fs})
	if err != nil || !cfg.Limits.Loopback || *cfg.Cache.Policies["user"].TTL != time.Second {
		t.Errorf("%+v, %v", cfg, err)
	}

	other := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	other.String("addr", "", "somebody else's")
	if err := other.Parse([]string{"--addr=nonsense"}); err != nil {
		t.Fatal(err)
	}
	if cfg, _, err := Load(Sources{Flags: other}); err != nil || cfg.Addr != Default().Addr {
		t.Errorf("a flag that is not ours was read: %v", err)
	}

	defer func() {
		if recover() == nil {
			t.Error("BindFlags takes a key that is no setting")
		}
	}()
	BindFlags(fs, "feed.mod")
}
