package config

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/config.md")

// TestReferencePage keeps the page in the tree equal to what the struct says.
func TestReferencePage(t *testing.T) {
	path := filepath.Join("..", "docs", "reference", "config.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Reference() {
		t.Errorf("%s is not what the settings say; write it again with: go test ./config -run TestReferencePage -update", path)
	}
	for _, s := range describe().settings {
		if s.name == "" && s.fills == "" && !strings.Contains(string(page), "| `"+s.key+"` | `"+s.env()+"` | ") {
			t.Errorf("the page lacks %s", s.key)
		}
	}
	if !strings.Contains(string(page), "| `cache.policies.<space>.ttl` | `FRESHET_CACHE_POLICIES_<SPACE>_TTL` | ") {
		t.Error("the page lacks the policies")
	}
}

// TestExampleFile loads the example as it is, which changes nothing, and with each line uncommented, which is valid.
func TestExampleFile(t *testing.T) {
	cfg, _, err := load(t, nil, []string{"FRESHET_CONFIG=" + write(t, Example())})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range cfg.Show() {
		if row.Source != "default" && row.Key != "config" {
			t.Errorf("the example sets %+v", row)
		}
	}

	commented := regexp.MustCompile(`(?m)^( *)#(\w)`)
	lines := commented.FindAllStringIndex(Example(), -1)
	settings := 0
	for _, s := range describe().settings {
		if !s.noFile && s.fills == "" && (s.name == "" || s.name == "user") {
			settings++
		}
	}
	if len(lines) != settings {
		t.Errorf("the example has %d settings, want %d", len(lines), settings)
	}
	for _, at := range lines {
		one := Example()[:at[0]] + commented.ReplaceAllString(Example()[at[0]:at[1]], "$1$2") + Example()[at[1]:]
		if _, _, err := load(t, nil, []string{"FRESHET_CONFIG=" + write(t, one)}); err != nil {
			t.Error(err)
		}
	}
	whole := commented.ReplaceAllString(Example(), "$1$2")
	cfg, _, err = load(t, nil, []string{"FRESHET_CONFIG=" + write(t, whole)})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range describe().settings {
		if s.def == "" || s.fills != "" {
			continue
		}
		if got := s.codec.format(s.get(cfg)); got != s.def {
			t.Errorf("%s is %s in the example, %s by default", s.key, got, s.def)
		}
	}
}
