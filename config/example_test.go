package config_test

import (
	"fmt"

	"github.com/freshet/freshet/config"
	"github.com/spf13/pflag"
)

// A command binds the flags, parses its line and loads; whatever is odd or wrong comes with a hint.
func Example() {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.BindFlags(flags)
	if err := flags.Parse([]string{"--feed-mode=pull"}); err != nil {
		fmt.Println(err)
		return
	}
	environ := []string{"FRESHET_FEED_MODE=push", "FRESHET_LIMITS_TEXT=280", "FRESHET_LOG_LEVLE=debug"}

	cfg, warnings, err := config.Load(config.Sources{Flags: flags, Env: environ})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range warnings {
		fmt.Println("warning:", w)
	}
	fmt.Println("mode:", cfg.Feed.Mode)
	for _, row := range cfg.Show() {
		if row.Source != "default" {
			fmt.Printf("%s = %s (%s)\n", row.Key, row.Value, row.Source)
		}
	}
	// Output:
	// warning: FRESHET_LOG_LEVLE is not a setting and has no effect; hint: did you mean FRESHET_LOG_LEVEL?
	// mode: pull
	// feed.mode = pull (flag --feed-mode)
	// limits.text = 280 (env FRESHET_LIMITS_TEXT)
}

// Several mistakes are reported at once, each with its key, its source and what is allowed.
func ExampleLoad_errors() {
	_, _, err := config.Load(config.Sources{Env: []string{"FRESHET_FEED_MODE=pul", "FRESHET_SESSION_TTL=24"}})
	for _, e := range err.(config.Errors) {
		fmt.Println("error:", e)
		fmt.Println("hint:", e.Hint())
	}
	// Output:
	// error: feed.mode: "pul" is not possible (env FRESHET_FEED_MODE); allowed: push, pull, hybrid, adaptive
	// hint: did you mean pull?
	// error: session.ttl: "24" is not a duration (env FRESHET_SESSION_TTL); allowed: 1m to 365d
	// hint: write a number with a unit, as 500ms, 30s, 5m, 24h or 30d
}
