package cache_test

import (
	"testing"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/cachetest"
	"github.com/freshet/freshet/cache/memory"
	"github.com/freshet/freshet/internal/testenv"
)

// newLayer is a remote layer in the memory of this process.
func newLayer(t *testing.T) *memory.Layer {
	layer := memory.New(memory.Options{})
	t.Cleanup(func() { layer.Close() })
	return layer
}

// inMemory is a layer of its own for each test, which its nodes share.
func inMemory() cachetest.Backend {
	var layer *memory.Layer
	var of *testing.T
	return cachetest.Backend{Open: func(t *testing.T) cache.Remote {
		if of != t {
			of, layer = t, newLayer(t)
		}
		return layer
	}}
}

func TestRaces(t *testing.T) { cachetest.Races(t, inMemory()) }

func TestHistories(t *testing.T) {
	cachetest.Histories(t, inMemory(), testenv.Size(2000, 20_000, 1_000_000))
}
