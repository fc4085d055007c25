package cachetest

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/position"
)

// model is one key as remote.go describes it, without the ends by time.
type model struct {
	rec  cache.Record
	tomb position.Position
}

func (m *model) lease(a cache.LeaseAsk) cache.LeaseAnswer {
	absent := m.rec.State == cache.Absent
	renew := m.rec.State == cache.Filled && a.Renew != cache.Stamp{} && stampOf(m.rec.Value) == a.Renew
	over := m.rec.Lease != cache.ID{} && m.rec.Lease == a.Over
	if granted := absent || renew || over; granted {
		m.rec.Lease, m.rec.Holder = a.Lease, a.Holder
		m.rec.State = cache.Leased
		if m.rec.Value != nil {
			m.rec.State = cache.Renewing
		}
		return cache.LeaseAnswer{Granted: true, Record: m.rec, Fence: m.tomb}
	}
	return cache.LeaseAnswer{Record: m.rec, Fence: m.tomb}
}

func (m *model) fill(f cache.Fill) bool {
	if m.rec.Lease == (cache.ID{}) || m.rec.Lease != f.Lease {
		return false
	}
	m.rec = cache.Record{State: cache.Filled, Value: f.Value}
	return true
}

func (m *model) release(h cache.Held) {
	switch {
	case m.rec.Lease == cache.ID{} || m.rec.Lease != h.Lease:
	case m.rec.State == cache.Renewing:
		m.rec = cache.Record{State: cache.Filled, Value: m.rec.Value}
	default:
		m.rec = cache.Record{}
	}
}

func (m *model) fence(f cache.Fence) {
	m.rec = cache.Record{}
	order, comparable := m.tomb.Compare(f.At)
	switch {
	case f.At.IsZero(): // keeps what is known
	case comparable && order > 0:
		return // a later writer is about to fill
	default:
		m.tomb = f.At
	}
	if f.Lease != (cache.ID{}) {
		m.rec = cache.Record{State: cache.Leased, Lease: f.Lease, Holder: f.Holder}
	}
}

// streamOfOperations compares a few keys with their models over random batches.
func streamOfOperations(b *bench) {
	stream := 0
	rapid.Check(b.T, func(t *rapid.T) {
		stream++
		keys, models := make([]string, 3), make([]*model, 3)
		for i := range keys {
			keys[i], models[i] = b.key(fmt.Sprintf("%d/%d", stream, i)), &model{}
		}
		leases := []cache.ID{{}, newLease(), newLease(), newLease()}
		values := [][]byte{newValue("a"), newValue("b"), newValue("")}
		draw := func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(t, label) }
		someLease := func(label string) cache.ID { return leases[draw(label, len(leases))] }
		realLease := func(label string) cache.ID { return leases[1+draw(label, len(leases)-1)] }

		for range rapid.IntRange(1, 12).Draw(t, "ops") {
			op := rapid.SampledFrom([]string{"lease", "lease", "fill", "fill", "release", "fence"}).Draw(t, "op")
			picked := rapid.SliceOfNDistinct(rapid.IntRange(0, len(keys)-1), 1, len(keys), rapid.ID[int]).Draw(t, "keys")
			var err error
			switch op {
			case "lease":
				asks, out := make([]cache.LeaseAsk, len(picked)), make([]cache.LeaseAnswer, len(picked))
				for i, k := range picked {
					asks[i] = cache.LeaseAsk{Key: keys[k], Lease: realLease("lease"), Holder: realLease("holder"), Over: someLease("over"), TTL: long}
					if draw("renew", 2) == 1 {
						asks[i].Renew = stampOf(values[draw("stamp", len(values))])
					}
				}
				err = b.r.Lease(b.ctx(), asks, out)
				for i, k := range picked {
					want := models[k].lease(asks[i])
					if out[i].Granted != want.Granted || out[i].Fence != want.Fence {
						t.Errorf("lease answered %v, %v; want %v, %v", out[i].Granted, out[i].Fence, want.Granted, want.Fence)
					}
					same(t, out[i].Record, want.Record)
				}
			case "fill":
				fills, out := make([]cache.Fill, len(picked)), make([]bool, len(picked))
				for i, k := range picked {
					fills[i] = cache.Fill{Key: keys[k], Lease: realLease("lease"), Value: values[draw("value", len(values))], TTL: long}
				}
				err = b.r.Fill(b.ctx(), fills, out)
				for i, k := range picked {
					if want := models[k].fill(fills[i]); out[i] != want {
						t.Errorf("fill answered %v, want %v", out[i], want)
					}
				}
			case "release":
				held := make([]cache.Held, len(picked))
				for i, k := range picked {
					held[i] = cache.Held{Key: keys[k], Lease: realLease("lease")}
					models[k].release(held[i])
				}
				err = b.r.Release(b.ctx(), held)
			case "fence":
				fences := make([]cache.Fence, len(picked))
				for i, k := range picked {
					fences[i] = cache.Fence{Key: keys[k], Lease: someLease("lease"), Holder: realLease("holder"), TTL: long}
					if draw("known", 4) > 0 {
						fences[i].At = at(uint64(1+draw("system", 2)), uint32(draw("timeline", 2)), uint64(draw("offset", 4)))
					}
					models[k].fence(fences[i])
				}
				err = b.r.Fence(b.ctx(), fences)
			}
			if err != nil {
				t.Fatalf("%s: %v", op, err)
			}
			out := make([]cache.Record, len(keys))
			if err := b.r.Get(b.ctx(), keys, out); err != nil {
				t.Fatal(err)
			}
			for i := range keys {
				same(t, out[i], models[i].rec)
			}
		}
	})
}
