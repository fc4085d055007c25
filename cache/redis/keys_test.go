package redis

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// hashed is what of a key decides its slot (Redis Cluster specification, "Hash tags").
func hashed(key string) string {
	_, rest, found := strings.Cut(key, "{")
	if tag, _, closed := strings.Cut(rest, "}"); found && closed && tag != "" {
		return tag
	}
	return key
}

func anyKey() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"{", "}", "{}", "{tags}", "s", "t", "f:", "", "\x00", ":"}),
			rapid.String(),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		), 0, 5).Draw(t, "parts")
		return strings.Join(parts, "")
	})
}

func TestKeysShareASlotAndComeBack(t *testing.T) {
	const space = keyspace("f:")
	rapid.Check(t, func(t *rapid.T) {
		k := anyKey().Draw(t, "key")
		rec, tomb := space.record(k), space.tombstone(k)
		if hashed(rec) != hashed(tomb) || len(hashed(rec)) != 3 {
			t.Errorf("%q and %q lie in slots of %q and %q", rec, tomb, hashed(rec), hashed(tomb))
		}
		if p := space.parse(tomb); !p.valid || p.kind != ofKey || p.key != k {
			t.Errorf("the tombstone of %q is parsed as %+v", k, p)
		}
		if p := space.parse(space.tagged() + k); !p.valid || p.kind != ofTag || p.tag != k {
			t.Errorf("the pulse of tag %q is parsed as %+v", k, p)
		}
		if p := space.parse(rec); p.valid {
			t.Errorf("the record of %q is parsed as %+v", k, p)
		}
	})
	if p := space.parse(space.pulse()); !p.valid || p.kind != ofConfirm {
		t.Errorf("the pulse of Confirm is parsed as %+v", p)
	}
	if p := space.parse(space.advance()); !p.valid || p.kind != ofAdvance {
		t.Errorf("the pulse of Advance is parsed as %+v", p)
	}
	for _, k := range []string{space.meta(), space.log(), space.applied(), space.nodes(), space.pulse(), space.tagged() + "a{b}"} {
		if hashed(k) != "tags" {
			t.Errorf("%q is not on the control master", k)
		}
	}
}

func TestPositionsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := position.Position{System: rapid.Uint64().Draw(t, "system"), Timeline: rapid.Uint32().Draw(t, "timeline"), Offset: rapid.Uint64().Draw(t, "offset")}
		if got := parsePosition(formatPosition(p)); got != p {
			t.Errorf("%v came back as %v", p, got)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("v0123456789abcdef!"))
	f.Add([]byte("l" + strings.Repeat("x", 32)))
	f.Add([]byte("s" + strings.Repeat("x", 48)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r cache.Record
		parseRecord(slices.Clone(raw), &r)
		if r.State == cache.Absent || (r.State == cache.Filled || r.State == cache.Renewing) != (len(r.Value) >= cache.StampSize) {
			t.Errorf("%q was read as %+v", raw, r)
		}
	})
}

func TestClusterNodesAreRead(t *testing.T) {
	const text = `a1 127.0.0.1:1@10001 myself,master - 0 0 1 connected 0-5460 5462
b2 127.0.0.1:2@10002,b.example master - 0 0 2 connected 5461 [5462->-c3]
c3 127.0.0.1:3@10003 slave a1 0 0 1 connected
d4 127.0.0.1:4@10004 master,fail - 0 0 3 disconnected 9000-9001
e5 :0@0 master,noaddr - 0 0 3 disconnected
f6 127.0.0.1:6@10006 master - 0 0 0 connected
`
	masters, holder := parseNodes(text, 5461)
	ids := make([]string, len(masters))
	for i, m := range masters {
		ids[i] = m.id
	}
	if !slices.Equal(ids, []string{"a1", "b2", "f6"}) || holder != "b2" {
		t.Errorf("masters %q, slot 5461 at %q", ids, holder)
	}
	if want := []string{"127.0.0.1:2", "b.example:2"}; !slices.Equal(masters[1].addrs, want) {
		t.Errorf("addresses %q, want %q", masters[1].addrs, want)
	}
	for slot, want := range map[int64]string{0: "a1", 5460: "a1", 5462: "a1", 9000: ""} {
		if _, holder := parseNodes(text, slot); holder != want {
			t.Errorf("slot %d is at %q, want %q", slot, holder, want)
		}
	}
}
