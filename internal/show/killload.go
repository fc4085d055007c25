package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// killLoad writes until the node is gone.
type killLoad struct {
	ledger *ledger
	ids    []string // of the users, by place
	next   atomic.Int64
	acked  atomic.Int64 // requests that were answered, over all rounds
	lost   atomic.Int64 // requests that were not
}

const killWorkers = 12

// run has several workers write, each for users of its own, until ctx ends or a
// request is not answered. An answer that is no success is an error.
func (k *killLoad) run(ctx context.Context, c *client, seed uint64) error {
	var (
		group sync.WaitGroup
		errs  = make(chan error, killWorkers)
	)
	for w := range killWorkers {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for ctx.Err() == nil {
				err := k.operation(ctx, c, rng, w)
				if _, answered := asStatus(err); answered {
					errs <- err
				}
				if err != nil {
					k.lost.Add(1)
					return
				}
				k.acked.Add(1)
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

// operation does one request of a user that belongs to worker w.
func (k *killLoad) operation(ctx context.Context, c *client, rng *rand.Rand, w int) error {
	actor := w + killWorkers*rng.IntN((len(k.ids)-w+killWorkers-1)/killWorkers)
	switch n := rng.IntN(20); {
	case n < 9:
		return k.post(ctx, c, actor)
	case n < 13:
		return k.follow(ctx, c, rng, actor)
	case n < 17:
		return k.like(ctx, c, rng, actor)
	default: // whoever reads has a timeline, into which fan-outs write
		return c.get(ctx, "/v1/feed", k.ids[actor], nil)
	}
}

func (k *killLoad) post(ctx context.Context, c *client, actor int) error {
	n := k.next.Add(1)
	p := &ledgerPost{author: actor, text: fmt.Sprintf("post %d of user %d", n, actor), key: "key-" + strconv.FormatInt(n, 10)}
	k.ledger.sent(p)
	return k.sendPost(ctx, c, p)
}

// sendPost sends a post, perhaps once more, and notes its acknowledgement.
func (k *killLoad) sendPost(ctx context.Context, c *client, p *ledgerPost) error {
	id, err := k.request(ctx, c, p)
	if err == nil {
		k.ledger.ack(p, id)
	}
	return err
}

func (k *killLoad) request(ctx context.Context, c *client, p *ledgerPost) (id string, err error) {
	var made postJSON
	err = c.do(ctx, request{
		method: http.MethodPost, path: "/v1/posts", actFor: k.ids[p.author],
		body: map[string]string{"text": p.text}, header: map[string]string{"Idempotency-Key": p.key},
	}, &made)
	return made.ID, err
}

func (k *killLoad) follow(ctx context.Context, c *client, rng *rand.Rand, actor int) error {
	target := rng.IntN(len(k.ids))
	if target == actor {
		target = (actor + 1) % len(k.ids)
	}
	e, want := edge{actor, target}, rng.IntN(3) > 0
	k.ledger.setEdge(e, k.unsure(k.ledger.edge(e), want))
	err := c.do(ctx, request{method: verb(want), path: "/v1/users/" + k.ids[target] + "/follow", actFor: k.ids[actor]}, nil)
	if err == nil {
		k.ledger.setEdge(e, factOf(want))
	}
	return err
}

func (k *killLoad) like(ctx context.Context, c *client, rng *rand.Rand, actor int) error {
	p := k.ledger.some(rng.IntN)
	if p == nil {
		return nil
	}
	fact, want := like{actor, p.id}, rng.IntN(4) > 0
	k.ledger.setLike(fact, maybe)
	err := c.do(ctx, request{method: verb(want), path: "/v1/posts/" + p.id + "/like", actFor: k.ids[actor]}, nil)
	if err == nil {
		k.ledger.setLike(fact, factOf(want))
	}
	return err
}

// unsure is what is known of a fact while a request for want is under way: a
// request that changes nothing leaves nothing open.
func (k *killLoad) unsure(now fact, want bool) fact {
	if now == factOf(want) {
		return now
	}
	return maybe
}

func verb(want bool) string {
	if want {
		return http.MethodPut
	}
	return http.MethodDelete
}
