package config

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// Nearest returns the known name that a mistyped one most likely meant, "" where none is near: at most two letters
// differ, or a fifth of them in a long name.
func Nearest(name string, known []string) string {
	best, least := "", max(2, len(name)/5)+1
	for _, candidate := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(candidate)); d < least && d < len(candidate) {
			best, least = candidate, d
		}
	}
	return best
}

// onlyEndingIn returns the one known name whose last parts are these, "" where there is none or more than one:
// who writes timeline_length without its group means feed.timeline_length.
func onlyEndingIn(parts string, known []string, separator string) string {
	found := ""
	for _, candidate := range known {
		if !strings.HasSuffix(candidate, separator+parts) {
			continue
		}
		if found != "" {
			return ""
		}
		found = candidate
	}
	return found
}

// didYouMean is the hint of an unknown name.
func didYouMean(name, otherwise string) string {
	if name == "" {
		return otherwise
	}
	return "did you mean " + name + "?"
}
