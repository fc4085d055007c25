package shard

// RememberDiffering has a check remember no more than so many rows that differ.
func (s *Store) RememberDiffering(most int) { s.differMost = most }
