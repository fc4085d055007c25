package redis

import (
	"context"
	"time"
)

// Confirm has every node say that it was told.
//
//	this node            Redis                     node that listens
//	   seq+1 ─────────────▶ pulse ──── push ─────────▶ probes all masters at once,
//	   nodes? ────────────▶                            tells its listener, then
//	   … every few ms        nodes[id] = seq ◀──────── says so with the next probe
//
// The sequence number is drawn after the fences were acknowledged, so a probe that brings it back was sent after them, and
// on each master its reply follows their pushes. Whoever does not answer cannot trust its memory when Trust has passed since
// its last probe, which Redis has noted; nor, whatever was noted, when Trust has passed since the number was drawn.
func (r *Remote) Confirm(ctx context.Context) error {
	const pace = 2 * time.Millisecond
	m, err := r.once(ctx, confirmScript, call{keys: []string{r.keys.meta(), r.keys.pulse()}, args: []string{newHistory()}})
	if err != nil {
		return failed("confirm", err)
	}
	trust := time.NewTimer(r.o.Trust)
	defer trust.Stop()
	f, err := fields(m, 2)
	if err != nil {
		return failed("confirm", err)
	}
	var drawn confirmSeq
	if drawn.history, err = f[0].ToString(); err != nil {
		return failed("confirm", err)
	}
	if drawn.n, err = f[1].AsUint64(); err != nil {
		return failed("confirm", err)
	}
	await := call{keys: []string{r.keys.nodes()}, args: append(drawn.args(), millis(r.o.Trust))}
	for {
		waiting, err := r.waiting(ctx, await)
		if ctx.Err() != nil {
			return failed("confirm", context.Cause(ctx))
		}
		if err == nil && waiting == 0 {
			return nil
		}
		select { // an error says nothing; the trust ends all the same
		case <-trust.C:
			return nil
		case <-ctx.Done():
			return failed("confirm", context.Cause(ctx))
		case <-time.After(pace):
		}
	}
}

func (r *Remote) waiting(ctx context.Context, await call) (int64, error) {
	m, err := r.once(ctx, awaitScript, await)
	if err != nil {
		return 0, err
	}
	return m.AsInt64()
}
