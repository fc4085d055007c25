package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// Now is the local clock, put right by the control master's at Open and with each probe: off by half a round trip at most,
// and by how the local clock drifts between two probes.
func (r *Remote) Now() time.Time { return time.Now().Add(time.Duration(r.offset.Load())) }

// readClock asks for the time once.
func (r *Remote) readClock(ctx context.Context) error {
	sent := time.Now()
	m, err := r.once(ctx, clockScript, call{keys: []string{r.keys.meta()}})
	if err != nil {
		return err
	}
	f, err := fields(m, 2)
	if err != nil {
		return err
	}
	return r.setClock(sent, time.Now(), f[0], f[1])
}

// setClock takes what TIME answered. It was read between sent and back, so most likely in the middle.
func (r *Remote) setClock(sent, back time.Time, seconds, micros rueidis.RedisMessage) error {
	s, err := seconds.AsInt64()
	if err != nil {
		return err
	}
	us, err := micros.AsInt64()
	if err != nil {
		return err
	}
	middle := sent.Add(back.Sub(sent) / 2)
	r.offset.Store(int64(time.Unix(s, us*1000).Sub(middle)))
	return nil
}
