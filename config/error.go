package config

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is a kind of source; a higher one wins.
type Kind int

// The kinds of sources in the order in which they win.
const (
	FromDefault Kind = iota
	FromFile
	FromEnv
	FromFlag
)

// Source is where a value came from.
type Source struct {
	Kind Kind
	Name string // of the flag with its dashes, of the variable, of the file
	Line int    // in the file, from 1; 0 where it is not known
}

// String is "flag --addr", "env FRESHET_ADDR", "freshet.yaml:3" or "default".
func (s Source) String() string {
	switch s.Kind {
	case FromFlag:
		return "flag " + s.Name
	case FromEnv:
		return "env " + s.Name
	case FromFile:
		if s.Line > 0 {
			return fmt.Sprintf("%s:%d", s.Name, s.Line)
		}
		return s.Name
	}
	return "default"
}

// Error is one setting that cannot be used. It never holds the value of a secret.
type Error struct {
	Key        string // as in the file; "config" where the file itself is at fault
	Source     Source
	Problem    string // what is wrong
	Allowed    string // what would be right; "" where the problem says it
	Suggestion string // what to do
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%s: %s (%s)", e.Key, e.Problem, e.Source)
	if e.Allowed != "" {
		text += "; allowed: " + e.Allowed
	}
	return text
}

// Hint is one line that says what to do.
func (e *Error) Hint() string { return e.Suggestion }

// Errors is everything wrong with the settings, at least one. errors.As finds each *Error in it.
type Errors []*Error

// Error has a line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Hint has a line for each hint that differs.
func (e Errors) Hint() string {
	var hints []string
	for _, one := range e {
		if !slices.Contains(hints, one.Suggestion) {
			hints = append(hints, one.Suggestion)
		}
	}
	return strings.Join(hints, "\n")
}

func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, one := range e {
		list[i] = one
	}
	return list
}

// Warning is something odd that does not keep a node from starting.
type Warning struct {
	Message string
	Hint    string
}

// String is the message with its hint.
func (w Warning) String() string { return w.Message + "; hint: " + w.Hint }
