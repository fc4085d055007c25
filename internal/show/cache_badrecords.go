package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// recordStore reads and writes what a layer keeps under the record of a key, past the layer.
type recordStore interface {
	read(ctx context.Context, key string) ([]byte, error)
	write(ctx context.Context, key string, data []byte) error
}

// foreignRecord makes bytes of a record and of another key's.
type foreignRecord struct {
	name string
	make func(own, other []byte, rng *rand.Rand) []byte
}

// recordHead is what a record has before the envelope: its kind.
const recordHead = 1

// resealed changes an envelope and has its sum right again.
func resealed(change func(envelope []byte) []byte) func(own, other []byte, rng *rand.Rand) []byte {
	return func(own, _ []byte, _ *rand.Rand) []byte {
		own = slices.Clone(own)
		e := change(own[recordHead : len(own)-4])
		sum := crc32.Checksum(e, crc32.MakeTable(crc32.Castagnoli))
		return binary.BigEndian.AppendUint32(append(own[:recordHead:recordHead], e...), sum)
	}
}

// foreignRecords are the kinds that are written under records; those that are resealed know the layout of cache/envelope.go.
func foreignRecords() []foreignRecord {
	const stamp = 16
	text := func(s string) func(own, other []byte, rng *rand.Rand) []byte {
		return func(_, _ []byte, _ *rand.Rand) []byte { return []byte(s) }
	}
	set := func(at int, b byte) func(own, other []byte, rng *rand.Rand) []byte {
		return resealed(func(e []byte) []byte { e[at] = b; return e })
	}
	return []foreignRecord{
		{"nothing", text("")},
		{"a byte", text("x")},
		{"a kind alone", text("v")},
		{"JSON", text(`{"Key":"other"}`)},
		{"zeros", text(strings.Repeat("\x00", 100))},
		{"random", func(_, _ []byte, rng *rand.Rand) []byte { return randomBytes(rng, 1000) }},
		{"random of the kind", func(_, _ []byte, rng *rand.Rand) []byte { return append([]byte("v"), randomBytes(rng, 1000)...) }},
		{"another key's", func(_, other []byte, _ *rand.Rand) []byte { return other }},
		{"half", func(own, _ []byte, _ *rand.Rand) []byte { return own[:len(own)/2] }},
		{"twice", func(own, _ []byte, _ *rand.Rand) []byte { return append(slices.Clone(own), own...) }},
		{"a bit", func(own, _ []byte, rng *rand.Rand) []byte {
			own = slices.Clone(own)
			own[recordHead+rng.IntN(len(own)-recordHead)] ^= 1 << rng.IntN(8)
			return own
		}},
		{"another magic", set(stamp, 1)},
		{"another format", set(stamp+1, 99)},
		{"flags unknown", set(stamp+2, 0x80)},
		{"said to be compressed", set(stamp+2, 3)},
		{"another schema", set(stamp+3, 9)},
		{"a payload that is none", resealed(func(e []byte) []byte { e[len(e)-1] = '!'; return e })},
		{"cut and resealed", resealed(func(e []byte) []byte { return e[:len(e)-20] })},
		{"a head and resealed", resealed(func(e []byte) []byte { return e[:stamp+5] })},
	}
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// foreign overwrites records that node 0 has filled, and has node 1 read each.
func (w *badWorldOf) foreign(ctx context.Context, rng *rand.Rand) error {
	for i, f := range foreignRecords() {
		key, other := fmt.Sprintf("foreign-%d", i), fmt.Sprintf("foreign-%d-other", i)
		for _, k := range []string{key, other} {
			if wrong := w.reads(ctx, 0, k, badValueOf(k, "")); wrong != "" {
				return errors.New(wrong)
			}
		}
		own, err := w.layer.records.read(ctx, key)
		if err != nil {
			return err
		}
		others, err := w.layer.records.read(ctx, other)
		if err != nil {
			return err
		}
		// The source moves on, so that what is read can only come from it.
		w.fill = func(string) string { return "moved on" }
		if err := w.layer.records.write(ctx, key, f.make(own, others, rng)); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		before := w.nodes[1].statsOf("bad").Undecodable
		w.judge(f.name, w.reads(ctx, 1, key, badValueOf(key, "moved on")))
		if w.layer.counts && w.nodes[1].statsOf("bad").Undecodable == before {
			w.judge(f.name, "not counted as undecodable")
		}
		if !w.nodes[1].uses(ctx) {
			w.judge(f.name, "the node has given the layer up")
			if err := w.nodes[1].joined(ctx); err != nil {
				return err
			}
		}
		w.fill = func(string) string { return "" }
	}
	return nil
}

// redisRecords is a recordStore of Redis.
type redisRecords struct{ client rueidis.Client }

func openRedisRecords(addrs []string, cluster bool) (*redisRecords, error) {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addrs, DisableCache: true, ForceSingleClient: !cluster})
	return &redisRecords{c}, err
}

func (r *redisRecords) close() { r.client.Close() }

// name finds the record of a key that ends like no other.
func (r *redisRecords) name(ctx context.Context, key string) (name string, err error) {
	for _, node := range r.client.Nodes() {
		names, err := node.Do(ctx, node.B().Keys().Pattern("f:v:*|bad:"+key).Build()).AsStrSlice()
		if err != nil {
			return "", err
		}
		if len(names) > 0 {
			return names[0], nil
		}
	}
	return "", fmt.Errorf("no record of %s", key)
}

func (r *redisRecords) read(ctx context.Context, key string) ([]byte, error) {
	name, err := r.name(ctx, key)
	if err != nil {
		return nil, err
	}
	return r.client.Do(ctx, r.client.B().Get().Key(name).Build()).AsBytes()
}

func (r *redisRecords) write(ctx context.Context, key string, data []byte) error {
	name, err := r.name(ctx, key)
	if err != nil {
		return err
	}
	return r.client.Do(ctx, r.client.B().Set().Key(name).Value(rueidis.BinaryString(data)).Build()).Error()
}

// memcachedRecords is a recordStore of memcached, in its old protocol.
type memcachedRecords struct{ addr string }

func (r *memcachedRecords) talk(ctx context.Context, command string, answer func(*bufio.Reader) error) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, command); err != nil {
		return err
	}
	return answer(bufio.NewReader(conn))
}

func (r *memcachedRecords) read(ctx context.Context, key string) (data []byte, err error) {
	err = r.talk(ctx, fmt.Sprintf("get |bad:%s\r\n", key), func(in *bufio.Reader) error {
		var name string
		var flags, n int
		if _, err := fmt.Fscanf(in, "VALUE %s %d %d\r\n", &name, &flags, &n); err != nil {
			return fmt.Errorf("no record of %s: %w", key, err)
		}
		data = make([]byte, n)
		_, err := io.ReadFull(in, data)
		return err
	})
	return data, err
}

func (r *memcachedRecords) write(ctx context.Context, key string, data []byte) error {
	return r.talk(ctx, fmt.Sprintf("set |bad:%s 0 0 %d\r\n%s\r\n", key, len(data), data), func(in *bufio.Reader) error {
		said, err := in.ReadString('\n')
		if err == nil && said != "STORED\r\n" {
			err = fmt.Errorf("memcached says %q", said)
		}
		return err
	})
}
