package freshet_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/freshet/freshet"
)

func Example() {
	at := time.Date(2026, 11, 22, 8, 30, 0, 0, time.UTC)
	id := freshet.NewID(freshet.Millis(at), 7, 0)
	fmt.Println(id, id.Time().Format(time.RFC3339), id.Bucket())

	cursors := freshet.NewCursors([]byte("a secret of the deployment, 32 b"))
	cursor := cursors.Seal("feed", 42, id)
	back, err := cursors.Open("feed", 42, cursor)
	fmt.Println(back == id, err)
	_, err = cursors.Open("feed", 43, cursor)
	fmt.Println(err)
	// Output:
	// 3559501961625628672 2026-11-22T08:30:00Z 7
	// true <nil>
	// cursor is not a cursor of this list; start again without one
}

func TestIDHoldsItsParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.Int64Range(0, 1<<41-1).Draw(t, "ms")
		bucket := rapid.IntRange(0, freshet.Buckets-1).Draw(t, "bucket")
		seq := rapid.IntRange(0, freshet.Sequences-1).Draw(t, "seq")
		id := freshet.NewID(ms, bucket, seq)
		if id < 0 || id.Millis() != ms || id.Bucket() != bucket || id.Sequence() != seq {
			t.Fatalf("%d holds %d, %d, %d", id, id.Millis(), id.Bucket(), id.Sequence())
		}
		if id == 0 {
			return
		}
		back, err := freshet.ParseID(id.String())
		if err != nil || back != id {
			t.Fatalf("ParseID(%s) = %d, %v", id, back, err)
		}
	})
}

func TestIDSurvivesItsText(t *testing.T) {
	for _, id := range []freshet.ID{0, 1, 1 << 62} {
		text, err := id.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		back := freshet.ID(7)
		if err := back.UnmarshalText(text); err != nil || back != id {
			t.Errorf("%d became %d, %v", id, back, err)
		}
	}
}

func TestIDsSortByTimeThenBucketThenSequence(t *testing.T) {
	ids := []freshet.ID{
		freshet.NewID(1, 0, 0), freshet.NewID(1, 0, 1), freshet.NewID(1, 1, 0),
		freshet.NewID(1, freshet.Buckets-1, freshet.Sequences-1), freshet.NewID(2, 0, 0),
	}
	for i := 1; i < len(ids); i++ {
		if ids[i-1] >= ids[i] {
			t.Errorf("id %d is not below id %d", i-1, i)
		}
	}
}

func TestHoursBeginOnTheHour(t *testing.T) {
	at := time.Date(2026, 11, 23, 7, 59, 59, 999_999_999, time.FixedZone("", 1800))
	hour := freshet.HourOf(at)
	if want := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC); !hour.Start().Equal(want) {
		t.Errorf("the hour of %v begins at %v, want %v", at, hour.Start(), want)
	}
	for id, want := range map[freshet.ID]freshet.Hour{
		hour.FirstID():     hour,
		hour.FirstID() - 1: hour - 1,
		freshet.NewID(freshet.Millis(at), freshet.Buckets-1, freshet.Sequences-1): hour,
		0: 0,
	} {
		if id.Hour() != want {
			t.Errorf("the id %d is of hour %d, want %d", id, id.Hour(), want)
		}
	}
	if got := freshet.HourOf(freshet.Epoch.Add(-time.Millisecond)); got != -1 {
		t.Errorf("before the epoch: hour %d, want -1", got)
	}
}

func TestParseIDTakesOneFormOnly(t *testing.T) {
	for _, s := range []string{"", "0", "-1", "+1", "01", " 1", "1 ", "1e3", "0x1", "9223372036854775808", "１"} {
		if id, err := freshet.ParseID(s); freshet.CodeOf(err) != freshet.CodeInvalid {
			t.Errorf("ParseID(%q) = %d, %v", s, id, err)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add("1")
	f.Add("-0")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := freshet.ParseID(s); err == nil && (id <= 0 || id.String() != s) {
			t.Errorf("ParseID(%q) = %d", s, id)
		}
	})
}

func FuzzCursor(f *testing.F) {
	c := freshet.NewCursors([]byte("0123456789abcdef0123456789abcdef"))
	good := c.Seal("feed", 7, 99)
	f.Add(good, "feed", int64(7))
	f.Add(good, "posts:7", int64(7))
	f.Add(good[:len(good)-1], "feed", int64(7))
	f.Add("", "feed", int64(7))
	f.Fuzz(func(t *testing.T, text, list string, reader int64) {
		id, err := c.Open(list, freshet.ID(reader), text)
		switch {
		case err != nil && freshet.CodeOf(err) != freshet.CodeInvalid:
			t.Errorf("code %q", freshet.CodeOf(err))
		case err == nil && text == "" && id != 0:
			t.Errorf("the empty cursor opened as %d", id)
		case err == nil && text != "" && c.Seal(list, freshet.ID(reader), id) != text:
			t.Errorf("%q opened as %d, which seals to another text", text, id)
		}
	})
}

