package testenv

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Replicated are primaries with a replica each, of which the replicas can be made to lack what was written last: what
// asynchronous replication allows at each failover.
type Replicated struct {
	Primaries, Replicas []*Server
	Sentinel            *Server // nil: they are a cluster

	t TB
}

// sentinelName is the name of the one master set that a sentinel of [StartRedisSentinel] watches.
const sentinelName = "main"

// StartRedisSentinel runs a primary, a replica of it, and a sentinel that knows both under the name "main".
func StartRedisSentinel(t TB) *Replicated {
	t.Helper()
	primary := StartRedis(t, "--repl-diskless-sync-delay", "0")
	host, port, _ := net.SplitHostPort(primary.Addr)
	replica := StartRedis(t, "--replicaof", host, port)
	r := &Replicated{Primaries: []*Server{primary}, Replicas: []*Server{replica}, t: t}
	r.awaitReplicas()

	conf := filepath.Join(tempDir(t, "freshet-sentinel-"), "sentinel.conf") // it writes to it
	settings := fmt.Sprintf("sentinel monitor %[1]s %s %s 1\nsentinel down-after-milliseconds %[1]s 500\n", sentinelName, host, port)
	if err := os.WriteFile(conf, []byte(settings), 0o600); err != nil {
		t.Fatalf("start redis sentinel: %v", err)
	}
	r.Sentinel = start(t, kind{
		name:   "redis-sentinel",
		binary: find(t, "redis-server", "redis-server"),
		args: func(port string) []string {
			return []string{conf, "--sentinel", "--bind", "127.0.0.1", "--port", port, "--daemonize", "no"}
		},
		ready: func(conn net.Conn) error { return exchange(conn, "PING\r\n", "+PONG") },
		quit:  9,
		dir:   filepath.Dir(conf),
	})
	r.eventually("the sentinel knows the replica", func() bool {
		return strings.Contains(r.ask(r.Sentinel, "SENTINEL REPLICAS "+sentinelName), replica.Addr)
	})
	return r
}

// StartReplicatedRedisCluster runs a cluster of three primaries with a replica each.
func StartReplicatedRedisCluster(t TB) *Replicated {
	t.Helper()
	c := StartRedisCluster(t, "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
	r := &Replicated{Primaries: c.Masters, t: t}
	for range c.Masters {
		replica := StartRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
		host, port, _ := net.SplitHostPort(replica.Addr)
		c.tell(t, c.Masters[0], fmt.Sprintf("CLUSTER MEET %s %s", host, port))
		r.Replicas = append(r.Replicas, replica)
	}
	for i, replica := range r.Replicas {
		var id string
		r.eventually("a primary has a name", func() bool {
			if _, answer, found := strings.Cut(r.ask(r.Primaries[i], "CLUSTER MYID"), "\r\n"); found {
				id = strings.TrimSpace(answer)
			}
			return id != ""
		})
		r.eventually("the replica knows its primary", func() bool { return strings.Contains(r.ask(replica, "CLUSTER NODES"), id) })
		c.tell(t, replica, "CLUSTER REPLICATE "+id)
	}
	r.awaitReplicas()
	for i, replica := range r.Replicas { // clients are told of a replica that has been told something
		_, port, _ := net.SplitHostPort(replica.Addr)
		for _, node := range append(r.Replicas, r.Primaries...) {
			r.eventually(fmt.Sprint("all nodes know replica ", i), func() bool {
				return strings.Contains(r.ask(node, "CLUSTER SLOTS"), ":"+port+"\r\n")
			})
		}
	}
	return r
}

func (r *Replicated) awaitReplicas() {
	r.t.Helper()
	for _, replica := range r.Replicas {
		r.eventually("the replica is in step", func() bool {
			return strings.Contains(r.ask(replica, "INFO replication"), "master_link_status:up")
		})
	}
}

// Addrs are host:port of all servers.
func (r *Replicated) Addrs() []string {
	return append((&RedisCluster{Masters: r.Primaries}).Addrs(), (&RedisCluster{Masters: r.Replicas}).Addrs()...)
}

// Cut has no replica hear any more of what its primary is told. It can't come back: it offers a password that nobody asks for.
func (r *Replicated) Cut() {
	r.t.Helper()
	for i, replica := range r.Replicas {
		r.eventually("the replica is cut off", func() bool {
			r.ask(replica, "CONFIG SET masterauth wrong")
			r.ask(r.Primaries[i], "CLIENT KILL TYPE replica")
			return strings.Contains(r.ask(r.Primaries[i], "INFO replication"), "connected_slaves:0")
		})
	}
}

// FailOver has the replicas take their primaries' places, which are killed, or, where hang is true, just do not answer any
// more. It returns when each replica serves as a primary.
func (r *Replicated) FailOver(hang bool) {
	r.t.Helper()
	for _, p := range r.Primaries {
		if hang {
			p.Pause()
			r.t.Cleanup(p.Resume)
		} else {
			p.Kill()
		}
	}
	for _, replica := range r.Replicas {
		r.eventually("the replica serves as a primary", func() bool {
			if r.Sentinel == nil {
				r.ask(replica, "CLUSTER FAILOVER TAKEOVER")
			}
			return strings.Contains(r.ask(replica, "INFO replication"), "role:master")
		})
	}
}

// ask sends one command and gives the answer as it came; none where the server hangs up, as it does when a sentinel promotes it.
func (r *Replicated) ask(s *Server, line string) string {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return ""
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	var answer strings.Builder
	if _, err := fmt.Fprint(conn, line+"\r\n"); err != nil || readAnswer(bufio.NewReader(conn), &answer) != nil {
		return ""
	}
	return answer.String()
}

// readAnswer copies one value of the protocol RESP2.
func readAnswer(from *bufio.Reader, to *strings.Builder) error {
	line, err := from.ReadString('\n')
	to.WriteString(line)
	if err != nil || len(line) < 4 {
		return err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:])) // of "+OK" none
	switch line[0] {
	case '$':
		if n >= 0 {
			_, err = io.CopyN(to, from, int64(n)+2)
		}
	case '*':
		for ; n > 0 && err == nil; n-- {
			err = readAnswer(from, to)
		}
	}
	return err
}

func (r *Replicated) eventually(what string, ok func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(readyWithin); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("replicated redis: never: %s", what)
		}
	}
}
