package redis

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/freshet/freshet/cache"
)

// round is what one probe of all masters brought back.
type round struct {
	sent time.Time
	beat cache.Beat
	seq  confirmSeq // the last Confirm that the control master knew of
	err  error
}

// asked is what a probe tells Redis of this node.
type asked struct {
	node  string
	told  confirmSeq // the last round that its listener was told
	epoch uint64     // the highest it knows
}

// probe asks the control master what there is to know, and then all masters to prove that what they had pushed by then is
// delivered:
//
//	control   ──script──▶ epoch, horizon, applied, seq
//	all       ──ROLE────▶ in a later turn of each server's loop: after every push of what the script saw
//
// So Alive may say of the script's answer that it has been told, and that of everything that was written before the script
// was sent.
func (r *Remote) probe(ctx context.Context, links []*link, a asked) (p round) {
	p.sent = time.Now()
	if p.err = r.ask(ctx, links[0], a, &p); p.err != nil {
		p.err = fmt.Errorf("%s: %w", links[0].addr, p.err)
		return p
	}
	errs := make([]error, len(links))
	var all sync.WaitGroup
	for i, l := range links {
		all.Go(func() { errs[i] = l.proof(ctx) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			p.err = fmt.Errorf("%s: %w", links[i].addr, err)
		}
	}
	p.beat.Generation = generation(links, p.seq.history)
	return p
}

func (r *Remote) ask(ctx context.Context, control *link, a asked, p *round) error {
	m, err := control.script(ctx, probeScript, call{
		keys: []string{r.keys.meta(), r.keys.nodes(), r.keys.applied()},
		args: append(append([]string{a.node}, a.told.args()...), strconv.FormatUint(a.epoch, 10), newHistory()),
	})
	if err != nil {
		return err
	}
	back := time.Now()
	f, err := fields(m, 7)
	if err != nil {
		return err
	}
	if p.seq.history, err = f[0].ToString(); err != nil {
		return err
	}
	for i, to := range []*uint64{&p.beat.Epoch, &p.beat.Horizon, &p.seq.n} {
		if *to, err = f[1+i].AsUint64(); err != nil {
			return err
		}
	}
	if err := r.setClock(p.sent, back, f[4], f[5]); err != nil {
		return err
	}
	p.beat.Applied, err = parseApplied(&f[6])
	return err
}

// generation names a history: the processes of the masters, and the id in the keyspace. A restart and a failover change a
// process; a flush, and a counter that went back, change the id.
func generation(links []*link, history string) string {
	runs := make([]string, len(links))
	for i, l := range links {
		runs[i] = l.run
	}
	slices.Sort(runs)
	sum := sha256.Sum256(fmt.Append(nil, runs, history))
	return hex.EncodeToString(sum[:16])
}
