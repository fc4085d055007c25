package freshet

import "time"

// Effect is what must follow a write, as plain data. It commits with the write
// (outbox) and becomes a job.
type Effect struct {
	Kind    string    // names the handler: "fanout", "erase"
	Key     string    // orders and shares fairly: jobs of one key run one after the other
	Subject ID        // what it is about; zero: the engine sets the id that the write made
	Args    []byte    // the handler's own, opaque to the engine
	RunAt   time.Time // zero: at once
	Unique  string    // while a job of this name waits, another is not made; while it runs, it runs once more after; empty: always made
}
