package cache

import "context"

// freshKey is compared by its address, which is the cheapest key a context can be asked for.
var freshKey byte

// Fresh returns a context whose reads ask the source, whatever memory holds, join no load that has begun before, and
// accept no stale value. What they bring fills memory like any load, but never over something newer.
func Fresh(ctx context.Context) context.Context {
	return context.WithValue(ctx, &freshKey, true)
}

// readsThrough reports whether ctx comes from Fresh.
func readsThrough(ctx context.Context) bool { return ctx.Value(&freshKey) != nil }
