package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"time"
)

// measureImport is point 1. Three folders are filled from the same files:
//
//	first   import ─ walk (push) ─ import again: nothing new ─ walk (pull): the same bytes
//	killed  import, kill -9 at random moments, import ─ walk (push)
func measureImport(ctx context.Context, l *lab) (outcome, error) {
	d, err := l.realData()
	if err != nil {
		return outcome{}, err
	}
	l.detail("the files say %d users, %d follows, %d posts", len(d.users), d.network.Follows(), d.network.Posts())
	first, took, err := l.firstImport(ctx, d)
	if err != nil {
		return outcome{}, err
	}
	push, err := l.walkServed(ctx, first, d, "push")
	if err != nil {
		return outcome{}, fmt.Errorf("mode push: %w", err)
	}
	if err := l.importAgain(ctx, first, d); err != nil {
		return outcome{}, err
	}
	pull, err := l.walkServed(ctx, first, d, "pull")
	if err != nil {
		return outcome{}, fmt.Errorf("mode pull: %w", err)
	}
	if push.digest != pull.digest {
		return outcome{}, fmt.Errorf("the pages of push and pull hold the same posts, but differ in their bytes (counts, cursors, order of fields)")
	}
	l.detail("the bytes of every page are equal in both modes, with an import of nothing new between them")

	killed, err := l.killedImport(ctx, d, took)
	if err != nil {
		return outcome{}, err
	}
	if _, err := l.walkServed(ctx, killed, d, "push"); err != nil {
		return outcome{}, fmt.Errorf("after kill -9: %w", err)
	}
	l.drop(killed)
	l.imported = first
	return outcome{fmt.Sprintf("%d of %d feeds, %d posts each in push, pull and after kill -9", push.users, len(d.users), push.posts), true}, nil
}

// firstImport loads the files into a fresh folder.
func (l *lab) firstImport(ctx context.Context, d *dataset) (data string, took time.Duration, err error) {
	data = l.folder("real")
	l.say("importing")
	began := time.Now()
	r, err := l.imports(ctx, data, d.follows, d.posts)
	if err != nil {
		return data, 0, err
	}
	took = time.Since(began)
	l.detail("import loaded %d users, %d follows, %d posts in %s, %d broken lines", r.New.Users, r.New.Follows, r.New.Posts, took.Round(time.Millisecond), r.Broken)
	if r.New.Users != len(d.users) || r.New.Follows != d.network.Follows() || r.New.Posts != d.network.Posts() || r.Broken != 0 {
		return data, took, fmt.Errorf("import says %+v", r)
	}
	return data, took, nil
}

// importAgain runs a second import, which must find nothing new and change nothing.
func (l *lab) importAgain(ctx context.Context, data string, d *dataset) error {
	before, err := l.must(ctx, "user", "list", "--limit", "100000", "--data", data, "--json")
	if err != nil {
		return err
	}
	r, err := l.imports(ctx, data, d.follows, d.posts)
	if err != nil {
		return err
	}
	after, err := l.must(ctx, "user", "list", "--limit", "100000", "--data", data, "--json")
	if err != nil {
		return err
	}
	if r.New.Users+r.New.Follows+r.New.Posts != 0 || before.out != after.out {
		return fmt.Errorf("importing again is not without effect: it says new %+v, the list of users changed: %t", r.New, before.out != after.out)
	}
	l.detail("imported again: new 0 users, 0 follows, 0 posts; the list of users has the same %d bytes", len(after.out))
	return nil
}

// killedImport loads the files in several attempts, all but the last of which are
// killed at a random moment. What an attempt finds loaded already it passes over
// quickly, so that the kills wander through the files.
func (l *lab) killedImport(ctx context.Context, d *dataset, took time.Duration) (data string, err error) {
	const most = 8
	data = l.folder("killed")
	rng := l.newRand()
	var last importJSON
	kills, ended := 0, false
	for ; kills < most && !ended; kills++ {
		delay := time.Duration(float64(took) * (0.1 + 0.8*rng.Float64()))
		if last, ended, err = l.killImport(data, d, delay); err != nil {
			return data, err
		}
		if ended {
			break
		}
	}
	if !ended {
		if last, err = l.imports(ctx, data, d.follows, d.posts); err != nil {
			return data, err
		}
	}
	l.detail("an import was killed %d times; the run that ended found new: %d users, %d follows, %d posts", kills, last.New.Users, last.New.Follows, last.New.Posts)
	if kills == 0 || last.New.Posts == d.network.Posts() && last.New.Follows == d.network.Follows() {
		return data, fmt.Errorf("the kills hit nothing: %d, new %+v", kills, last.New)
	}
	return data, nil
}

// killImport starts an import and kills it after a while, unless it has ended.
func (l *lab) killImport(data string, d *dataset, after time.Duration) (r importJSON, ended bool, err error) {
	cmd := exec.Command(l.bin, "import", "--follows", d.follows, "--posts", d.posts, "--data", data, "--json")
	out := new(lines)
	cmd.Env, cmd.Stdout = l.environment(data), out
	p, err := startProcess(cmd)
	if err != nil {
		return r, false, err
	}
	select {
	case <-p.done:
		if p.err != nil {
			return r, true, fmt.Errorf("import: %w", p.err)
		}
		return r, true, decode("import", out.String(), &r)
	case <-time.After(after):
		p.kill()
		return r, false, nil
	}
}

// walkServed serves a folder in a mode, walks every feed and has verify agree
// through the socket.
func (l *lab) walkServed(ctx context.Context, data string, d *dataset, mode string) (walked, error) {
	l.say("walking every feed, mode %s", mode)
	n, err := l.serve(ctx, data, "FRESHET_FEED_MODE="+mode)
	if err != nil {
		return walked{}, err
	}
	defer n.kill()
	key, err := l.key(ctx, data, fmt.Sprintf("walk-%s-%d", mode, rand.Int32()))
	if err != nil {
		return walked{}, err
	}
	w, err := walkFeeds(ctx, n, key, d)
	if err != nil {
		return w, err
	}
	began := time.Now()
	checked, err := l.verify(ctx, data)
	if err != nil {
		return w, err
	}
	l.detail("%s: %s; verify checked %d things in %s", mode, w, checked, time.Since(began).Round(100*time.Millisecond))
	return w, n.stop()
}
