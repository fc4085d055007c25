package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/social"
)

// viewsFolder holds the journal of views, in the data folder.
const viewsFolder = "views"

// openViews begins to count views. A journal that does not belong to the
// database, because one of the two was put back from a backup, or that is
// damaged, is put aside and a new one begun: the database has all but the views
// of the last seconds, and no node stays down for those.
func (n *Node) openViews(ctx context.Context) (err error) {
	dir := filepath.Join(n.cfg.Data, viewsFolder)
	o := social.ViewsOptions{
		Store: n.store, Dir: dir, Now: n.opts.Now,
		Lost: func(views int, err error) { n.log.Warn("views were not counted", "views", views, "error", err) },
	}
	n.views, err = social.OpenViews(ctx, o)
	if !unfit(err) {
		return err
	}
	aside := dir + ".unfit-" + n.opts.Now().UTC().Format("20060102T150405.000Z")
	if err := os.Rename(dir, aside); err != nil {
		return fmt.Errorf("put the journal of views aside: %w", err)
	}
	n.log.Error("the journal of views does not fit the data; it was put aside and a new one begun", "kept", aside, "error", err)
	n.views, err = social.OpenViews(ctx, o)
	return err
}

// unfit reports whether another journal would do what this one can't.
func unfit(err error) bool {
	_, damaged := errors.AsType[*cache.JournalDamageError](err)
	return damaged || errors.Is(err, cache.ErrSourceBehind) || errors.Is(err, cache.ErrJournalBehind)
}

// settleFor is how long a backup waits for the views of answers before it.
const settleFor = 5 * time.Second

// backup copies the data, with what was seen until now as far as that can be
// counted in a moment.
func (n *Node) backup(ctx context.Context, file string) error {
	backups, err := n.backups()
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, settleFor)
	defer cancel()
	if err := n.views.Settle(wait); err != nil {
		n.log.Warn("a backup may lack the views of the last seconds", "error", err)
	}
	return backups.Backup(ctx, file)
}

// purgeViewHours removes the hours of views that are not shown any more.
func (n *Node) purgeViewHours(ctx context.Context) (int, error) {
	return n.store.PurgeViewHours(ctx, freshet.HourOf(n.opts.Now().Add(-n.cfg.Retention.ViewHours)))
}
