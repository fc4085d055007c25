package app

import (
	"context"

	"github.com/freshet/freshet/store"
	"github.com/freshet/freshet/store/shard"
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

// listShardsOp is the command; it needs nothing but the directory, so a shard that is down is listed as well.
var listShardsOp = newOp("shard.list", func(ctx context.Context, n *Node, _ none) ([]Shard, error) { return n.listShards(ctx), nil })

// Shards lists the parts of the store.
func (a *Admin) Shards(ctx context.Context) ([]Shard, error) { return listShardsOp.do(ctx, a, none{}) }

func (n *Node) listShards(ctx context.Context) []Shard {
	all := store.AllBuckets()
	s, split := n.store.(*shard.Store)
	if !split {
		one := Shard{Primary: databaseFile, Buckets: all.String(), Count: all.Len(), Error: told(n.store.Ready(ctx))}
		if c := n.cfg.Store.Shards; len(c) > 0 {
			one.Primary, one.Replicas = c[0].Redacted().Primary, c[0].Redacted().Replicas
		}
		return []Shard{one}
	}
	buckets := make([]store.Buckets, len(s.Parts()))
	for bucket, owner := range s.Directory().Owners {
		buckets[owner].Add(bucket)
	}
	list := make([]Shard, len(buckets))
	for i, p := range s.Parts() {
		c := n.cfg.Store.Shards[i].Redacted()
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
