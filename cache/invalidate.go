package cache

import (
	"context"
	"fmt"
)

// Put stores what the source holds under key since a write that has just been committed (write-through). Loads in flight
// that began before are dropped. Of concurrent changes of one key at most one stays, and where it is not certain which, none.
//
// At tells where the write was committed: of two writers the later one wins. Without it Put cannot tell an old value from a
// new one: callers who write one key at the same time must be sure that they put in the order in which they wrote, or use
// Invalidate.
func (c *Cache[K, V]) Put(ctx context.Context, key K, value V) error {
	k := c.key(key)
	o := origin{
		ticket: c.stack.fence.ticket(), asOf: c.clock.NowNano(), epoch: c.stack.tags.known.Load(),
		read: spanOf(tokenOf(ctx), tokenOf(ctx)),
	}
	e := c.newEntry(key, value, true, o)
	if c.stack.remote == nil {
		c.put(k, e)
		return nil
	}
	c.forget(k)
	kept, err := c.writeThrough(ctx, key, k, e)
	e.ticket = c.stack.fence.ticket()
	if kept {
		c.put(k, e)
	} else {
		c.forget(k)
	}
	return err
}

// Invalidate forgets keys, also those known to be absent. Call it after the source has changed; At tells where. A read of
// this node that begins after it has returned neither sees what was there before nor joins a load that began before, and no
// node finds it in the remote layer. Other nodes forget what they have in memory as soon as the channel, or the change feed that
// they consume, tells them, and after Options.MaxStale at the latest.
//
// A remote layer that can't be reached is no error: the fence is owed, nothing is read from there until it has been written.
func (c *Cache[K, V]) Invalidate(ctx context.Context, keys ...K) error {
	list := make([]key, len(keys))
	for i, k := range keys {
		list[i] = c.key(k)
	}
	return c.invalidate(ctx, list)
}

func (c *Cache[K, V]) invalidate(ctx context.Context, keys []key) error {
	var err error
	if c.stack.remote != nil {
		texts := make([]string, len(keys))
		for i, k := range keys {
			texts[i] = c.remoteText(k)
		}
		err = c.stack.fenceRemote(ctx, texts)
	}
	for _, k := range keys {
		c.forget(k)
	}
	return err
}

// InvalidateConfirmed is Invalidate that returns when no node serves what was there before: each has confirmed that it
// forgot, or can't trust its memory any more. It is for what must not be seen again: deletions, blocks, revocations. Within
// Options.ConfirmWithin, else ErrUnconfirmed: the source is changed, the fence stays owed, and the caller may repeat it. Without
// a channel it waits Options.MaxStale; with Options.Feed it says nothing about what the feed does not tell.
func (c *Cache[K, V]) InvalidateConfirmed(ctx context.Context, keys ...K) error {
	return c.stack.confirmed(ctx, func() error { return c.Invalidate(ctx, keys...) })
}

// InvalidateAll forgets everything in the space, with the promise of Invalidate. All entries are out of sight at once;
// to free them takes time in proportion to their number.
func (c *Cache[K, V]) InvalidateAll(ctx context.Context) error { return c.invalidateAll(ctx) }

func (c *Cache[K, V]) invalidateAll(ctx context.Context) error {
	var err error
	if c.stack.channel != nil || c.codec != nil { // else nobody listens, and nothing lies in the layer
		err = c.stack.fenceTags(ctx, []string{spaceTag(c.name)})
	}
	raise(&c.floor, c.stack.fence.ticket())
	c.memory.dropAll()
	return err
}

// spaceTag is borne by every value of a space in the remote layer. Its tags of its own begin with another byte.
func spaceTag(space string) string { return "s:" + space }

func ownTag(name string) string { return "t:" + name }

// told is forget for what the channel tells: the text of a key behind the name of the space.
func (c *Cache[K, V]) told(text string) error {
	k, err := c.parseRemoteText(text)
	if err == nil {
		c.forget(k)
	}
	return err
}

// InvalidateKey is Cache.Invalidate for operators, who have the space's name and the key as text.
func (s *Stack) InvalidateKey(ctx context.Context, space, text string) error {
	sp, err := s.find(space)
	if err != nil {
		return err
	}
	if err := sp.invalidateText(ctx, text); err != nil {
		return fmt.Errorf("invalidate %s: %w", space, err)
	}
	return nil
}

func (c *Cache[K, V]) invalidateText(ctx context.Context, text string) error {
	k, err := c.parseRemoteText(text)
	if err != nil {
		return err
	}
	return c.invalidate(ctx, []key{k})
}
