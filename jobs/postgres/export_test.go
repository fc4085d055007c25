package postgres

import "time"

// SetPace changes how often e polls and beats, and how long a silent process lives.
func (e *Engine) SetPace(poll, beat, silence time.Duration) { e.pace = pace{poll, beat, silence} }
