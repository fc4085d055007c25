package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/config"
	"github.com/freshet/freshet/internal/litedb"
)

// The socket speaks HTTP: POST /NAME with the command's input as JSON; 200 with
// its output, else a socketError. Whoever may open the file may do anything, so
// it is of mode 0600.

const (
	socketFile  = "admin.sock"
	socketBody  = 64 << 20         // bytes of a command: a chunk of an import is some 3 MB
	socketDial  = 2 * time.Second  // for a process that listens to accept
	ownerWait   = 10 * time.Second // for the owner of a folder to begin to listen
	ownerPoll   = 50 * time.Millisecond
	longestPath = 100 // bytes; sockaddr_un holds 108, 104 on macOS
)

type socketError struct {
	Code    freshet.Code `json:"code,omitempty"`
	Field   string       `json:"field,omitempty"`
	Message string       `json:"message"`
}

// Connect gives an Admin for the configured data folder. While another process
// is starting or stopping on it, Connect waits up to ten seconds.
func Connect(ctx context.Context, cfg *config.Config, o Options) (*Admin, error) {
	for deadline := time.Now().Add(ownerWait); ; {
		c, err := dialSocket(cfg.Data)
		if err == nil {
			return &Admin{remote: c}, nil
		}
		if o.Existing {
			if err := mustHold(cfg); err != nil {
				return nil, err
			}
		}
		n, err := Open(ctx, cfg, o)
		if err == nil {
			return &Admin{node: n}, nil
		}
		if !errors.Is(err, litedb.ErrLocked) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s: %w", cfg.Data, ErrNotServing)
		}
		select {
		case <-time.After(ownerPoll):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

type socketClient struct{ http *http.Client }

func dialSocket(dir string) (*socketClient, error) {
	dial := func(ctx context.Context) (conn net.Conn, err error) {
		d := net.Dialer{Timeout: socketDial}
		err = atSocket(dir, func(path string) error {
			conn, err = d.DialContext(ctx, "unix", path)
			return err
		})
		return conn, err
	}
	probe, err := dial(context.Background())
	if err != nil {
		return nil, err
	}
	probe.Close()
	return &socketClient{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}, nil
}

func (c *socketClient) close() { c.http.CloseIdleConnections() }

func (c *socketClient) call(ctx context.Context, name string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://freshet/"+name, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("ask the running freshet: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		var e socketError
		if err := json.NewDecoder(res.Body).Decode(&e); err != nil {
			return fmt.Errorf("ask the running freshet: status %s", res.Status)
		}
		if e.Code == "" {
			return errors.New(e.Message)
		}
		return &freshet.Error{Code: e.Code, Field: e.Field, Message: e.Message}
	}
	return json.NewDecoder(res.Body).Decode(out)
}

// serveSocket answers commands until ctx ends.
func (n *Node) serveSocket(ctx context.Context) (stop func(), err error) {
	var ln net.Listener
	err = atSocket(n.cfg.Data, func(path string) error {
		// The lock is ours, so a socket file is what a killed process left.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if ln, err = net.Listen("unix", path); err != nil {
			return err
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", filepath.Join(n.cfg.Data, socketFile), err)
	}
	srv := &http.Server{
		Handler:           http.HandlerFunc(n.command),
		ReadHeaderTimeout: n.cfg.HTTP.ReadHeaderTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			n.log.Error("the admin socket ended", "error", err)
		}
	}()
	return func() {
		wait, cancel := context.WithTimeout(context.Background(), n.cfg.HTTP.ShutdownTimeout)
		defer cancel()
		if srv.Shutdown(wait) != nil {
			srv.Close()
		}
		<-done
		os.Remove(filepath.Join(n.cfg.Data, socketFile))
	}, nil
}

func (n *Node) command(w http.ResponseWriter, r *http.Request) {
	run, ok := ops[r.URL.Path[1:]]
	if !ok || r.Method != http.MethodPost {
		writeSocket(w, http.StatusNotFound, socketError{Message: "the running freshet does not know this command: is it of an older version?"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, socketBody))
	if err != nil {
		writeSocket(w, http.StatusBadRequest, socketError{Message: err.Error()})
		return
	}
	out, err := run(r.Context(), n, body)
	if e, ok := errors.AsType[*freshet.Error](err); ok {
		writeSocket(w, http.StatusBadRequest, socketError{e.Code, e.Field, e.Message})
		return
	}
	if err != nil {
		writeSocket(w, http.StatusInternalServerError, socketError{Message: err.Error()})
		return
	}
	writeSocket(w, http.StatusOK, out)
}

func writeSocket(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// atSocket calls do with a path of the folder's socket that is short enough for
// the system: where the real one is not, with one through an open descriptor.
func atSocket(dir string, do func(path string) error) error {
	path := filepath.Join(dir, socketFile)
	if len(path) <= longestPath {
		return do(path)
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	short := fmt.Sprintf("/proc/self/fd/%d", d.Fd())
	if _, err := os.Stat(short); err != nil {
		return fmt.Errorf("the path of the data folder is longer than the %d bytes that a socket's may have", longestPath)
	}
	return do(filepath.Join(short, socketFile))
}
