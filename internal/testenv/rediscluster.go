package testenv

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"time"
)

// RedisCluster is a Redis Cluster of three masters without replicas. A master that is killed leaves its slots without one.
type RedisCluster struct {
	Masters []*Server
}

// Addrs are host:port of all masters.
func (c *RedisCluster) Addrs() []string {
	addrs := make([]string, len(c.Masters))
	for i, m := range c.Masters {
		addrs[i] = m.Addr
	}
	return addrs
}

// redisSlots is how many slots a cluster has.
const redisSlots = 16_384

// StartRedisCluster runs three masters and returns when each knows that all slots are served. The cluster is put together
// by hand: redis-cli's --cluster create waits a second per step.
func StartRedisCluster(t TB, args ...string) *RedisCluster {
	t.Helper()
	c := new(RedisCluster)
	for range 3 {
		own := []string{"--cluster-enabled", "yes", "--cluster-node-timeout", "2000"}
		c.Masters = append(c.Masters, StartRedis(t, append(own, args...)...))
	}
	for i, m := range c.Masters { // before they meet; else they settle on epochs by collisions
		c.tell(t, m, fmt.Sprintf("CLUSTER SET-CONFIG-EPOCH %d", i+1))
	}
	for i, m := range c.Masters {
		from, to := redisSlots*i/len(c.Masters), redisSlots*(i+1)/len(c.Masters)-1
		c.tell(t, m, fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", from, to))
		for _, other := range c.Masters {
			host, port, _ := net.SplitHostPort(other.Addr)
			c.tell(t, m, fmt.Sprintf("CLUSTER MEET %s %s", host, port))
		}
	}
	deadline := time.Now().Add(readyWithin)
	for _, m := range c.Masters {
		for !c.whole(m) {
			if time.Now().After(deadline) {
				t.Fatalf("start redis cluster: the master at %s does not see all slots served within %v", m.Addr, readyWithin)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return c
}

func (c *RedisCluster) tell(t TB, m *Server, line string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", m.Addr, time.Second)
	if err == nil {
		defer conn.Close()
		err = exchange(conn, line+"\r\n", "+OK")
	}
	if err != nil {
		t.Fatalf("start redis cluster: %v", err)
	}
}

// whole tells whether a master sees a cluster of its size in which all slots are served.
func (c *RedisCluster) whole(m *Server) bool {
	conn, err := net.DialTimeout("tcp", m.Addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "CLUSTER INFO\r\n"); err != nil {
		return false
	}
	want := map[string]bool{"cluster_state:ok": false, fmt.Sprintf("cluster_known_nodes:%d", len(c.Masters)): false, fmt.Sprintf("cluster_size:%d", len(c.Masters)): false}
	left := len(want)
	for s := bufio.NewScanner(conn); left > 0 && s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if seen, wanted := want[line]; wanted && !seen {
			want[line] = true
			left--
		}
		if strings.HasPrefix(line, "cluster_stats_messages_received:") {
			return left == 0
		}
	}
	return left == 0
}
