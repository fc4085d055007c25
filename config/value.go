package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size. It is written with a binary unit: 512B, 64KiB, 4MiB, 1GiB, 2TiB; a bare number counts bytes.
type Bytes int64

func (b Bytes) String() string {
	unit := 0
	for ; unit < len(byteUnits)-1 && b != 0 && b%1024 == 0; unit++ {
		b /= 1024
	}
	return strconv.FormatInt(int64(b), 10) + byteUnits[unit]
}

var byteUnits = [...]string{"B", "KiB", "MiB", "GiB", "TiB"}

func parseBytes(text string) (Bytes, error) {
	number := strings.TrimRight(text, "BKMGTikmgtb")
	unit := text[len(number):]
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("is not a size")
	}
	if unit == "" {
		return Bytes(n), nil
	}
	for power, name := range byteUnits {
		if !strings.EqualFold(unit, name) {
			continue
		}
		if n > math.MaxInt64>>(10*power) {
			return 0, errors.New("is too large")
		}
		return Bytes(n << (10 * power)), nil
	}
	return 0, errors.New("is not a size")
}

// Rate is so many events in a span of time. It is written 20/s, 600/m or 1000/h; a bare number is per second.
type Rate struct {
	Events int
	Per    time.Duration
}

// PerSecond is the rate in events per second.
func (r Rate) PerSecond() float64 { return float64(r.Events) / r.Per.Seconds() }

func (r Rate) String() string {
	unit := "s"
	switch r.Per {
	case time.Minute:
		unit = "m"
	case time.Hour:
		unit = "h"
	}
	return strconv.Itoa(r.Events) + "/" + unit
}

func parseRate(text string) (Rate, error) {
	number, unit, _ := strings.Cut(text, "/")
	per, known := map[string]time.Duration{"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	n, err := parseInt(number)
	if err != nil || n < 0 || !known {
		return Rate{}, errors.New("is not a rate")
	}
	return Rate{Events: n, Per: per}, nil
}

// Ratio is a share of a whole, 1 being all. It is written 10% or 0.1.
type Ratio float64

func (r Ratio) String() string {
	percent := strconv.FormatFloat(math.Round(float64(r)*1e4)/1e2, 'f', -1, 64) + "%"
	if same, err := parseRatio(percent); err == nil && same == r {
		return percent
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64)
}

func parseRatio(text string) (Ratio, error) {
	number, percent := strings.CutSuffix(text, "%")
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, errors.New("is not a share")
	}
	if percent {
		f /= 100
	}
	return Ratio(f), nil
}

// Secret is a text that is not printed: fmt, encoding/json, log/slog and [Config.Show] see [Redacted] in its stead.
// string(s) is the text.
type Secret string

// Redacted stands for a secret that is set.
const Redacted = "[redacted]"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Redacted
}

// Format keeps every verb of fmt from the text, %d and %#v too.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText is what encoders see.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// parseDuration reads a Go duration, which may begin with whole days: 90s, 1h30m, 30d, 1d12h.
func parseDuration(text string) (time.Duration, error) {
	errNot, errLarge := errors.New("is not a duration"), errors.New("is too long")
	days, rest, found := strings.Cut(text, "d")
	if !found {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errNot
		}
		return d, nil
	}
	n, err := strconv.ParseUint(days, 10, 64)
	if err != nil {
		return 0, errNot
	}
	if n > uint64(math.MaxInt64/day) {
		return 0, errLarge
	}
	d := time.Duration(n) * day
	if rest == "" {
		return d, nil
	}
	more, err := time.ParseDuration(rest)
	if err != nil || strings.ContainsAny(rest[:1], "+-") {
		return 0, errNot
	}
	if d > math.MaxInt64-more {
		return 0, errLarge
	}
	return d + more, nil
}

const day = 24 * time.Hour

// formatDuration writes what parseDuration reads: 24h, 30d, 1h30m, 120s.
func formatDuration(d time.Duration) string {
	if d > day && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	text := d.String() // 24h0m0s
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// parseInt reads a decimal number, whose digits may be grouped: 100_000.
func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(strings.ReplaceAll(text, "_", ""))
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, errors.New("is too large")
	case err != nil:
		return 0, errors.New("is not a whole number")
	}
	return n, nil
}

// parsePrefix reads a network; an address alone is the network of that one address.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New("is not a network")
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("has bits set outside its mask; the network is %v", p.Masked())
	}
	return p, nil
}

// codec reads and writes the values of one type. format writes what parse reads as the same value.
type codec struct {
	name    string // what --help calls such a value
	written string // how it is written
	parse   func(text string) (any, error)
	format  func(value any) string
	compare func(a, b any) int // nil where values have no order
}

// codecs lists the types that a setting may have.
func codecs() map[reflect.Type]codec {
	list := map[reflect.Type]codec{}
	add(list, "string", "a text", func(text string) (string, error) { return text, nil }, func(s string) string { return s }, nil)
	add(list, "secret", "a text", func(text string) (Secret, error) { return Secret(text), nil }, Secret.String, nil)
	add(list, "bool", "true or false", parseBool, strconv.FormatBool, nil)
	add(list, "int", "a whole number, as 1000 or 1_000", parseInt, strconv.Itoa, cmp.Compare[int])
	add(list, "duration", "a number with a unit, as 500ms, 30s, 5m, 24h or 30d", parseDuration, formatDuration, cmp.Compare[time.Duration])
	add(list, "size", "a number with a unit, as 512B, 64KiB or 4MiB", parseBytes, Bytes.String, cmp.Compare[Bytes])
	add(list, "rate", "a number and a unit, as 20/s, 600/m or 1000/h", parseRate, Rate.String,
		func(a, b Rate) int { return cmp.Compare(a.PerSecond(), b.PerSecond()) })
	add(list, "share", "a percentage or a fraction, as 10% or 0.1", parseRatio, Ratio.String, cmp.Compare[Ratio])
	add(list, "list", "a list, in flags and the environment separated by commas", listOf(func(s string) (string, error) { return s, nil }),
		func(list []string) string { return strings.Join(list, ",") }, nil)
	add(list, "shards", "a list of {primary, replicas}", parseShards, Shards.String, nil)
	add(list, "networks", "networks separated by commas, as 10.0.0.0/8 or 192.0.2.1", listOf(parsePrefix), formatPrefixes, nil)
	return list
}

// add lists the codec of T.
func add[T any](list map[reflect.Type]codec, name, written string, parse func(string) (T, error), format func(T) string, compare func(a, b T) int) {
	c := codec{
		name: name, written: written,
		parse:  func(text string) (any, error) { return parse(text) },
		format: func(value any) string { return format(value.(T)) },
	}
	if compare != nil {
		c.compare = func(a, b any) int { return compare(a.(T), b.(T)) }
	}
	list[reflect.TypeFor[T]()] = c
}

func parseBool(text string) (bool, error) {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, errors.New("is neither true nor false")
	}
	return b, nil
}

// listOf reads values separated by commas; no value is the empty list.
func listOf[T any](parse func(string) (T, error)) func(string) ([]T, error) {
	return func(text string) ([]T, error) {
		var list []T
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			v, err := parse(item)
			if err != nil {
				return nil, fmt.Errorf("holds %q, which %w", item, err)
			}
			list = append(list, v)
		}
		return list, nil
	}
}

func formatPrefixes(list []netip.Prefix) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}
