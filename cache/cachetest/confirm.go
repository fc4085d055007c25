package cachetest

import (
	"context"
	"testing"
	"time"
)

func confirmWhenTold(t *testing.T, open func(*testing.T) Node) {
	a, b, c := listening(t, open(t)), listening(t, open(t)), open(t)
	for range size(5, 20) {
		keys := fenceKeys(t, c, 20)
		tag := newID().text()
		epoch, err := c.FenceTags(deadline(t), []string{tag})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Confirm(deadline(t)); err != nil {
			t.Fatal(err)
		}
		returned := time.Now()
		for _, n := range []*listener{a, b} {
			n.check(func(s *seen) {
				told := s.forgot(keys...) && s.tags[tag] >= epoch
				if !told && s.trusts(returned, n.Trust) {
					t.Error("confirmed what a node has not been told, and it trusts its memory")
				}
			})
		}
	}
}

// blocked is a node whose listener hangs in Forget, from the fence of a key on.
func blocked(t *testing.T, open func(*testing.T) Node) (a Node, b *listener, keys []string, unblock func()) {
	a, b = open(t), listening(t, open(t))
	unblock = b.block()
	return a, b, fenceKeys(t, a, 1), unblock
}

func confirmWaits(t *testing.T, open func(*testing.T) Node) {
	a, b, keys, unblock := blocked(t, open)
	done := make(chan error, 1)
	go func() { done <- a.Confirm(deadline(t)) }()
	select {
	case err := <-done:
		done <- err
		b.check(func(s *seen) {
			if !s.forgot(keys...) && s.trusts(time.Now(), b.Trust) {
				t.Error("confirmed while a node hangs before it was told")
			}
		})
	case <-time.After(b.Trust / 4):
	}
	unblock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func confirmGivesUp(t *testing.T, open func(*testing.T) Node) {
	a, b, _, unblock := blocked(t, open)
	if err := a.Confirm(deadline(t)); err != nil {
		t.Errorf("confirm while a node hangs: %v; it cannot trust its memory for longer than %v", err, b.Trust)
	}
	b.check(func(s *seen) {
		if s.trusts(time.Now(), b.Trust) {
			t.Errorf("confirmed %v after the last Alive's probe was sent; a node that hangs trusts its memory for %v", time.Since(s.sent), b.Trust)
		}
	})
	unblock()
}

func confirmWithoutListeners(t *testing.T, open func(*testing.T) Node) {
	n := open(t)
	fenceKeys(t, n, 1)
	if err := n.Confirm(deadline(t)); err != nil {
		t.Error(err)
	}
}

func confirmUnderContext(t *testing.T, open func(*testing.T) Node) {
	a, b, _, unblock := blocked(t, open)
	ctx, cancel := context.WithTimeout(t.Context(), b.Trust/10)
	defer cancel()
	if err := a.Confirm(ctx); err == nil {
		b.check(func(s *seen) {
			if s.trusts(time.Now(), b.Trust) {
				t.Error("confirm returned nil with its context, though a node hangs")
			}
		})
	}
	unblock()
}
