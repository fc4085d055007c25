package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// importJSON is what `freshet import --json` prints.
type importJSON struct {
	Follows int `json:"follows"`
	Posts   int `json:"posts"`
	Broken  int `json:"broken"`
	New     struct {
		Users   int `json:"users"`
		Follows int `json:"follows"`
		Posts   int `json:"posts"`
	} `json:"new"`
}

// imports loads two files into a folder.
func (l *lab) imports(ctx context.Context, data, follows, posts string) (r importJSON, err error) {
	got, err := l.must(ctx, "import", "--follows", follows, "--posts", posts, "--data", data, "--json")
	if err == nil {
		err = decode("import", got.out, &r)
	}
	return r, err
}

// key makes an API key; flags say which.
func (l *lab) key(ctx context.Context, data, name string, flags ...string) (string, error) {
	r, err := l.must(ctx, append([]string{"apikey", "create", name, "--data", data}, flags...)...)
	key := strings.TrimSuffix(r.out, "\n")
	if err == nil && (!strings.HasPrefix(key, "fk_") || strings.ContainsAny(key, " \n")) {
		err = fmt.Errorf("apikey create prints %q, wanted the key alone on its line", r.out)
	}
	return key, err
}

// verify checks the invariants, through the socket where a node serves data, and
// tells how many things were checked.
func (l *lab) verify(ctx context.Context, data string) (checked int, err error) {
	r, err := l.freshet(ctx, "verify", "--data", data, "--json")
	if err != nil {
		return 0, err
	}
	var v struct {
		Checked int               `json:"checked"`
		Found   []json.RawMessage `json:"violations"`
	}
	if r.code != 0 || json.Unmarshal([]byte(r.out), &v) != nil || len(v.Found) > 0 {
		return v.Checked, fmt.Errorf("verify exits with %d\n%s%s", r.code, r.out, r.errOut)
	}
	return v.Checked, nil
}

func decode(what, text string, out any) error {
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return fmt.Errorf("%s prints %q: %w", what, text, err)
	}
	return nil
}