func TestACursorIsBoundToListReaderAndKey(t *testing.T) {
	c := freshet.NewCursors([]byte("0123456789abcdef0123456789abcdef"))
	other := freshet.NewCursors([]byte("0123456789abcdef0123456789abcdeF"))
	sealed := c.Seal("followers:5", 0, 99)
	if c.Seal("followers:5", 0, 99) != sealed {
		t.Error("equal pages have different cursors")
	}
	for name, open := range map[string]func() (freshet.ID, error){
		"another list":   func() (freshet.ID, error) { return c.Open("followers:6", 0, sealed) },
		"another reader": func() (freshet.ID, error) { return c.Open("followers:5", 1, sealed) },
		"another key":    func() (freshet.ID, error) { return other.Open("followers:5", 0, sealed) },
		"another id":     func() (freshet.ID, error) { return c.Open("followers:5", 0, "B"+sealed[1:]) },
		"white space":    func() (freshet.ID, error) { return c.Open("followers:5", 0, sealed+"\n") },
	} {
		if id, err := open(); err == nil {
			t.Errorf("%s: opened as %d", name, id)
		}
	}
}

func TestCheckText(t *testing.T) {
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{"", true},
		{"a\nb\tc\r\n", true},
		{"👩‍👩‍👧 مرحب", true},
		{strings.Repeat("é", 10), true},
		{strings.Repeat("é", 11), false},
		{"\x00", false},
		{"\x1b[0m", false},
		{"\u0085", false},
		{"\xff", false},
		{"\x7f", false},
	} {
		if err := freshet.CheckText("text", c.text, 10); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.text, err)
		}
		if err := freshet.CheckLine("name", c.text, 10); (err == nil) != (c.ok && !strings.ContainsAny(c.text, "\n\t")) {
			t.Errorf("line %q: %v", c.text, err)
		}
	}
}

func TestCheckHandleAndRef(t *testing.T) {
	for s, ok := range map[string]bool{
		"a": true, "Ann_9": true, strings.Repeat("x", 30): true,
		"": false, "a b": false, "ä": false, strings.Repeat("x", 31): false, "a-b": false, "a\n": false,
	} {
		if err := freshet.CheckHandle("handle", s); (err == nil) != ok {
			t.Errorf("handle %q: %v", s, err)
		}
	}
	for s, ok := range map[string]bool{
		"user:42": true, "a/b": true, strings.Repeat("x", 128): true,
		"": false, "a b": false, ".": false, "..": false, "ä": false, strings.Repeat("x", 129): false, "a\x00": false,
	} {
		if err := freshet.CheckRef("ref", s); (err == nil) != ok {
			t.Errorf("ref %q: %v", s, err)
		}
	}
}

func TestErrorsAreFoundByCode(t *testing.T) {
	err := fmt.Errorf("read: %w", freshet.NotFound("post"))
	if !errors.Is(err, freshet.ErrNotFound) || errors.Is(err, freshet.ErrConflict) {
		t.Error("a sentinel stands for its code and no other")
	}
	if freshet.ErrNotFound.Is(freshet.NotFound("post")) {
		t.Error("a particular error stands for others")
	}
	if got := freshet.CodeOf(err); got != freshet.CodeNotFound {
		t.Errorf("code %q", got)
	}
	if got := freshet.CodeOf(errors.New("internal")); got != "" {
		t.Errorf("code of an internal error: %q", got)
	}
}

func TestRelations(t *testing.T) {
	r := freshet.Relations{Following: []freshet.ID{1, 5, 9}, Hidden: []freshet.ID{5}, Blocked: nil}
	if !r.Follows(5) || r.Follows(4) || !r.Hides(5) || r.Hides(9) || r.Blocks(5) {
		t.Errorf("%+v misjudges", r)
	}
}

// A cursor of a ranked list bears a score and an id, and is bound to its list and reader.
func TestRankCursors(t *testing.T) {
	c := freshet.NewCursors([]byte(strings.Repeat("k", 32)))
	for _, score := range []float64{0, -1.5, 918273.25, math.Inf(-1)} {
		text := c.SealRank("top", 3, score, 42)
		if got, id, err := c.OpenRank("top", 3, text); err != nil || got != score || id != 42 {
			t.Errorf("%v, %v, %v", got, id, err)
		}
		for _, open := range []func() (float64, freshet.ID, error){
			func() (float64, freshet.ID, error) { return c.OpenRank("other", 3, text) },
			func() (float64, freshet.ID, error) { return c.OpenRank("top", 4, text) },
			func() (float64, freshet.ID, error) { return c.OpenRank("top", 3, text[:len(text)-1]) },
			func() (float64, freshet.ID, error) { return c.OpenRank("top", 3, c.Seal("top", 3, 42)) },
			func() (float64, freshet.ID, error) { return c.OpenRank("top", 3, c.SealRank("top", 3, score, 0)) },
			func() (float64, freshet.ID, error) {
				other := []byte(text)
				other[3] ^= 1
				return c.OpenRank("top", 3, string(other))
			},
		} {
			if _, _, err := open(); freshet.CodeOf(err) != freshet.CodeInvalid {
				t.Errorf("%v is opened: %v", text, err)
			}
		}
	}
	if _, id, err := c.OpenRank("top", 0, ""); id != 0 || err != nil {
		t.Errorf("the start: %v, %v", id, err)
	}
}
