package load

import (
	"fmt"
	"math"
)

// Mix is how active users are.
type Mix struct {
	Name        string
	PostsPerDay float64 // of a user, on average
	ReadsPerDay float64 // pages of a reader who is not dormant, on average
	Dormant     float64 // share of users who read nothing, from 0 to less than 1

	// Hours is how active users are in each hour of the day (UTC); only the
	// proportions count. All zero: the curve of Evening.
	Hours [24]float64
}

// ReadHeavy is a network of readers: 16 pages are read for each post.
func ReadHeavy() Mix { return Mix{Name: "read-heavy", PostsPerDay: 1, ReadsPerDay: 40, Dormant: 0.6} }

// Balanced is what networks in the middle of their life look like: most accounts
// are dormant, the others come four times a day, everybody posts once.
func Balanced() Mix { return Mix{Name: "balanced", PostsPerDay: 1, ReadsPerDay: 4, Dormant: 0.6} }

// WriteHeavy is a network of machines and cross-posters: six posts for each page
// that is read.
func WriteHeavy() Mix {
	return Mix{Name: "write-heavy", PostsPerDay: 10, ReadsPerDay: 4, Dormant: 0.6}
}

// Mixes are the three that have a name.
func Mixes() []Mix { return []Mix{ReadHeavy(), Balanced(), WriteHeavy()} }

// Evening is the usual shape of a day where all live in one time zone: least at
// four, most at nine in the evening, six times as much. It is a sketch, not a
// measurement.
func Evening() [24]float64 {
	return [24]float64{
		0.80, 0.55, 0.40, 0.32, 0.28, 0.33, 0.50, 0.75, 0.95, 1.05, 1.10, 1.15,
		1.25, 1.25, 1.15, 1.12, 1.15, 1.22, 1.32, 1.45, 1.60, 1.65, 1.45, 1.15,
	}
}

// Flat is a day without hours.
func Flat() (hours [24]float64) {
	for i := range hours {
		hours[i] = 1
	}
	return hours
}

func (m Mix) check() error {
	for _, rate := range []float64{m.PostsPerDay, m.ReadsPerDay} {
		if !(rate > 0 && rate <= 1e6) {
			return fmt.Errorf("mix %q: %v a day; want more than 0, at most a million", m.Name, rate)
		}
	}
	if !(m.Dormant >= 0 && m.Dormant < 1) {
		return fmt.Errorf("mix %q: a share of %v is dormant; want 0 to less than 1", m.Name, m.Dormant)
	}
	for _, h := range m.Hours {
		if !(h >= 0) || math.IsInf(h, 1) {
			return fmt.Errorf("mix %q: an hour has activity %v", m.Name, h)
		}
	}
	return nil
}

// hours are the proportions of a day's hours, with mean 1.
func (m Mix) hours() [24]float64 {
	h := m.Hours
	if h == ([24]float64{}) {
		h = Evening()
	}
	sum := 0.0
	for _, v := range h {
		sum += v
	}
	for i := range h {
		h[i] *= 24 / sum
	}
	return h
}
