package cache

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/freshet/freshet/position"
	"pgregory.net/rapid"
)

const limit = 1 << 20

func envelopes() *rapid.Generator[envelope] {
	return rapid.Custom(func(t *rapid.T) envelope {
		e := envelope{
			key:        string(rapid.SliceOf(rapid.Byte()).Draw(t, "key")),
			schema:     rapid.Uint64().Draw(t, "schema"),
			found:      rapid.Bool().Draw(t, "found"),
			created:    time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "created")),
			freshUntil: time.UnixMilli(rapid.Int64Range(0, 1<<45).Draw(t, "freshUntil")),
			cost:       time.Duration(rapid.Int64Range(0, 3_600_000_000).Draw(t, "cost")) * time.Microsecond,
			epoch:      rapid.Uint64().Draw(t, "epoch"),
			payload:    bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "payload"), rapid.IntRange(1, 100).Draw(t, "times")),
		}
		for range rapid.IntRange(0, 3).Draw(t, "positions") {
			e.low = append(e.low, position.Position{System: rapid.Uint64().Draw(t, "system"), Timeline: rapid.Uint32().Draw(t, "timeline"), Offset: rapid.Uint64().Draw(t, "offset")})
		}
		var tags []string
		for range rapid.IntRange(0, 3).Draw(t, "tags") {
			tags = append(tags, rapid.String().Draw(t, "tag"))
		}
		e.tags = tagNamesOf(tags)
		return e
	})
}

func TestEnvelopeSurvivesItsCodec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := envelopes().Draw(t, "envelope")
		data := e.append(nil)
		got, err := parseEnvelope(data, e.key, limit)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.payload, e.payload) {
			t.Fatalf("payload %x became %x", e.payload, got.payload)
		}
		got.payload, e.payload = nil, nil
		if !reflect.DeepEqual(got, e) {
			t.Fatalf("%+v became %+v", e, got)
		}
		if len(data) > envelopeOverhead+len(e.key)+100*1024 {
			t.Fatalf("%d bytes", len(data))
		}
	})
}

// An envelope under another key is another's value: a layer that hashes keys, or mixes up replies, must not hand it out.
func TestEnvelopeOfAnotherKeyIsNone(t *testing.T) {
	e := envelope{key: "g|user:1", found: true, payload: []byte("ann")}
	if _, err := parseEnvelope(e.append(nil), "g|user:2", limit); err == nil {
		t.Error("the envelope of user 1 was taken for user 2's")
	}
}

func TestEnvelopeWithOneBitChangedIsNone(t *testing.T) {
	e := envelope{key: "k", found: true, low: position.Token{{System: 1, Timeline: 1, Offset: 1}}, tags: tagNamesOf([]string{"t"}), payload: []byte(strings.Repeat("value ", 300))}
	data := e.append(nil)
	for i := range data {
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << bit
			if _, err := parseEnvelope(changed, "k", limit); err == nil {
				t.Fatalf("bit %d of byte %d made no difference", bit, i)
			}
		}
	}
	for n := range data {
		if _, err := parseEnvelope(data[:n], "k", limit); err == nil {
			t.Fatalf("the first %d bytes are an envelope", n)
		}
	}
}

func TestEnvelopeIsUnpackedWithinItsLimit(t *testing.T) {
	e := envelope{key: "k", found: true, payload: make([]byte, 100_000)}
	data := e.append(nil)
	if len(data) > 10_000 {
		t.Errorf("100,000 zeros take %d bytes", len(data))
	}
	if _, err := parseEnvelope(data, "k", 99_999); err == nil {
		t.Error("a bomb was unpacked")
	}
}

func TestStampsDiffer(t *testing.T) {
	e := envelope{key: "k"}
	if a, b := e.append(nil), e.append(nil); bytes.Equal(a[:StampSize], b[:StampSize]) {
		t.Error("two envelopes have one stamp")
	}
}

func FuzzEnvelope(f *testing.F) {
	e := envelope{key: "k", found: true, tags: tagNamesOf([]string{"a"}), payload: []byte("value")}
	f.Add(e.append(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEnvelope(data, "k", limit)
		if err == nil && (e.key != "k" || len(e.payload) > limit) {
			t.Errorf("%x is an envelope of %q with %d bytes", data, e.key, len(e.payload))
		}
	})
}
