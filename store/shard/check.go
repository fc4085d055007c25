package shard

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/freshet/freshet/store"
)

const (
	// checkPage is how many rows are compared at once.
	checkPage = 1000
	// differMost bounds how many rows that differ are remembered: then is looked which of them the target has noted.
	differMost = 1_000_000
)

// errDiffer ends a comparison that has found enough.
var errDiffer = errors.New("too many rows differ")

// check compares every row of the source, which stands still, with the target's. A row that differs must be one that the target has
// noted, because it was written there since.
func (d *driver) check(ctx context.Context) error {
	d.m.Checked, d.m.Wrong = 0, 0
	differ := make(map[string]struct{})
	for _, t := range store.Tables() {
		if t == store.JournalsTable { // home's are merged into what the target has of its own
			continue
		}
		d.m.Table = t.String()
		if err := d.compare(ctx, t, differ); errors.Is(err, errDiffer) {
			break
		} else if err != nil {
			return fmt.Errorf("compare %s: %w", t, err)
		}
	}
	d.m.Table = ""
	if err := d.excuse(ctx, differ); err != nil {
		return err
	}
	d.m.Wrong = int64(len(differ))
	for name := range differ {
		d.s.options.Log.ErrorContext(ctx, "a row that was moved differs", "row", name, "rows", d.m.Wrong)
		break
	}
	return nil
}

// excuse takes out the rows that the target has noted. A row is noted before it can be read, and notes stay until the check is over.
func (d *driver) excuse(ctx context.Context, differ map[string]struct{}) error {
	for after := int64(0); len(differ) > 0; {
		noted, err := d.to().Noted(ctx, after, drainPage)
		if err != nil {
			return err
		}
		for _, c := range noted.Changes {
			for _, row := range c.Gone {
				delete(differ, nameOf(c.Table, row))
			}
			for _, row := range c.Rows {
				delete(differ, nameOf(c.Table, row))
			}
		}
		if len(noted.Notes) < drainPage {
			break
		}
		after = noted.Notes[len(noted.Notes)-1]
		if err := d.alive(ctx); err != nil {
			return err
		}
	}
	return nil
}

// nameOf names a row in a map.
func nameOf(t store.Table, row store.Row) string { return fmt.Sprint(t, row[:t.KeyLen()]) }

// compare walks a table on both parts in the order of its keys, and notes the rows that differ.
func (d *driver) compare(ctx context.Context, t store.Table, differ map[string]struct{}) error {
	here, there := &walk{part: d.from(), table: t}, &walk{part: d.to(), table: t}
	for {
		a, err := here.next(ctx)
		if err != nil {
			return err
		}
		b, err := there.next(ctx)
		if err != nil {
			return err
		}
		switch order := compareKeys(a, b, t.KeyLen()); {
		case a == nil && b == nil:
			return nil
		case b == nil || a != nil && order < 0:
			differ[nameOf(t, a)] = struct{}{}
			there.again = b
		case a == nil || order > 0:
			differ[nameOf(t, b)] = struct{}{}
			here.again = a
		case !reflect.DeepEqual(a, b):
			differ[nameOf(t, a)] = struct{}{}
		}
		d.m.Checked++
		if len(differ) >= d.s.differMost {
			if err := d.excuse(ctx, differ); err != nil {
				return err
			}
			if len(differ) > d.s.differMost/2 { // they are wrong, and the rest may be
				return errDiffer
			}
		}
		if d.m.Checked%checkPage == 0 {
			if err := d.alive(ctx); err != nil {
				return err
			}
		}
	}
}

// walk reads a table of a part row by row.
type walk struct {
	part  store.BucketMover
	table store.Table
	page  []store.Row
	at    int
	last  store.Row // of the page before
	ended bool
	again store.Row // is to come once more; nil: none
}

// next gives the next row, nil after the last.
func (w *walk) next(ctx context.Context) (row store.Row, err error) {
	if row, w.again = w.again, nil; row != nil {
		return row, nil
	}
	if w.at == len(w.page) {
		if w.ended {
			return nil, nil
		}
		page, err := w.part.Rows(ctx, w.table, w.last, checkPage)
		if err != nil {
			return nil, err
		}
		w.page, w.at, w.ended = page, 0, len(page) < checkPage
		if len(page) == 0 {
			return nil, nil
		}
		w.last = page[len(page)-1][:w.table.KeyLen()]
	}
	w.at++
	return w.page[w.at-1], nil
}

// compareKeys orders two rows; both nil is equal.
func compareKeys(a, b store.Row, key int) int {
	if a == nil || b == nil {
		return 0
	}
	for i := range key {
		c := 0
		switch v := a[i].(type) {
		case int64:
			c = cmp.Compare(v, b[i].(int64))
		case string:
			c = cmp.Compare(v, b[i].(string))
		case []byte:
			c = bytes.Compare(v, b[i].([]byte))
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
