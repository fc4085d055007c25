package testenv

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// readyWithin is how long a server may take until it answers: much, since the
// machine may be busy with the tests of other packages.
const readyWithin = 60 * time.Second

// Server is a running server of a test. Its methods fail the test when they
// cannot do what they say; they are for the goroutine of the test.
type Server struct {
	Addr string // host:port on the loopback interface; it stays the same over Restart

	t     TB
	kind  kind
	log   *os.File
	child *child // nil before the first start
}

// kind is what one sort of server needs in order to run.
type kind struct {
	name   string                     // for messages
	binary string                     // path of the program
	args   func(port string) []string // how it listens on that port of 127.0.0.1
	ready  func(conn net.Conn) error  // one exchange in its protocol; nil means it serves
	quit   syscall.Signal             // what makes it end at once and leave nothing behind
	user   *syscall.Credential        // nil: the user of the test
	dir    string                     // working directory
	env    []string                   // besides the minimum
}

// child is one run of a server's process.
type child struct {
	pid  int
	done chan struct{} // closed when the process has ended and was waited for
	err  error         // how it ended; read after done
}

// start runs a server of that kind on a free port and returns when it answers.
func start(t TB, k kind) *Server {
	t.Helper()
	log, err := os.Create(filepath.Join(tempDir(t, "freshet-log-"), k.name+".log"))
	if err != nil {
		t.Fatalf("start %s: %v", k.name, err)
	}
	s := &Server{t: t, kind: k, log: log}
	t.Cleanup(s.end)

	// Between finding a port free and the server's bind another process may
	// take it: then the server ends at once, and the next port is tried.
	const attempts = 5
	for range attempts {
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
		if err = s.run(); !errors.Is(err, errEnded) || !strings.Contains(s.output(), "in use") {
			break
		}
	}
	if err != nil {
		t.Fatalf("start %s: %v\n%s", k.name, err, s.output())
	}
	return s
}

// Kill ends the server like a power cut: every process of it at once, with a
// signal that it cannot handle. It returns when all are gone. What the server
// had not handed to the kernel is lost.
func (s *Server) Kill() {
	s.t.Helper()
	children := s.signal(syscall.SIGKILL)
	<-s.child.done
	for _, c := range children {
		for alive(c) {
			time.Sleep(time.Millisecond) // not our child: nobody tells us
		}
	}
}

// Pause stops the server where it is, as a machine that hangs: connections stay
// open and nothing answers. It returns when every thread stands still.
func (s *Server) Pause() {
	s.t.Helper()
	children := s.signal(syscall.SIGSTOP)
	for _, pid := range append(children, s.child.pid) {
		for alive(pid) && !halted(pid) {
			time.Sleep(time.Millisecond)
		}
	}
}

// Resume has a paused server go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

// Restart starts the server again at the same address and with the data it had
// written; one that still runs is ended first. It returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.stop()
	if err := s.run(); err != nil {
		s.t.Fatalf("restart %s: %v\n%s", s.kind.name, err, s.output())
	}
}

// Pid is the process id of the server's first process.
func (s *Server) Pid() int { return s.child.pid }

// signal sends sig to all processes of the server and returns those that the
// first one has forked.
func (s *Server) signal(sig syscall.Signal) []int {
	s.t.Helper()
	select {
	case <-s.child.done:
		s.t.Fatalf("%v %s: it does not run (%v)\n%s", sig, s.kind.name, s.child.err, s.output())
	default:
	}
	return signalTree(s.child.pid, sig)
}

// signalTree sends sig to a process and all it has forked, and returns the
// latter. The parent is stopped first, so that it forks no more while its
// children are looked up.
func signalTree(pid int, sig syscall.Signal) []int {
	if sig != syscall.SIGCONT {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // fails only where it has just ended
	}
	children := childrenOf(pid)
	for _, p := range append([]int{pid}, children...) {
		_ = syscall.Kill(p, sig)
	}
	return children
}

// run starts the process and waits until it answers.
func (s *Server) run() error {
	c, err := s.fork()
	if err != nil {
		return err
	}
	s.child = c
	return s.await()
}

// fork starts the process on a thread of its own that waits for its end. The
// signal that ends the child together with us (Pdeathsig) comes when the
// *thread* that made it ends, and the Go runtime may end any other.
//
//	test goroutine        locked thread
//	   fork ───────────────▶ Start
//	     ◀── started ──────────┤
//	                         Wait ──▶ close(done)
func (s *Server) fork() (*child, error) {
	_, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(s.kind.binary, s.kind.args(port)...)
	cmd.Dir = s.kind.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}, s.kind.env...)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = attributes(s.kind.user, s.kind.quit)

	c := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		closeOnExec()
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.done)
	}()
	return c, <-started
}

// closeOnExec marks every descriptor of this process so that no child gets it.
// Go's own are marked already; those that we were started with (a lock that a
// script holds, make's job server) are not, and a daemon would keep them.
func closeOnExec() {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// errEnded is what await returns for a server that ended instead of answering.
var errEnded = errors.New("the server ended before it answered")

// await asks until the server answers, or has ended, or the time is up.
func (s *Server) await() error {
	deadline := time.Now().Add(readyWithin)
	for {
		err := s.ask()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no answer within %v: %w", readyWithin, err)
		}
		select {
		case <-s.child.done:
			return fmt.Errorf("%w: %v", errEnded, s.child.err)
		case <-time.After(5 * time.Millisecond): // the pace of asking
		}
	}
}

// ask makes one exchange in the server's protocol.
func (s *Server) ask() error {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return err
	}
	return s.kind.ready(conn)
}

// stop ends the process if it runs: asked first, then killed.
func (s *Server) stop() {
	if s.child == nil {
		return
	}
	select {
	case <-s.child.done:
		return
	default:
	}
	signalTree(s.child.pid, syscall.SIGCONT) // a paused process hears nothing else
	_ = syscall.Kill(s.child.pid, s.kind.quit)
	select {
	case <-s.child.done:
	case <-time.After(10 * time.Second):
		signalTree(s.child.pid, syscall.SIGKILL)
		<-s.child.done
	}
}

// end is the last that happens to a server: it is stopped, and if the test has
// failed its last words are shown.
func (s *Server) end() {
	s.stop()
	if s.t.Failed() {
		s.t.Logf("%s at %s said:\n%s", s.kind.name, s.Addr, s.output())
	}
	s.log.Close()
}

// output returns the end of what the server has written.
func (s *Server) output() string {
	const most = 8 << 10
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	if len(text) > most {
		text = append([]byte("…"), text[len(text)-most:]...)
	}
	return string(text)
}
