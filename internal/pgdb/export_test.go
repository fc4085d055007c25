package pgdb

// NeedVersion has a later server needed, until the function is called that it gives.
func NeedVersion(version int) (undo func()) {
	old := minVersion
	minVersion = version
	return func() { minVersion = old }
}
