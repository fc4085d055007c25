package freshet

import "time"

// PostStats says how a post fares.
type PostStats struct {
	Post     ID
	Views    int64
	Reach    int64 // different signed-in readers among the viewers
	Likes    int64
	Comments int64
	Hours    []HourStats // rising, one behind the other
}

// HourStats is one hour of a [PostStats]. Likes and comments are those of the
// hour that still stand.
type HourStats struct {
	Hour     Hour
	Views    int64
	Likes    int64
	Comments int64
}

// Hour is an hour of UTC, counted from [Epoch].
type Hour int64

const hourMillis = int64(time.Hour / time.Millisecond)

// HourOf is the hour that an instant lies in.
func HourOf(t time.Time) Hour {
	m := Millis(t)
	if m < 0 { // rounded down, not towards the epoch
		m -= hourMillis - 1
	}
	return Hour(m / hourMillis)
}

// Hour is the hour of the id's time.
func (id ID) Hour() Hour { return Hour(id.Millis() / hourMillis) }

// Start is the first instant of an hour.
func (h Hour) Start() time.Time { return Epoch.Add(time.Duration(h) * time.Hour) }

// FirstID is the lowest id that an hour can have.
func (h Hour) FirstID() ID { return NewID(int64(h)*hourMillis, 0, 0) }
