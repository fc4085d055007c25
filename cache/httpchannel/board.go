package httpchannel

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/freshet/freshet/cache"
)

const (
	maxMembers  = 64
	maxTags     = 1024     // on the board
	maxTagBytes = 32 << 10 // of their names
)

// board is the one record that all nodes share: who may write fences, and the sequence of tag epochs.
type board struct {
	generation cache.ID
	young      bool // nobody may use it yet: nodes may still go by the board that was before
	epoch      uint64
	horizon    uint64 // epochs up to here are no longer known by tag
	members    []member
	tags       []tagged // of the epochs above the horizon, in their order
}

type tagged struct {
	epoch uint64
	tag   string
}

// member is a node that is on the board.
type member struct {
	id  cache.ID
	url string
	// term counts how often the node has come on the board: what was seen of it before says nothing of what it is now.
	term uint32
	// condemned: it may write no fences, and trust nothing, from when it reads this. It is taken off when it must have.
	condemned bool
}

func (b *board) find(id cache.ID) *member {
	for i := range b.members {
		if b.members[i].id == id {
			return &b.members[i]
		}
	}
	return nil
}

// active reports whether a node is on the board and not condemned.
func (b *board) active(id cache.ID) bool {
	m := b.find(id)
	return m != nil && !m.condemned
}

func (b *board) remove(id cache.ID) {
	b.members = slices.DeleteFunc(b.members, func(m member) bool { return m.id == id })
}

// raise makes the epoch at least epoch: tags up to there were fenced that nobody knows by name.
func (b *board) raise(epoch uint64) {
	if b.epoch < epoch {
		b.epoch, b.horizon, b.tags = epoch, epoch, nil
	}
}

// draw gives tags the next epoch. Those that were drawn longest ago give way where there are too many.
func (b *board) draw(tags []string) uint64 {
	b.epoch++
	for _, tag := range tags {
		b.tags = append(b.tags, tagged{b.epoch, tag})
	}
	bytes, keep := 0, 0 // how many stay, from the last on
	for keep < min(len(b.tags), maxTags) {
		if bytes += len(b.tags[len(b.tags)-1-keep].tag); bytes > maxTagBytes {
			break
		}
		keep++
	}
	if drop := len(b.tags) - keep; drop > 0 {
		b.horizon = b.tags[drop-1].epoch
		b.tags = slices.DeleteFunc(b.tags, func(t tagged) bool { return t.epoch <= b.horizon })
	}
	return b.epoch
}

// seal returns the bytes of b: a random stamp, which is what a change is compared by, and what proves that they were written
// under the secret. A URL on the board is sent the secret.
//
//	stamp 16 | version 1 | HMAC-SHA256 of stamp and body 32 | body
func (b *board) seal(key []byte) []byte {
	out := make([]byte, cache.StampSize, 256)
	rand.Read(out)
	out = append(append(out, version), make([]byte, sha256.Size)...)
	out = append(out, b.generation[:]...)
	out = append(out, bit(b.young))
	out = binary.BigEndian.AppendUint64(out, b.epoch)
	out = binary.BigEndian.AppendUint64(out, b.horizon)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b.members)))
	for _, m := range b.members {
		out = append(out, m.id[:]...)
		out = append(binary.BigEndian.AppendUint32(out, m.term), bit(m.condemned))
		out = appendText(out, m.url)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(len(b.tags)))
	for _, t := range b.tags {
		out = appendText(binary.BigEndian.AppendUint64(out, t.epoch), t.tag)
	}
	copy(out[macAt:bodyAt], mac(key, out))
	return out
}

const (
	macAt  = cache.StampSize + 1
	bodyAt = macAt + sha256.Size
)

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// mac is of all but itself.
func mac(key, sealed []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(sealed[:macAt])
	h.Write(sealed[bodyAt:])
	return h.Sum(nil)
}

// openBoard reads what seal wrote.
func openBoard(key, data []byte) (*board, error) {
	if len(data) < cache.StampSize {
		return nil, errMalformed
	}
	if _, err := open(data[cache.StampSize:]); err != nil {
		return nil, err
	}
	if len(data) < bodyAt {
		return nil, errMalformed
	}
	if !hmac.Equal(mac(key, data), data[macAt:bodyAt]) {
		return nil, ErrSecret
	}
	r, b := &reader{rest: data[bodyAt:]}, new(board)
	b.generation = r.id()
	b.young = r.bit()
	b.epoch, b.horizon = r.uint64(), r.uint64()
	for range r.count(25, 2*maxMembers) {
		b.members = append(b.members, member{id: r.id(), term: r.uint32(), condemned: r.bit(), url: r.text(maxURL)})
	}
	for range r.count(12, maxTags) {
		b.tags = append(b.tags, tagged{epoch: r.uint64(), tag: r.text(maxTagBytes)})
	}
	if !r.done() {
		return nil, errMalformed
	}
	return b, nil
}

func (r *reader) bit() bool {
	v := r.byte()
	r.bad = r.bad || v > 1
	return v == 1
}
