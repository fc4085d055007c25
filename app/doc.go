// Package app turns a configuration into a running node: it opens the data
// folder, binds the adapters, starts what runs in the background and serves.
//
//	node, err := app.Open(ctx, cfg, app.Options{Log: log})
//	defer node.Close()
//	err = node.Serve(ctx, nil) // until ctx ends, then drains
//
// The order of things:
//
//	Open:  lock DATA ─▶ migrate ─▶ store ─▶ caches ─▶ social, access ─▶ jobs (not started)
//	Serve: listen ─▶ admin.sock ─▶ jobs, change feed, housekeeping ─▶ HTTP
//	Close: HTTP drains ─▶ background stops ─▶ jobs end ─▶ caches ─▶ store ─▶ unlock
//
// Invariants: one process owns a data folder; every command on it goes through
// its socket while it serves. Every goroutine is ended by Close.
//
// [Connect] is for the commands: it gives an [Admin] that either owns the
// folder or talks to the process that does.
package app
