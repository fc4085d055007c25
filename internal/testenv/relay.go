package testenv

import (
	"net"
	"sync"
)

// Relay is a way to a server that can be cut and paused, as a network can: the server itself notices nothing else.
//
//	client ──▶ Addr ──▶ target
//	       ◀── pump ◀──
//
// Its methods are safe for concurrent use.
type Relay struct {
	Addr string // where clients connect

	target   string
	listener net.Listener
	pumps    sync.WaitGroup

	mu    sync.Mutex
	flow  *sync.Cond // of mu: paused or closed has changed
	state relayState
	conns map[net.Conn]bool // both ends of every connection
}

type relayState struct{ paused, closed bool }

// StartRelay listens on the loopback interface and passes on to target (host:port) whatever comes.
func StartRelay(t TB, target string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start relay to %s: %v", target, err)
	}
	r := &Relay{Addr: l.Addr().String(), target: target, listener: l, conns: make(map[net.Conn]bool)}
	r.flow = sync.NewCond(&r.mu)
	r.pumps.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

// Cut ends every connection. New ones are let through.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
	}
	clear(r.conns)
	r.flow.Broadcast()
}

// Pause lets nothing through in either direction until Resume; connections stay open, and what is sent waits.
func (r *Relay) Pause() { r.set(func(s *relayState) { s.paused = true }) }

// Resume lets through what waits, and all that follows.
func (r *Relay) Resume() { r.set(func(s *relayState) { s.paused = false }) }

func (r *Relay) set(change func(*relayState)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.state)
	r.flow.Broadcast()
}

func (r *Relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", r.target)
		if err != nil {
			client.Close()
			continue
		}
		r.mu.Lock()
		if r.state.closed {
			client.Close()
			server.Close()
		} else {
			r.conns[client], r.conns[server] = true, true
			r.pumps.Go(func() { r.pump(client, server) })
			r.pumps.Go(func() { r.pump(server, client) })
		}
		r.mu.Unlock()
	}
}

// pump passes on what comes from one end; when one is closed, so is the other.
func (r *Relay) pump(from, to net.Conn) {
	defer r.forget(from, to)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		for r.state.paused && !r.state.closed && r.conns[from] {
			r.flow.Wait()
		}
		r.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (r *Relay) forget(ends ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range ends {
		c.Close()
		delete(r.conns, c)
	}
}

func (r *Relay) close() {
	r.listener.Close()
	r.set(func(s *relayState) { s.closed = true })
	r.Cut()
	r.pumps.Wait()
}
