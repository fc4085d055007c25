package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	readConns     = 16
	readsPerWrite = 20
	checkEvery    = 100 // pages, of which one is compared with the oracle
)

// readLoad is the load of point 3: many readers, and a write by somebody whom
// the next reader follows before every twentieth read.
type readLoad struct {
	net     *readNetwork
	model   *feedModel // nil: the answers mean nothing
	client  *client
	key     string // Authorization of writes
	reads   int    // in one round
	counter *atomic.Int64

	mu        sync.Mutex
	latencies []time.Duration
	read, wrote, checked,
	readBytes, writeBytes int64
	readSample, writeSample http.Header
	violations              []error
}

// round does the reads and the writes among them.
func (r *readLoad) round(ctx context.Context) (took time.Duration, err error) {
	began := time.Now()
	cycles := r.reads / readsPerWrite
	err = each(ctx, readConns, cycles, func(ctx context.Context, cycle int) error {
		rng := rand.New(rand.NewPCG(uint64(r.counter.Add(1)), 1))
		next := rng.IntN(len(r.net.readers))
		post, err := r.write(ctx, rng, next)
		if err != nil {
			return err
		}
		if err := r.page(ctx, next, post, false); err != nil {
			return err
		}
		for i := 1; i < readsPerWrite; i++ {
			compared := (cycle*readsPerWrite+i)%checkEvery == checkEvery-1
			if err := r.page(ctx, rng.IntN(len(r.net.readers)), nil, compared); err != nil {
				return err
			}
		}
		return nil
	})
	return time.Since(began), errors.Join(err, errors.Join(r.violations...))
}

// write has somebody whom a reader follows write a post.
func (r *readLoad) write(ctx context.Context, rng *rand.Rand, reader int) (*livePost, error) {
	followed := r.net.readers[reader].follows
	author := r.net.place[followed[rng.IntN(len(followed))]]
	text := postText(rng, fmt.Sprint("live ", r.counter.Add(1)))
	var post *livePost
	if r.model != nil {
		post = r.model.begin(text, author)
	}
	a, err := r.client.as(r.key).send(ctx, request{
		method: "POST", path: "/v1/posts", actFor: r.net.ids[author], body: map[string]string{"text": text},
	})
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusCreated {
		return nil, &statusError{"POST /v1/posts", a.status, string(a.body)}
	}
	r.mu.Lock()
	r.wrote++
	r.writeBytes += int64(len(a.body))
	r.writeSample = a.header
	r.mu.Unlock()
	if r.model == nil {
		return nil, nil
	}
	var made postJSON
	if err := json.Unmarshal(a.body, &made); err != nil {
		return nil, err
	}
	r.model.ack(post, made.ID)
	return post, nil
}

// page reads a reader's first page. A post that was just acknowledged must be on
// top of it.
func (r *readLoad) page(ctx context.Context, reader int, fresh *livePost, compare bool) error {
	must := 0
	if r.model != nil {
		must = r.model.before()
	}
	began := time.Now()
	a, err := r.client.as(r.net.readers[reader].session).send(ctx, request{method: "GET", path: "/v1/feed?limit=50"})
	took := time.Since(began)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return &statusError{"GET /v1/feed", a.status, string(a.body)}
	}
	var wrong error
	if r.model != nil && (fresh != nil || compare) {
		var page pageJSON[postJSON]
		if err := json.Unmarshal(a.body, &page); err != nil {
			return err
		}
		if fresh != nil {
			wrong = r.model.onTop(page.Items, fresh)
		}
		if compare {
			wrong = errors.Join(wrong, r.model.check(reader, must, page.Items))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.read++
	r.readBytes += int64(len(a.body))
	r.readSample = a.header
	r.latencies = append(r.latencies, took)
	if compare {
		r.checked++
	}
	if wrong != nil {
		r.violations = append(r.violations, fmt.Errorf("page of %s: %w", r.net.readers[reader].handle, wrong))
	}
	return nil
}

func (r *readLoad) requests() int64 { return r.read + r.wrote }

// bare is what a handler has to write in order to write as much.
func (r *readLoad) bare() bareConfig {
	return bareConfig{
		http.MethodGet:  {http.StatusOK, r.readSample, int(r.readBytes / r.read)},
		http.MethodPost: {http.StatusCreated, r.writeSample, int(r.writeBytes / r.wrote)},
	}
}
