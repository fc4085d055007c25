package app

import (
	"os"
	"testing"
	"time"

	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/position"
)

// What is kept of a feed covers the last minutes, and no more than so much of it.
func TestBacklog(t *testing.T) {
	now := time.Unix(0, 0)
	at := func(timeline uint32, offset uint64) position.Position {
		return position.Position{System: 1, Timeline: timeline, Offset: offset}
	}
	b := backlog{keep: 16 * time.Minute, span: 1000}
	for i := range uint64(100) {
		now = now.Add(time.Minute)
		done := b.heard(at(1, i), now)
		if i < 16 && !done.IsZero() || i >= 16 && done != at(1, i-16) {
			t.Fatalf("after %d minutes nothing is kept up to %v", i, done)
		}
		if len(b.marks) > backlogMarks+1 {
			t.Fatalf("%d marks", len(b.marks))
		}
	}
	for range 30 { // in which nothing happens
		now = now.Add(time.Minute)
		if done := b.heard(at(1, 99), now); done.Offset > 99 {
			t.Fatalf("confirmed %v", done)
		}
	}
	if done := b.heard(at(1, 100), now); !done.IsZero() {
		t.Errorf("what was heard just now is not kept: %v", done)
	}
	if done := b.heard(at(1, 5000), now.Add(time.Second)); done != at(1, 100) {
		t.Errorf("5,000 steps of 1,000 are kept: %v", done)
	}
	now = now.Add(2 * time.Second)
	b.heard(at(1, 5001), now)
	if done := b.heard(at(2, 9000), now.Add(time.Hour)); !done.IsZero() {
		t.Errorf("a position of a history that is over would be confirmed: %v", done)
	}
}

func TestProgressFile(t *testing.T) {
	n := &Node{cfg: config.Default(), backend: backend{systems: []uint64{7, 9}}}
	n.cfg.Data = t.TempDir()
	if p := n.readProgress(0); p != (progress{}) {
		t.Errorf("without a file: %v", p)
	}
	want := progress{position.Position{System: 9, Timeline: 2, Offset: 3}, position.Position{System: 9, Timeline: 2, Offset: 4}}
	if err := n.writeProgress(1, want); err != nil {
		t.Fatal(err)
	}
	if p := n.readProgress(1); p != want {
		t.Errorf("%v, want %v", p, want)
	}
	for _, broken := range []string{"", "confirmed 2/3 fenced", "confirmed 2/-3 fenced 2/4\n"} {
		if err := os.WriteFile(n.progressFile(1), []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if p := n.readProgress(1); p != (progress{}) {
			t.Errorf("of %q: %v", broken, p)
		}
	}
}
