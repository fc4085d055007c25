package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

// clusterView is what one node thinks of its cluster: it changes with every failover (the voters raise the epoch before the
// new master is elected) and with every node that joins or leaves.
type clusterView struct {
	state, epoch, known string
}

func parseView(r rueidis.RedisResult) (clusterView, error) {
	info, err := verbatim(r)
	if err != nil {
		return clusterView{}, err
	}
	v := clusterView{infoField(info, "cluster_state"), infoField(info, "cluster_current_epoch"), infoField(info, "cluster_known_nodes")}
	if v.state != "ok" {
		return v, fmt.Errorf("the cluster is in state %q", v.state)
	}
	return v, nil
}

// links connects to every master. The first of them is the control master.
func (r *Remote) links(ctx context.Context, in *inbox) ([]*link, error) {
	if !r.cluster {
		for _, c := range r.client.Nodes() { // of a single server: itself; with Sentinel: the master of now
			l, err := r.connect(ctx, "the master", c, nil, in)
			if err != nil {
				return nil, err
			}
			return []*link{l}, nil
		}
		return nil, errors.New("the client knows no server")
	}
	masters, err := r.masters(ctx)
	if err != nil {
		return nil, err
	}
	links, errs := make([]*link, len(masters)), make([]error, len(masters))
	var all sync.WaitGroup
	for i, m := range masters {
		all.Go(func() { links[i], errs[i] = r.dial(ctx, m, in) })
	}
	all.Wait()
	links = slices.DeleteFunc(links, func(l *link) bool { return l == nil })
	err = errors.Join(errs...)
	for i, l := range links {
		if err == nil && (l.id != masters[i].id || l.view.epoch != links[0].view.epoch) {
			err = errors.New("the cluster is changing")
		}
	}
	if err != nil {
		closeAll(links)
		return nil, err
	}
	return links, nil
}

// master is one line of CLUSTER NODES.
type master struct {
	id    string
	addrs []string // by address and by name
}

func (r *Remote) dial(ctx context.Context, m master, in *inbox) (*link, error) {
	nodes := r.client.Nodes()
	for _, addr := range m.addrs {
		if c, found := nodes[addr]; found {
			return r.connect(ctx, addr, c, nil, in)
		}
	}
	if r.own == nil {
		return nil, fmt.Errorf("the client that was given does not know the master at %s", m.addrs[0])
	}
	// A master without slots is known to the cluster alone; slots may move to it at any moment.
	option := *r.own
	option.InitAddress, option.ForceSingleClient = m.addrs[:1], true
	c, err := rueidis.NewClient(option)
	if err != nil {
		return nil, err
	}
	return r.connect(ctx, m.addrs[0], c, c.Close, in)
}

// masters asks the control master for all. An order that its key's slot decides has it asked by way of the client, which
// follows a redirection and so learns of a new master.
func (r *Remote) masters(ctx context.Context) ([]master, error) {
	var text, self string
	_, err := r.once(ctx, clockScript, call{keys: []string{r.keys.meta()}}) // follows MOVED
	if err != nil {
		return nil, err
	}
	for _, c := range r.client.Nodes() {
		answers := c.DoMulti(ctx, c.B().ClusterNodes().Build(), c.B().ClusterKeyslot().Key(r.keys.meta()).Build())
		if text, err = verbatim(answers[0]); err != nil {
			continue
		}
		slot, slotErr := answers[1].AsInt64()
		if err = slotErr; err != nil {
			continue
		}
		var found []master
		if found, self = parseNodes(text, slot); self != "" {
			slices.SortFunc(found, func(a, b master) int { return strings.Compare(a.id, b.id) })
			i := slices.IndexFunc(found, func(m master) bool { return m.id == self })
			control := found[i]
			return append([]master{control}, slices.Delete(found, i, i+1)...), nil
		}
		err = fmt.Errorf("no master holds slot %d", slot)
	}
	if err == nil {
		err = errors.New("the client knows no server")
	}
	return nil, err
}

// parseNodes reads CLUSTER NODES: all masters, and the id of the one that holds slot. One that has no slots (any more) and
// does not answer is no master: it can't be given any.
//
//	id ip:port@cport[,hostname] flags primary ping pong epoch link-state slot-range…
func parseNodes(text string, slot int64) (masters []master, holder string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		flags := strings.Split(f[2], ",")
		if !slices.Contains(flags, "master") || slices.Contains(flags, "fail") || slices.Contains(flags, "fail?") && len(f) == 8 || slices.Contains(flags, "noaddr") || slices.Contains(flags, "handshake") {
			continue
		}
		where, hostname, _ := strings.Cut(f[1], ",")
		addr, _, _ := strings.Cut(where, "@")
		m := master{id: f[0], addrs: []string{addr}}
		if _, port, err := net.SplitHostPort(addr); err == nil && hostname != "" {
			hostname, _, _ = strings.Cut(hostname, ",")
			m.addrs = append(m.addrs, net.JoinHostPort(hostname, port))
		}
		masters = append(masters, m)
		for _, slots := range f[8:] {
			var from, to int64
			if n, _ := fmt.Sscanf(slots, "%d-%d", &from, &to); n == 1 {
				to = from
			}
			if !strings.HasPrefix(slots, "[") && from <= slot && slot <= to {
				holder = m.id
			}
		}
	}
	return masters, holder
}
