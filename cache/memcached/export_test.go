package memcached

import (
	"bufio"
	"crypto/sha256"
)

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
