package cache

import (
	"strings"
	"time"

	"github.com/freshet/freshet/position"
)

// recent remembers the fences that were written since the last probe that has come back was sent. They lie under the
// generation that this node knows; where it has ended meanwhile, others may by then read and fill under the next one, in which
// nothing was fenced:
//
//	this node           layer                       another node
//	  generation a        restarts: generation b       learns of b, reads v1, fills it under b
//	  fences a|key ─────▶ is acknowledged              …
//	  learns of b: fences b|key                        reads v2
//
// A probe that was sent after the acknowledgement and brings back the same generation proves that the fence lies in it.
//
// There are two buckets, so that forgetting costs nothing: what the older one holds was acknowledged before turned.
type recent struct {
	older, newer debts
	turned       time.Time
}

// prove forgets what a probe of the same generation, sent then, has proven.
func (r *recent) prove(sent time.Time) {
	if sent.After(r.turned) {
		r.older, r.newer, r.turned = r.newer, debts{}, time.Now()
	}
}

// debts are fences by their texts. Beyond debtsMax the spaces of their keys stand for them, as tags. The zero debts are none.
type debts struct {
	keys map[string]position.Position
	tags map[string]bool
}

func (d *debts) add(texts []string, at position.Position) {
	if d.keys == nil {
		d.keys = make(map[string]position.Position)
	}
	for _, text := range texts {
		d.keys[text] = later(d.keys[text], at)
	}
	if len(d.keys) <= debtsMax {
		return
	}
	for text := range d.keys {
		space, _, _ := strings.Cut(text, ":")
		d.addTag(spaceTag(space))
	}
	clear(d.keys)
}

func (d *debts) addTag(tag string) {
	if d.tags == nil {
		d.tags = make(map[string]bool)
	}
	d.tags[tag] = true
}

func (d *debts) take(other debts) {
	for text, at := range other.keys {
		d.add([]string{text}, at)
	}
	for tag := range other.tags {
		d.addTag(tag)
	}
}

func (d *debts) none() bool { return len(d.keys) == 0 && len(d.tags) == 0 }
