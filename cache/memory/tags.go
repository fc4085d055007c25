package memory

import (
	"maps"
	"slices"
)

// maxTags is how many tags are known by name.
const maxTags = 1 << 16

// tagEpochs are the latest epochs of tags. The oldest half is forgotten by name when there are too many: what was fenced
// up to the horizon is known only to have been fenced. It is not safe for concurrent use.
type tagEpochs struct {
	epochs  map[string]uint64
	last    uint64 // the highest epoch drawn
	horizon uint64 // the highest epoch forgotten
}

func newTagEpochs() tagEpochs { return tagEpochs{epochs: make(map[string]uint64)} }

// raise gives tags a new epoch.
func (t *tagEpochs) raise(tags []string) uint64 {
	t.last++
	for _, tag := range tags {
		t.epochs[tag] = t.last
	}
	if len(t.epochs) > maxTags {
		t.forget()
	}
	return t.last
}

func (t *tagEpochs) forget() {
	epochs := slices.Sorted(maps.Values(t.epochs))
	t.horizon = epochs[len(epochs)/2]
	maps.DeleteFunc(t.epochs, func(_ string, epoch uint64) bool { return epoch <= t.horizon })
}
