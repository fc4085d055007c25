package pgdb

import "time"

// NeedVersion has a later server needed, until the function is called that it gives.
func NeedVersion(version int) (undo func()) {
	old := minVersion
	minVersion = version
	return func() { minVersion = old }
}

// SettleWithin has primaries be waited for as long in a test.
func SettleWithin(t interface{ Cleanup(func()) }, d time.Duration) {
	old := settleWithin
	settleWithin = d
	t.Cleanup(func() { settleWithin = old })
}
