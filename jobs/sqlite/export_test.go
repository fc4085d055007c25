package sqlite

// SetMemory changes how many bytes of waiting jobs e holds.
func (e *Engine) SetMemory(n int) { e.memory = n }

// Held tells what e holds: bytes of tasks, lanes, claims, cancelled ids.
func (e *Engine) Held() (bytes, lanes, claims, gone int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held, len(e.lanes.byKey), len(e.claims), len(e.gone)
}
