package redis

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/freshet/freshet"
)

// A ring says from which id on it has everything that came, in whatever order within the disorder that came.
func TestARingKnowsWhatItHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const disorder = 5
		length := rapid.IntRange(1, 40).Draw(t, "length")
		pulled := rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(1, 60), func(i int) freshet.ID { return freshet.ID(i) }), 0, length, rapid.ID).Draw(t, "pulled")
		slices.Sort(pulled)
		r := ring{token: 7}
		if len(pulled) == length {
			r.floor = pulled[0]
		}
		there, came := slices.Clone(pulled), len(pulled)
		r.fill(pulled, nil, length)
		s := newStripe(0, 1)
		s.newest = slices.Max(append(slices.Clone(pulled), 0))
		m := &member{length: length, head: len(r.ids), places: r.places}
		r.ids = append(r.ids, make([]freshet.ID, r.places-len(r.ids))...)
		for range rapid.IntRange(0, 120).Draw(t, "arrivals") {
			id := max(1, s.newest+freshet.ID(rapid.IntRange(-disorder, 3).Draw(t, "step")))
			if s.late(id, disorder) {
				t.Fatal("late")
			}
			s.newest = max(s.newest, id)
			at, full := m.next()
			if full {
				r.places = placesFor(r.places+1, length)
				m.places = r.places
				r.ids = append(r.ids, make([]freshet.ID, r.places-len(r.ids))...)
				at, _ = m.next()
			}
			r.ids[at] = id
			there = append(there, id)
			came++
		}
		back, ok := parseRing(string(r.encode()))
		if !ok || back.token != 7 || back.places != r.places {
			t.Fatalf("%+v becomes %+v", r, back)
		}
		got, floor := back.posts(disorder)
		slices.SortFunc(there, func(a, b freshet.ID) int { return int(b - a) })
		there = slices.Compact(there)
		covered := func(ids []freshet.ID) (out []freshet.ID) {
			for _, id := range ids {
				if id >= floor {
					out = append(out, id)
				}
			}
			return out
		}
		if !slices.Equal(covered(got), covered(there)) {
			t.Fatalf("from %d on there is %v, and the ring says %v", floor, covered(there), covered(got))
		}
		if came < r.places && len(pulled) < length && floor != 0 {
			t.Fatalf("a ring that has everything says that it is complete from %d on", floor)
		}
	})
}

// Whatever a late delivery makes of a ring that is gone is none.
func TestARemnantIsNoRing(t *testing.T) {
	r := ring{token: 1, places: 16, merged: []freshet.ID{3}}
	whole := string(r.encode())
	if _, ok := parseRing(whole); !ok || len(whole) != r.size() {
		t.Fatal("a ring is none")
	}
	for i := range 16 {
		remnant := make([]byte, offset(i)+8)
		remnant[offset(i)] = 1
		if _, ok := parseRing(string(remnant)); ok || len(remnant) == r.size() {
			t.Errorf("place %d of nothing is a ring", i)
		}
	}
	for cut := range whole {
		if _, ok := parseRing(whole[:cut]); ok {
			t.Errorf("%d bytes of a ring are one", cut)
		}
	}
}

func FuzzParseRing(f *testing.F) {
	r := ring{token: 1, places: 16, ids: []freshet.ID{5, 9}, merged: []freshet.ID{3}}
	f.Add(string(r.encode()))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := parseRing(text)
		if !ok {
			return
		}
		if len(r.ids) != r.places || r.size() != len(text) {
			t.Errorf("%+v of %d bytes", r, len(text))
		}
		r.posts(10)
	})
}
