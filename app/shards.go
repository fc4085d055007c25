package app

import (
	"context"

	"github.com/freshet/freshet/store"
)

// Shard is one part of the store as the commands show it.
type Shard struct {
	Shard    int      `json:"shard"`
	Primary  string   `json:"primary"` // its URL without a password, or the file
	Replicas []string `json:"replicas,omitempty"`
	Buckets  string   `json:"buckets"` // "0-511,700"; "all"
	Count    int      `json:"bucket_count"`
	Error    string   `json:"error,omitempty"` // why it can't be used
}

// Shards are the parts of the store, and the move of buckets between them that is under way.
type Shards struct {
	Shards []Shard `json:"shards"`
	Move   *Move   `json:"move,omitempty"`
}

// listShardsOp is the command; it needs nothing but the directory, so a shard that is down is listed as well.
var listShardsOp = newOp("shard.list", func(ctx context.Context, n *Node, _ none) (Shards, error) {
	out := Shards{Shards: n.listShards(ctx)}
	if m, err := n.moving(ctx); err == nil && m != nil && !m.Ended() { // where home is down, that is told already
		out.Move = m
	}
	return out, nil
})

// Shards lists the parts of the store.
func (a *Admin) Shards(ctx context.Context) (Shards, error) { return listShardsOp.do(ctx, a, none{}) }

func (n *Node) listShards(ctx context.Context) []Shard {
	buckets := []store.Buckets{store.AllBuckets()}
	parts := []store.Store{n.store}
	if n.split != nil {
		d := n.split.Directory()
		buckets, parts = make([]store.Buckets, len(d.Parts)), nil
		for bucket, owner := range d.Owners {
			buckets[owner].Add(bucket)
		}
		for _, p := range n.split.Parts() {
			parts = append(parts, p)
		}
	}
	list := make([]Shard, len(parts))
	for i, p := range parts {
		c := shardsOf(n.cfg)[i].Redacted()
		if name, ok := c.File(); ok {
			c.Primary = name
		}
		list[i] = Shard{
			Shard: i, Primary: c.Primary, Replicas: c.Replicas,
			Buckets: buckets[i].String(), Count: buckets[i].Len(), Error: told(p.Ready(ctx)),
		}
	}
	return list
}

func told(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
