package record_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/cache/internal/record"
	"github.com/freshet/freshet/position"
)

// reached draws records that transitions lead to.
func reached() *rapid.Generator[record.Record] {
	return rapid.Custom(func(t *rapid.T) record.Record {
		r := record.Record{Epoch: rapid.Uint64().Draw(t, "epoch")}
		id := func() cache.ID { return cache.ID{rapid.ByteRange(1, 3).Draw(t, "id")} }
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			ttl := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "ttl"))
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				r, _ = record.Lease(r, cache.LeaseAsk{Lease: id(), Holder: id(), Over: id(), Renew: cache.Stamp(one), TTL: ttl}, start)
			case 1:
				r, _ = record.Fill(r, cache.Fill{Lease: id(), Value: one, TTL: ttl}, start)
			case 2:
				r, _ = record.Release(r, cache.Held{Lease: id()}, start)
			case 3:
				at := position.Position{System: rapid.Uint64().Draw(t, "system"), Offset: rapid.Uint64().Draw(t, "offset")}
				r = record.Fence(r, cache.Fence{At: at, Lease: id(), Holder: id(), TTL: ttl}, start)
			}
		}
		return r
	})
}

func TestARecordSurvivesItsCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, key := reached().Draw(t, "record"), rapid.SampledFrom([]string{"", "k", "a longer key"}).Draw(t, "key")
		b := record.Append([]byte("before"), r, key)[len("before"):]
		if most := len(r.Value) + len(key) + record.Overhead; len(b) > most {
			t.Fatalf("%d bytes, want at most %d", len(b), most)
		}
		back, ok := record.Parse(b, key)
		if !ok || !cmp.Equal(back, r) {
			t.Fatalf("became %t: %s", ok, cmp.Diff(r, back))
		}
		if _, ok := record.Parse(b, key+"x"); ok {
			t.Fatal("it was read under another key")
		}
		if _, ok := record.Parse(b, ""); ok != (key == "") {
			t.Fatalf("read without its key %q: %t", key, ok)
		}
		cut, at := b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")], rapid.IntRange(0, len(b)-1).Draw(t, "at")
		if _, ok := record.Parse(cut, key); ok {
			t.Fatal("it was read though cut short")
		}
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, ok := record.Parse(b, key); ok {
			t.Fatalf("it was read with byte %d changed", at)
		}
	})
}

func TestForeignBytes(t *testing.T) {
	for _, foreign := range []string{"", "1", "fr", "fr\x01", "a value that somebody else's program keeps under this key", "{\"json\": true}"} {
		if r, ok := record.Parse([]byte(foreign), ""); ok {
			t.Errorf("%q is %+v", foreign, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(nil), "")
	f.Add(record.Append(nil, record.Record{}, ""), "")
	f.Add(record.Append(nil, filled(one), "key"), "key")
	f.Add(record.Append(nil, leased(filled(one), renew(lease(2), one), start), ""), "")
	f.Add(record.Append(nil, record.Fence(filled(one), cache.Fence{At: at(9), Lease: cache.ID{1}, TTL: time.Hour}, start), ""), "")
	f.Fuzz(func(t *testing.T, b []byte, key string) {
		// What the checksum keeps out is let through by mending it, so that the rest is tried as well.
		for _, b := range [][]byte{b, record.Mend(b)} {
			if r, ok := record.Parse(b, key); ok && !bytes.Equal(record.Append(nil, r, key), b) {
				t.Errorf("%x was read as %+v, which has other bytes", b, r)
			}
		}
	})
}
