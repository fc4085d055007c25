package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// shared is the Redis that the nodes of a bench share with nobody. Each mode
// begins with it empty: the nodes' data are copies, so the keys are the same.
// Methods of a nil one do nothing.
type shared struct{ client rueidis.Client }

// sharedUsage is what Redis has done.
type sharedUsage struct {
	CPU      float64 `json:"cpu_seconds"`
	Commands float64 `json:"commands"`
	In       float64 `json:"bytes_in"`
	Out      float64 `json:"bytes_out"`
}

const redisWithin = 5 * time.Second

// openShared connects, and refuses a database with something in it.
func openShared(ctx context.Context, url string) (*shared, error) {
	o, err := rueidis.ParseURL(url)
	if err != nil {
		return nil, usageError{fmt.Errorf("--redis: %w", err), "--redis redis://127.0.0.1:6379/9"}
	}
	o.DisableCache = true
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, withHint(fmt.Errorf("--redis: %w", err), "is a Redis listening there?")
	}
	ctx, cancel := context.WithTimeout(ctx, redisWithin)
	defer cancel()
	n, err := client.Do(ctx, client.B().Dbsize().Build()).AsInt64()
	if err == nil && n > 0 {
		err = usageError{fmt.Errorf("--redis: the database holds %d keys", n), "name an empty one, as redis://127.0.0.1:6379/9: it is emptied between modes"}
	}
	if err != nil {
		client.Close()
		return nil, err
	}
	return &shared{client}, nil
}

// empty takes away what a mode has left, also after an interruption.
func (s *shared) empty() error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), redisWithin)
	defer cancel()
	return s.client.Do(ctx, s.client.B().Flushdb().Build()).Error()
}

func (s *shared) close() error {
	if s == nil {
		return nil
	}
	defer s.client.Close()
	return s.empty()
}

// usage reads INFO. Its figures are the whole server's.
func (s *shared) usage(ctx context.Context) (u sharedUsage, err error) {
	if s == nil {
		return u, nil
	}
	ctx, cancel := context.WithTimeout(ctx, redisWithin)
	defer cancel()
	text, err := s.client.Do(ctx, s.client.B().Info().Section("cpu", "stats").Build()).ToString()
	if err != nil {
		return u, fmt.Errorf("ask Redis what it used: %w", err)
	}
	figures := make(map[string]float64)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			figures[name] = v
		}
	}
	if _, ok := figures["used_cpu_user"]; !ok {
		return u, errors.New("ask Redis what it used: INFO does not tell")
	}
	return sharedUsage{
		CPU:      figures["used_cpu_user"] + figures["used_cpu_sys"],
		Commands: figures["total_commands_processed"],
		In:       figures["total_net_input_bytes"],
		Out:      figures["total_net_output_bytes"],
	}, nil
}

func (u sharedUsage) minus(v sharedUsage) sharedUsage {
	return sharedUsage{CPU: u.CPU - v.CPU, Commands: u.Commands - v.Commands, In: u.In - v.In, Out: u.Out - v.Out}
}
