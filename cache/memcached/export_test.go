package memcached

import (
	"bufio"
	"crypto/sha256"
	"time"
)

// Clock is a server's.
type Clock struct{ clock }

func (c *Clock) Observe(second uint64, before, after time.Time) { c.observe(second, before, after) }

func (c *Clock) Seconds() float64 {
	now, _ := c.now()
	return float64(now.UnixMilli()) / 1000
}

// PretendRestart has every connection believe in another life of its server.
func (r *Remote) PretendRestart(epoch uint64) {
	for _, s := range r.servers {
		for i := range s.links {
			s.links[i].Load().epoch = epoch
		}
	}
}

// CollideKeys gives all keys the same hash.
func (r *Remote) CollideKeys() {
	r.keys.hash = func(string) (sum [sha256.Size]byte) { return sum }
}

// ReadReply reads an answer of at most 1,024 bytes and returns its value.
func ReadReply(r *bufio.Reader) (value []byte, opaque uint64, err error) {
	rep, err := readReply(r, 1024)
	return rep.value, rep.opaque, err
}
