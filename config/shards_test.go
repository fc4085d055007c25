package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/freshet/freshet/config"
)

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.BindFlags(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestShards(t *testing.T) {
	file := filepath.Join(t.TempDir(), "freshet.yaml")
	if err := os.WriteFile(file, []byte("store:\n  shards:\n    - primary: postgres://u:hidden@a:5432/x\n      replicas:\n        - postgres://u:hidden@b/x\n        - postgres://c/x?passfile=hidden\n    - {primary: 'postgres://d/x'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flow := `[{primary: "postgres://u:hidden@a:5432/x", replicas: ["postgres://u:hidden@b/x", "postgres://c/x?passfile=hidden"]}, {primary: "postgres://d/x"}]`
	for source, s := range map[string]config.Sources{
		"file":        {Flags: flags(t, "--config", file)},
		"flag":        {Flags: flags(t, "--store-shards", flow)},
		"environment": {Env: []string{"FRESHET_STORE_SHARDS=" + flow}},
	} {
		c, _, err := config.Load(s)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got := c.Store.Shards
		if len(got) != 2 || got[0].Primary != "postgres://u:hidden@a:5432/x" || len(got[0].Replicas) != 2 || got[1].Primary != "postgres://d/x" {
			t.Errorf("%s: %#v", source, []config.Shard(got))
		}
		for _, row := range c.Show() {
			if strings.Contains(row.Value, "hidden") {
				t.Errorf("%s shows a password: %s", source, row.Value)
			}
		}
	}
	for _, bad := range []string{
		"postgres://hidden@a/x", "[{}]", "[{primary: 7, secondary: hidden}]", "[{primary: 'mysql://hidden@a/x'}]", "[{primary: 'postgres:///hidden'}]", "{",
		"[{primary: sqlite, replicas: ['postgres://hidden/x']}]", "[{primary: 'sqlite:../hidden.db'}]", "[{primary: 'sqlite:/hidden.db'}]", "[{primary: 'sqlite:lock'}]",
		"[{primary: 'sqlite:'}]", "[{primary: sqlite}, {primary: 'sqlite:./freshet.db'}]",
	} {
		_, _, err := config.Load(config.Sources{Flags: flags(t, "--store-shards", bad)})
		if err == nil || !strings.Contains(err.Error(), "store.shards") || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: got %v", bad, err)
		}
	}
}

func TestShardsThatAreFiles(t *testing.T) {
	c, _, err := config.Load(config.Sources{Flags: flags(t, "--store-shards", "[{primary: sqlite}, {primary: 'sqlite:more/b.db'}, {primary: 'postgres://a/x'}]")})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"freshet.db", "more/b.db", ""} {
		if got, ok := c.Store.Shards[i].File(); got != want || ok != (want != "") {
			t.Errorf("shard %d: %q, %v", i, got, ok)
		}
	}
	if text := c.Store.Shards.String(); text != `[{primary: "sqlite"}, {primary: "sqlite:more/b.db"}, {primary: "postgres://a/x"}]` {
		t.Error(text)
	}
}
