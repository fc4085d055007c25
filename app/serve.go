package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// Listen takes the configured address. It is apart from Serve so that a caller
// knows the port before the first request.
func (n *Node) Listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", n.cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", n.cfg.Addr, err)
	}
	return ln, nil
}

// Serve answers requests on a listener and commands on the folder's socket
// until ctx ends, then drains: requests in progress end, at most
// http.shutdown_timeout long, before what runs behind them does. ready, if not
// nil, is called once requests are answered.
func (n *Node) Serve(ctx context.Context, ln net.Listener, ready func()) error {
	defer ln.Close()
	if err := n.ensureAdmin(ctx); err != nil {
		return err
	}
	handler, err := n.handler()
	if err != nil {
		return err
	}
	// Requests and background work outlive ctx until they have drained.
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	wait, err := n.startBackground(work)
	if err != nil {
		return err
	}
	defer wait()
	defer end()
	stopSocket, err := n.serveSocket(work)
	if err != nil {
		return err
	}
	defer stopSocket()

	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: n.cfg.HTTP.ReadHeaderTimeout,
		ReadTimeout:       n.cfg.HTTP.ReadTimeout,
		WriteTimeout:      n.cfg.HTTP.WriteTimeout,
		IdleTimeout:       n.cfg.HTTP.IdleTimeout,
		MaxHeaderBytes:    maxHeader,
		BaseContext:       func(net.Listener) context.Context { return work },
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelWarn),
	}
	srv.RegisterOnShutdown(n.live.Drain)
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	if ready != nil {
		ready()
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(work, n.cfg.HTTP.ShutdownTimeout)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		n.log.Warn("requests were cut off at shutdown", "after", n.cfg.HTTP.ShutdownTimeout)
		srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// startBackground starts what runs beside the requests until ctx ends; wait
// returns once it has ended.
func (n *Node) startBackground(ctx context.Context) (wait func(), err error) {
	if err := n.jobs.Start(ctx); err != nil {
		return nil, fmt.Errorf("start jobs: %w", err)
	}
	var group sync.WaitGroup
	told := newHeard(len(n.feeds))
	for shard := range n.feeds {
		group.Go(func() { n.followChanges(ctx, shard, told) })
	}
	group.Go(func() { n.live.Run(ctx) })
	group.Go(func() { n.leaders.run(ctx) })
	group.Go(func() { n.housekeep(ctx) })
	group.Go(func() { n.auth.Run(ctx) })
	if n.timelines != nil {
		group.Go(func() { n.timelines.Run(ctx) })
	}
	return group.Wait, nil
}

// maxHeader bounds the header lines of a request, in bytes.
const maxHeader = 32 << 10
