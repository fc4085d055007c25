package cache

// EntryBytes is the share of the cache in the weight of an entry.
const EntryBytes = entryBytes

// Resolve is resolve, for the table of its tests.
func (p Policy) Resolve(override Policy) Policy { return p.resolve(override, 0) }
