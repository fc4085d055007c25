package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	killUsers   = 60
	roundsOnOne = 5 // kills on one folder; then a fresh one, so that walks stay short
	killAtLeast = 300 * time.Millisecond
	killAtMost  = 1500 * time.Millisecond
)

// measureKills is point 5.
func measureKills(ctx context.Context, l *lab) (outcome, error) {
	rounds := size(5, 50)
	rng := l.newRand()
	total := killTotals{}
	for done := 0; done < rounds; done += roundsOnOne {
		if err := l.killRounds(ctx, rng, min(roundsOnOne, rounds-done), &total); err != nil {
			return outcome{}, fmt.Errorf("after %d kills: %w", total.kills, err)
		}
	}
	l.detail("%d requests were acknowledged, %d had no answer; of these %d posts were sent again under their Idempotency-Key", total.acked, total.lost, total.retried)
	l.detail("%d posts in feeds compared with the ledger; slowest restart %s", total.compared, ms(total.restart))
	return outcome{fmt.Sprintf("%d kills, %d writes kept", total.kills, total.acked), total.kills == rounds}, nil
}

type killTotals struct {
	kills, retried, compared int
	acked, lost              int64
	restart                  time.Duration
}

// killRounds kills a node several times on one folder.
func (l *lab) killRounds(ctx context.Context, rng *rand.Rand, rounds int, total *killTotals) error {
	data := l.folder("kill")
	n, err := l.serve(ctx, data)
	if err != nil {
		return err
	}
	defer func() { n.kill() }()
	key, err := l.key(ctx, data, "show")
	if err != nil {
		return err
	}
	c := newClient(n.url, "Bearer "+key, killWorkers)
	load := &killLoad{ledger: newLedger()}
	if load.ids, err = makeUsers(ctx, c, "user", killUsers); err != nil {
		return err
	}
	for range rounds {
		if err := l.killOnce(ctx, n, c, load, rng); err != nil {
			return err
		}
		total.kills++
		began := time.Now()
		if n, err = l.serve(ctx, data); err != nil {
			return err
		}
		total.restart = max(total.restart, time.Since(began))
		c = newClient(n.url, "Bearer "+key, killWorkers)
		if err := l.checkAfterKill(ctx, n, c, load, total); err != nil {
			return err
		}
	}
	total.acked += load.acked.Load()
	total.lost += load.lost.Load()
	if err := n.stop(); err != nil {
		return fmt.Errorf("stop: %w\n%s", err, n.said())
	}
	l.drop(data)
	return nil
}

// killOnce lets the load run and kills the node in the middle of it.
func (l *lab) killOnce(ctx context.Context, n *node, c *client, load *killLoad, rng *rand.Rand) error {
	defer c.close()
	failed := make(chan error, 1)
	seed := rng.Uint64()
	go func() { failed <- load.run(ctx, c, seed) }()
	select {
	case <-time.After(killAtLeast + time.Duration(rng.Int64N(int64(killAtMost-killAtLeast)))):
	case err := <-failed:
		return fmt.Errorf("the load ended before the kill: %w\n%s", err, n.said())
	}
	n.kill()
	return <-failed
}

// checkAfterKill is what must hold after each restart.
func (l *lab) checkAfterKill(ctx context.Context, n *node, c *client, load *killLoad, total *killTotals) error {
	if _, err := l.verify(ctx, n.data); err != nil {
		return err
	}
	retried, err := load.retry(ctx, c)
	if err != nil {
		return err
	}
	total.retried += retried
	if err := load.settle(ctx, c); err != nil {
		return err
	}
	compared, err := load.check(ctx, c)
	total.compared += compared
	if err != nil {
		return err
	}
	_, err = l.verify(ctx, n.data)
	return err
}
