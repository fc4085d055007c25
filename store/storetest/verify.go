package storetest

import (
	"os"
	"path/filepath"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/store"
)

var verifyCases = []testCase{
	{"VerifyFindsAndMendsDrift", testVerify},
	{"ABackupIsAFile", testBackup},
}

func testVerify(e *env) {
	ctx := e.Context()
	v, ok := e.Store.(store.Verifier)
	if !ok {
		return // noted for every test
	}
	u := e.users(4)
	for _, other := range u[1:] {
		e.follow(other, u[0])
	}
	post := e.post(u[0], "x")
	_, _, _, err := e.Like(ctx, u[1], post, store.Write{})
	e.ok(err)
	e.comment(post, u[1], "x")
	for _, sample := range []int{0, 2} {
		checked, found, err := v.Verify(ctx, sample, false)
		e.ok(err)
		if checked == 0 || len(found) > 0 {
			e.Fatalf("sound data: checked %d, found %v", checked, found)
		}
	}
	if e.options.Drift == nil {
		e.lacks("drift (no Options.Drift)")
		return
	}
	e.options.Drift(e.T, e.Store, u[0], post)
	for _, fix := range []bool{false, true} {
		_, found, err := v.Verify(ctx, 0, fix)
		e.ok(err)
		subjects := make(map[freshet.ID]bool)
		for _, x := range found {
			if x.Invariant == "" || x.Detail == "" {
				e.Fatalf("a violation without words: %+v", x)
			}
			subjects[x.Subject] = true
		}
		e.same("found", subjects, map[freshet.ID]bool{u[0]: true, post: true})
	}
	_, found, err := v.Verify(ctx, 0, false)
	e.ok(err)
	e.same("found after mending", len(found), 0)
	e.counted(u[0], 3, 0, 1)
	e.counts(post, 1, 1)
}

func testBackup(e *env) {
	b, ok := e.Store.(store.Backupper)
	if !ok {
		e.lacks("backup (no store.Backupper)")
		return
	}
	e.user("a")
	file := filepath.Join(e.TempDir(), "backup")
	e.ok(b.Backup(e.Context(), file))
	info, err := os.Stat(file)
	e.ok(err)
	if info.Size() == 0 {
		e.Fatal("the backup is empty")
	}
}
