package freshet

import (
	"strconv"
	"time"
)

// ID names a user, a post, a comment and everything else that is drawn by a
// shard. It sorts by time and fits a signed 64-bit column:
//
//	 62        22 21     12 11      0
//	┌────────────┬─────────┬─────────┐
//	│ ms, 41 bit │ bucket  │ sequence│
//	└────────────┴─────────┴─────────┘
//
// Milliseconds count from 2000-01-01 UTC, so imported history fits and ids last
// until 2069. The zero ID names nothing.
type ID int64

const (
	// Buckets is how many parts the data falls into; a bucket never splits.
	Buckets = 1024
	// Sequences is how many ids one bucket can draw in one millisecond.
	Sequences = 4096

	bucketShift = 12
	timeShift   = 22
	maxMillis   = 1<<41 - 1
)

// Epoch is the instant that ids count from.
var Epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// NewID packs an id. It wants millis in [0, 2^41), bucket in [0, Buckets) and
// sequence in [0, Sequences); surplus bits are cut.
func NewID(millis int64, bucket, sequence int) ID {
	return ID(millis&maxMillis<<timeShift | int64(bucket&(Buckets-1))<<bucketShift | int64(sequence&(Sequences-1)))
}

// Millis converts an instant to the milliseconds that ids count; what lies
// before the epoch is negative.
func Millis(t time.Time) int64 { return t.Sub(Epoch).Milliseconds() }

// ParseID reads the decimal form. Anything but a positive decimal number is an
// error; leading zeros and signs are not accepted, so that an id has one form.
func ParseID(s string) (ID, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || s[0] == '0' || s[0] == '+' {
		return 0, Invalid("id", "is not a positive decimal number")
	}
	return ID(n), nil
}

// Millis is the id's time in milliseconds since [Epoch].
func (id ID) Millis() int64 { return int64(id) >> timeShift }

// Time is the id's time, to the millisecond.
func (id ID) Time() time.Time { return Epoch.Add(time.Duration(id.Millis()) * time.Millisecond) }

// Bucket is the part of the data that id belongs to.
func (id ID) Bucket() int { return int(id>>bucketShift) & (Buckets - 1) }

// Sequence tells ids of one bucket and millisecond apart.
func (id ID) Sequence() int { return int(id) & (Sequences - 1) }

// String is the decimal form that the API speaks.
func (id ID) String() string { return strconv.FormatInt(int64(id), 10) }

// MarshalText writes the decimal form: JSON numbers lose digits above 2^53.
func (id ID) MarshalText() ([]byte, error) { return strconv.AppendInt(nil, int64(id), 10), nil }

// UnmarshalText reads what MarshalText wrote, the zero ID too.
func (id *ID) UnmarshalText(b []byte) (err error) {
	if string(b) == "0" {
		*id = 0
		return nil
	}
	*id, err = ParseID(string(b))
	return err
}
