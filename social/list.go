package social

import "github.com/freshet/freshet"

const (
	scanAtOnce = 50 // rows read at a time at least, as most of them may be hidden
	scanLimit  = 10 // rows scanned for an item asked for; then a shorter page ends
)

// collect reads a keyset list from a key on until limit items are there and one
// more is known to follow, or until the list ends. show turns rows into items,
// one for each, nil where it may not be seen. next is the key to go on from, 0
// at the end: a page is full unless it is the last, or too much of it is hidden.
func collect[R, V any](from freshet.ID, limit int,
	list func(from freshet.ID, n int) ([]R, error), key func(R) freshet.ID, show func([]R) ([]*V, error),
) (items []*V, next freshet.ID, err error) {
	for scanned := 0; ; {
		want := max(limit-len(items)+1, scanAtOnce)
		rows, err := list(from, want)
		if err != nil {
			return nil, 0, err
		}
		shown, err := show(rows)
		if err != nil {
			return nil, 0, err
		}
		for i, v := range shown {
			if v == nil {
				continue
			}
			if len(items) == limit {
				return items, next, nil
			}
			items, next = append(items, v), key(rows[i])
		}
		if len(rows) < want {
			return items, 0, nil
		}
		from = key(rows[len(rows)-1])
		if scanned += len(rows); scanned >= scanLimit*max(limit, scanAtOnce) {
			return items, from, nil
		}
	}
}
