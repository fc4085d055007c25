package postgres

import "context"

// Faults is one round of Verify: how much is wrong, and what mends that.
func (d *DB) Faults(ctx context.Context) (n int, mend func() error, err error) {
	_, faults, err := d.check(ctx, 0)
	return len(faults), func() error { return d.mend(ctx, faults) }, err
}

// UserReaders is how many reads of users are under way, whoever waits for them.
func (d *DB) UserReaders() int {
	d.users.mu.Lock()
	defer d.users.mu.Unlock()
	return d.users.readers
}

// SetGuardWaits sets how long guards wait, in milliseconds, and gives the way back.
func SetGuardWaits(waits ...int) (restore func()) {
	old := guardWaits
	guardWaits = waits
	return func() { guardWaits = old }
}

// Likers is how many likes wait for those that are being written.
func (d *DB) Likers() int {
	d.likes.mu.Lock()
	defer d.likes.mu.Unlock()
	return len(d.likes.waiting)
}
