package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// notSettings are the variables with our prefix that mean something else: those of our tests, and the addresses that
// Kubernetes announces to the pods beside a service called freshet.
const notSettings = `^FRESHET_(REALDATA|SOAK|TEST.*` +
	`|SERVICE_HOST|SERVICE_PORT(_.*)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`

// readEnv reads the variables with our prefix. An empty one counts as not set, because that is what compose files
// make of an unset one.
func (l *loader) readEnv(environ []string) {
	given := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, envPrefix) && value != "" {
			given[name] = value
		}
	}
	l.env = layer{}
	names := make([]string, 0, len(l.settings))
	for _, s := range l.settings {
		names = append(names, s.env())
		if text, ok := given[s.env()]; ok {
			l.env.put(s, text, Source{Kind: FromEnv, Name: s.env()})
			delete(given, s.env())
		}
	}
	others := regexp.MustCompile(notSettings)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !others.MatchString(name) {
			l.warn(name+" is not a setting and has no effect", didYouMean(nearestEnv(name, names), "`freshet config show` lists every setting"))
		}
	}
}

func (l layer) put(s setting, text string, source Source) {
	l[s.key] = given{text: text, source: source}
}

// nearestEnv leaves the prefix out of the comparison, which would make every name seem near.
func nearestEnv(name string, known []string) string {
	bare := make([]string, len(known))
	for i, k := range known {
		bare[i] = strings.TrimPrefix(k, envPrefix)
	}
	name = strings.TrimPrefix(name, envPrefix)
	found := Nearest(name, bare)
	if found == "" {
		found = onlyEndingIn(name, bare, "_")
	}
	if found == "" {
		return ""
	}
	return envPrefix + found
}
