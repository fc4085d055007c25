//go:build !linux

package testenv

// inMemory is false: elsewhere than on linux no temporary folder is in memory
// unless somebody made it so by hand.
func inMemory(string) bool { return false }
