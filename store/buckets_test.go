package store_test

import (
	"testing"

	"github.com/freshet/freshet/store"
)

func TestBucketsAreWrittenAndRead(t *testing.T) {
	for text, want := range map[string]string{
		"7": "7", "0-511, 7 ,600": "0-511,600", "all": "all", "0-1023": "all", "1022,1023": "1022-1023", "63,64": "63-64",
	} {
		b, err := store.ParseBuckets(text)
		if err != nil || b.String() != want {
			t.Errorf("%q is %q, %v, want %q", text, b, err, want)
		}
		back, err := store.ParseBuckets(b.String())
		if err != nil || back != b || len(b.List()) != b.Len() {
			t.Errorf("%q is not read as it was written: %v, %v", text, back, err)
		}
		rest := b.Complement()
		if rest.Len()+b.Len() != 1024 {
			t.Errorf("%q and the rest are %d", text, rest.Len()+b.Len())
		}
		for _, n := range b.List() {
			b.Remove(n)
		}
		if b.Len() != 0 || b.String() != "" {
			t.Errorf("%q without its buckets is %q", text, b)
		}
	}
	for _, text := range []string{"", "1024", "-1", "3-", "5-4", "x", "1,,2", "0-1024"} {
		if b, err := store.ParseBuckets(text); err == nil {
			t.Errorf("%q is %q", text, b)
		}
	}
}
