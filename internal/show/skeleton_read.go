package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"
)

const (
	readRatio = 3.0
	readAim   = "at most 3 ×; every write in the next page, compared pages right"

	readRounds = 8
	settle     = 300 * time.Millisecond // for work that a request left behind
)

// measureReads is point 3. Rounds on the node and on a bare handler in a process
// of its own alternate, with one client; what is compared is the processor time
// that each server's process has used for a request.
func measureReads(ctx context.Context, l *lab) (outcome, error) {
	data := l.folder("readers")
	n, err := l.serve(ctx, data)
	if err != nil {
		return outcome{}, err
	}
	defer n.kill()
	key, err := l.key(ctx, data, "show")
	if err != nil {
		return outcome{}, err
	}
	net, err := l.buildNetwork(ctx, n, key)
	if err != nil {
		return outcome{}, err
	}
	ours := &side{process: n.process, load: newReadLoad(net, newFeedModel(net), n.url, key)}
	defer ours.load.client.close()
	l.say("warming up")
	if err := ours.warm(ctx); err != nil {
		return outcome{}, err
	}
	bare, err := l.startBare(net, ours.load.bare(), key)
	if err != nil {
		return outcome{}, err
	}
	defer bare.kill()
	defer bare.load.client.close()
	if err := bare.warm(ctx); err != nil {
		return outcome{}, err
	}
	l.say("measuring")
	ours.reset()
	bare.reset()
	for range readRounds {
		if err := errors.Join(ours.round(ctx), bare.round(ctx)); err != nil {
			return outcome{}, err
		}
	}
	if err := landed(ctx, ours.load.client); err != nil {
		return outcome{}, err
	}
	if _, err := l.verify(ctx, data); err != nil {
		return outcome{}, err
	}
	ours.describe(l, "freshet")
	bare.describe(l, "bare handler")
	byRound := ratios(ours.rounds, bare.rounds)
	ratio := middle(byRound)
	l.detail("%d pages compared with the oracle, %d checked for the post just written; ratio by round %.2f, its median counts",
		ours.load.checked, ours.load.wrote, byRound)
	l.machine()
	return outcome{fmt.Sprintf("%.2f × (%s against %s)", ratio, micros(ours.perRequest()), micros(bare.perRequest())), ratio <= readRatio}, n.stop()
}

// landed waits until no post is in flight: one that stays so costs every read.
func landed(ctx context.Context, c *client) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(settle) {
		n, err := c.metric(ctx, "freshet_feed_in_flight")
		if err != nil || n == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("10 s after the load %.0f posts are still in flight", n)
		}
	}
}

// side is one of the two servers under load.
type side struct {
	*process
	load   *readLoad
	cpu    time.Duration
	took   time.Duration
	rounds []time.Duration // processor time of each
}

func newReadLoad(net *readNetwork, model *feedModel, url, key string) *readLoad {
	return &readLoad{
		net: net, model: model, client: newClient(url, "", readConns), key: "Bearer " + key,
		reads: size(40_000, 400_000) / readRounds, counter: new(atomic.Int64),
	}
}

// warm has every reader read, and then some.
func (s *side) warm(ctx context.Context) error {
	for i := range s.load.net.readers {
		if err := s.load.page(ctx, i, nil, true); err != nil {
			return err
		}
	}
	return s.round(ctx)
}

// round measures one round.
func (s *side) round(ctx context.Context) error {
	before, err := cpuOf(s.pid())
	if err != nil {
		return err
	}
	took, err := s.load.round(ctx)
	if err != nil {
		return err
	}
	time.Sleep(settle)
	after, err := cpuOf(s.pid())
	s.cpu += after - before
	s.took += took
	s.rounds = append(s.rounds, after-before)
	return err
}

// reset forgets what was warm-up.
func (s *side) reset() {
	s.cpu, s.took, s.rounds = 0, 0, nil
	s.load.latencies, s.load.read, s.load.wrote, s.load.checked = nil, 0, 0, 0
	s.load.readBytes, s.load.writeBytes = 0, 0
}

func (s *side) perRequest() time.Duration { return s.cpu / time.Duration(s.load.requests()) }

func (s *side) describe(l *lab, name string) {
	l.detail("%s: %d reads of %d bytes, %d writes; %.0f requests/s on %d connections; read p50 %s, p99 %s; CPU %s for a request", name,
		s.load.read, s.load.readBytes/s.load.read, s.load.wrote, float64(s.load.requests())/s.took.Seconds(), readConns,
		micros(quantile(s.load.latencies, 0.5)), micros(quantile(s.load.latencies, 0.99)), micros(s.perRequest()))
}

func ratios(a, b []time.Duration) (out []float64) {
	for i := range a {
		out = append(out, float64(a[i])/float64(b[i]))
	}
	return out
}

func micros(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d)/1e3) }

// startBare starts the bare handler in a process of its own.
func (l *lab) startBare(net *readNetwork, answers bareConfig, key string) (*side, error) {
	config, err := json.Marshal(answers)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(l.self, bareServer)
	cmd.Stdin, cmd.Env = bytes.NewReader(config), l.environment("")
	out := new(lines)
	cmd.Stdout, cmd.Stderr = out, out
	p, err := startProcess(cmd)
	if err != nil {
		return nil, err
	}
	l.Cleanup(p.kill)
	for deadline := time.Now().Add(readyWithin); !p.ended() && time.Now().Before(deadline); time.Sleep(askEvery) {
		if url := strings.TrimSpace(out.String()); strings.HasPrefix(url, "http://") {
			return &side{process: p, load: newReadLoad(net, nil, url, key)}, nil
		}
	}
	p.kill()
	return nil, fmt.Errorf("start the bare handler: %v: %s", p.err, out.String())
}
