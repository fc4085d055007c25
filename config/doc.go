// Package config holds every setting of freshet in one annotated struct, [Config], and derives the rest from it
// by one mechanical rule: the flags, the environment variables, the YAML keys, the reference page, the example file
// and what `freshet config show` prints.
//
//	key            flag             environment          YAML
//	feed.mode      --feed-mode      FRESHET_FEED_MODE    feed: {mode: push}
//	limits.text    --limits-text    FRESHET_LIMITS_TEXT  limits: {text: 5000}
//
// A flag wins over the environment, the environment over the YAML file, the file over the default. In use:
//
//	config.BindFlags(cmd.Flags())
//	…
//	cfg, warnings, err := config.Load(config.Sources{Flags: cmd.Flags(), Env: os.Environ()})
//
// Invariants: no setting is needed to start, and every default is valid. Nothing is silently ignored: an unknown YAML
// key is an error and an unknown FRESHET_ variable a warning, both with the nearest name. All mistakes are reported at
// once, each with its key, where the value came from, what is allowed and a hint. A secret is never printed: not by
// fmt, not as JSON, not by [Config.Show], not in an error.
//
// It is not a framework: it knows this one struct, reads its sources once, and does not watch them.
package config
