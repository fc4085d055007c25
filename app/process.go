package app

import (
	"runtime/metrics"
	"syscall"
	"time"
)

// processMetrics are what the process takes, under the names that Prometheus'
// own clients use.
func processMetrics(one func(name, kind, help string, v any)) {
	one("process_cpu_seconds_total", "counter", "Processor time of the process, user and system.", processorTime().Seconds())
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:objects"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(allocated)
	one("go_memstats_mallocs_total", "counter", "Objects allocated on the heap.", allocated[0].Value.Uint64())
	one("go_memstats_alloc_bytes_total", "counter", "Bytes allocated on the heap.", allocated[1].Value.Uint64())
}

// processorTime is what getrusage(2) counts for this process; 0 if it does not.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
