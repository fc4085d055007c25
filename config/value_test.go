package config

import (
	"math"
	"reflect"
	"testing"
	"time"
)

// TestValues reads and writes the forms that each type has.
func TestValues(t *testing.T) {
	for _, c := range []struct {
		text string
		want any // nil: refused
		show string
	}{
		{"90s", 90 * time.Second, "1m30s"},
		{"24h", 24 * time.Hour, "24h"},
		{"2d", 48 * time.Hour, "2d"},
		{"1d12h", 36 * time.Hour, "36h"},
		{"0", time.Duration(0), "0s"},
		{"10m", 10 * time.Minute, "10m"},
		{"1h0m10s", time.Hour + 10*time.Second, "1h0m10s"},
		{"106751d", 106751 * 24 * time.Hour, "106751d"},
		{"106752d", time.Duration(0), ""},
		{"106751d24h", time.Duration(0), ""},
		{"10", time.Duration(0), ""},
		{"1.5d", time.Duration(0), ""},
		{"-1d", time.Duration(0), ""},
		{"1d-2h", time.Duration(0), ""},
		{"d", time.Duration(0), ""},
		{"", time.Duration(0), ""},

		{"512", Bytes(512), "512B"},
		{"512B", Bytes(512), "512B"},
		{"64KiB", Bytes(64 << 10), "64KiB"},
		{"64 kib", Bytes(64 << 10), "64KiB"},
		{"1536KiB", Bytes(1536 << 10), "1536KiB"},
		{"1024KiB", Bytes(1 << 20), "1MiB"},
		{"3TiB", Bytes(3 << 40), "3TiB"},
		{"0", Bytes(0), "0B"},
		{"8388607TiB", Bytes(8388607 << 40), "8388607TiB"},
		{"8388608TiB", Bytes(0), ""},
		{"64KB", Bytes(0), ""},
		{"64K", Bytes(0), ""},
		{"-1B", Bytes(0), ""},
		{"1.5MiB", Bytes(0), ""},
		{"KiB", Bytes(0), ""},

		{"20/s", Rate{20, time.Second}, "20/s"},
		{"20", Rate{20, time.Second}, "20/s"},
		{"600/m", Rate{600, time.Minute}, "600/m"},
		{"1_000/h", Rate{1000, time.Hour}, "1000/h"},
		{"-1/s", Rate{}, ""},
		{"/s", Rate{}, ""},
		{"1/s/s", Rate{}, ""},

		{"10%", Ratio(0.1), "10%"},
		{"0.07", Ratio(0.07), "7%"},
		{"12.5%", Ratio(0.125), "12.5%"},
		{"0.123456", Ratio(0.123456), "0.123456"},
		{"NaN", Ratio(0), ""},
		{"%", Ratio(0), ""},

		{"100_000", 100_000, "100000"},
		{"010", 10, "10"},
		{"1e3", 0, ""},
		{"true", true, "true"},
		{"0", false, "false"},
		{"on", false, ""},
	} {
		codec := codecs()[reflect.TypeOf(c.want)]
		value, err := codec.parse(c.text)
		if c.show == "" {
			if err == nil {
				t.Errorf("%s %q reads as %v, want an error", codec.name, c.text, value)
			}
			continue
		}
		if err != nil || value != c.want || codec.format(value) != c.show {
			t.Errorf("%s %q reads as %v, %v, want %v, shown as %s", codec.name, c.text, value, err, c.want, c.show)
		}
	}
	if got := (Rate{600, time.Minute}).PerSecond(); got != 10 {
		t.Errorf("600/m is %v per second", got)
	}
}

// FuzzValue gives any text to every type: what is read is written so that it reads as the same value.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{"1d12h", "64 KiB", "20/m", "12.5%", "10.0.0.0/8, ::1", "106751d23h47m16.854775807s", "8EiB", "-0", "1e-300", "a,,b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for typ, c := range codecs() {
			value, err := c.parse(text)
			if err != nil || c.name == "secret" {
				continue
			}
			shown := c.format(value)
			again, err := c.parse(shown)
			if err != nil || !reflect.DeepEqual(value, again) {
				t.Errorf("%v: %q reads as %v, is shown as %q and reads as %v, %v then", typ, text, value, shown, again, err)
			}
			if r, ok := value.(Ratio); ok && math.IsNaN(float64(r)) {
				t.Errorf("%q is NaN", text)
			}
		}
	})
}

// FuzzYAML gives any text as the file: it never panics, every complaint has a key, a hint and the file, and what is
// taken from it is known.
func FuzzYAML(f *testing.F) {
	f.Add([]byte(Example()))
	for _, seed := range []string{
		"feed:\n  mode: pull\n", "{feed: {mode: pull}}", "cors.origins:\n- https://a.example\n- |\n  b\n", "? [a]\n: b\n", "<<: *a\n",
		"&a feed: *a\n", "a: !!binary x\n", "feed: {\n", "- 1\n", "---\n...\n", "%YAML 1.2\n---\naddr: ~\n", "\"addr\": 'x'\n", "limits: {text: +0o17}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		l := &loader{schema: describe(), config: Default()}
		l.readYAML("file.yaml", text)
		for key, given := range l.file {
			if _, known := l.byKey[key]; !known || given.source.Name != "file.yaml" || given.source.Line < 1 {
				t.Errorf("%q took %s from %+v", text, key, given.source)
			}
		}
		l.resolve()
		l.check()
		for _, e := range l.errs {
			if e.Hint() == "" || e.Problem == "" {
				t.Errorf("%q: %+v", text, e)
			}
		}
	})
}
