package cache

import (
	"context"
	"errors"
)

// Func puts a cache before a function in one line: the Get of what it returns answers as load does. load returns ErrNotFound,
// wrapped or not, for what does not exist.
//
// GetMany calls load once for each key that is missing, one after another, and an error of one fails all; a source that
// answers many at once deserves Define.
func Func[K comparable, V any](stack *Stack, name string, policy Policy, load func(context.Context, K) (V, error)) *Cache[K, V] {
	return Define(stack, Space[K, V]{Name: name, Policy: policy, LoadMany: eachAlone(load)})
}

// eachAlone is a LoadMany that asks for one key after another.
func eachAlone[K comparable, V any](load func(context.Context, K) (V, error)) func(context.Context, []K) (map[K]V, error) {
	return func(ctx context.Context, keys []K) (map[K]V, error) {
		values := make(map[K]V, len(keys))
		for _, key := range keys {
			value, err := load(ctx, key)
			switch {
			case errors.Is(err, ErrNotFound):
			case err != nil:
				return nil, err
			default:
				values[key] = value
			}
		}
		return values, nil
	}
}
