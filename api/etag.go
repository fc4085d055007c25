package api

import "strings"

// matches reports whether one of the tags in If-None-Match is ours. The
// comparison is weak (RFC 9110, 13.1.2), because a proxy that compresses makes
// tags weak.
func matches(headers []string, tag string) bool {
	for _, line := range headers {
		for candidate := range strings.SplitSeq(line, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}
