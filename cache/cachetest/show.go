package cachetest

import (
	"fmt"

	"github.com/freshet/freshet/cache"
)

var stateNames = map[cache.State]string{cache.Absent: "Absent", cache.Leased: "Leased", cache.Filled: "Filled", cache.Renewing: "Renewing"}

// show writes a record so that two that differ can be told apart, and one of a megabyte can be read.
func show(r cache.Record) string {
	value := r.Value
	if len(value) > 40 {
		value = value[:40]
	}
	return fmt.Sprintf("%s{%d bytes %q, lease %x, holder %x}", stateNames[r.State], len(r.Value), value, r.Lease[:4], r.Holder[:4])
}
