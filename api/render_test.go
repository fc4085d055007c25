package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/social"
)

var (
	at   = time.Date(2026, 11, 23, 1, 2, 3, 456_000_000, time.FixedZone("", 3600))
	ada  = &social.Profile{User: freshet.User{ID: 7, Ref: "crm:7", Handle: "ada", Name: `A "d" a`, AvatarURL: "https://x/a?b&c", Bio: "b", FollowersCount: 1, FollowingCount: 2, PostsCount: 3, CreatedAt: at}}
	bob  = &social.Profile{User: freshet.User{ID: 8, Handle: "bob", Name: "Bob", CreatedAt: at}}
	full = social.PostView{
		Content: &social.Content{Post: freshet.Post{
			ID: 1 << 60, Ref: "r", Author: 7, Text: "<b>\n\u2028", Data: []byte(`{"a":[1,null]}`), CreatedAt: at, EditedAt: at.Add(time.Hour),
		}},
		Author: ada, Counts: freshet.Counts{Likes: 3, Comments: 2}, Liked: true,
	}
	bare = social.PostView{Content: &social.Content{Post: freshet.Post{ID: 2, Author: 8, Text: "hi", CreatedAt: at}}, Author: bob}
)

func TestRenderPost(t *testing.T) {
	for _, test := range []struct {
		name     string
		post     *social.PostView
		signedIn bool
		want     string
	}{
		{"everything", &full, true, `{"id":"1152921504606846976","ref":"r","text":"<b>\n\u2028","data":{"a":[1,null]},"media":[],"created_at":"2026-11-23T00:02:03.456Z","edited_at":"2026-11-23T01:02:03.456Z","author":{"id":"7","ref":"crm:7","handle":"ada","name":"A \"d\" a","avatar_url":"https://x/a?b&c"},"like_count":3,"comment_count":2,"liked":true}`},
		{"nothing that can be left out", &bare, false, `{"id":"2","text":"hi","media":[],"created_at":"2026-11-23T00:02:03.456Z","author":{"id":"8","handle":"bob","name":"Bob","avatar_url":""},"like_count":0,"comment_count":0}`},
		{"not liked", &bare, true, `{"id":"2","text":"hi","media":[],"created_at":"2026-11-23T00:02:03.456Z","author":{"id":"8","handle":"bob","name":"Bob","avatar_url":""},"like_count":0,"comment_count":0,"liked":false}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 { // made, and from the memo
				if got := string(appendPost(nil, test.post, test.signedIn)); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
			}
		})
	}
}

// TestRenderedHasTheDocumentedShape decodes what the renderer writes into the
// document's types: no field too many, none missing.
func TestRenderedHasTheDocumentedShape(t *testing.T) {
	email := "a@b.cz"
	session := freshet.Session{ID: 5, Agent: "curl", CreatedAt: at, UsedAt: at, ExpiresAt: at}
	stats := freshet.PostStats{Post: 1, Views: 4, Reach: 2, Likes: 3, Comments: 1, Hours: []freshet.HourStats{{Hour: 1}, {Hour: 235_000, Views: 4, Likes: 3, Comments: 1}}}
	comment := &social.CommentView{Comment: freshet.Comment{ID: 9, Post: 2, Author: 8, Text: "so", CreatedAt: at}, Author: bob}
	for _, test := range []struct {
		name string
		json []byte
		as   any
	}{
		{"post", appendPost(nil, &full, true), new(Post)},
		{"author", appendAuthor(nil, ada), new(Author)},
		{"user", appendUser(nil, &ada.User, &email), new(User)},
		{"comment", appendComment(nil, comment), new(Comment)},
		{"session", appendSession(nil, &session, true), new(Session)},
		{"stats", appendStats(nil, &stats), new(PostStats)},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := json.NewDecoder(bytes.NewReader(test.json))
			d.DisallowUnknownFields()
			if err := d.Decode(test.as); err != nil {
				t.Fatalf("%s: %v", test.json, err)
			}
			again, err := json.Marshal(test.as)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if json.Unmarshal(again, &got) != nil || json.Unmarshal(test.json, &want) != nil {
				t.Fatal("not JSON")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the document's type says something else (-rendered +type):\n%s", diff)
			}
			if v := reflect.ValueOf(test.as).Elem(); v.Kind() == reflect.Struct {
				for i := range v.NumField() {
					if v.Field(i).IsZero() && v.Type().Field(i).Name != "Private" {
						t.Errorf("%s was not rendered", v.Type().Field(i).Name)
					}
				}
			}
		})
	}
}

func TestRenderList(t *testing.T) {
	item := func(b []byte, n *int) []byte { return append(b, byte('0'+*n)) }
	for _, test := range []struct {
		items []int
		next  string
		want  string
	}{
		{nil, "", `{"items":[]}`},
		{[]int{1}, "", `{"items":[1]}`},
		{[]int{1, 2}, "abc", `{"items":[1,2],"next_cursor":"abc"}`},
	} {
		if got := string(appendList(nil, test.items, test.next, item)); got != test.want {
			t.Errorf("%v, %q: got %s, want %s", test.items, test.next, got, test.want)
		}
	}
}

func TestMemoIsOfTheValueItIsBeside(t *testing.T) {
	first := string(appendPost(nil, &full, true))
	edited := full
	edited.Content = &social.Content{Post: full.Post}
	edited.Content.Text = "changed"
	if got := string(appendPost(nil, &edited, true)); got == first || !strings.Contains(got, "changed") {
		t.Errorf("a new value shows %s", got)
	}
}

// FuzzAppendString holds the strings against encoding/json, byte for byte.
func FuzzAppendString(f *testing.F) {
	for _, s := range []string{
		"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<script>&amp;", "é中😀", "\u2028\u2029", "\xff\xc3\x28\xed\xa0\x80", "a\xc3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			t.Fatal(err)
		}
		if got := appendString(nil, s); string(got) != strings.TrimSuffix(want.String(), "\n") {
			t.Errorf("%q becomes %s, encoding/json says %s", s, got, want.String())
		}
	})
}

func BenchmarkRenderPage(b *testing.B) {
	posts := make([]social.PostView, 50)
	for i := range posts {
		posts[i] = full
		posts[i].Content = &social.Content{Post: full.Post}
		posts[i].Content.Text = strings.Repeat("fifty characters of text that say nothing at all. ", 5)
	}
	var page []byte
	b.ReportAllocs()
	for b.Loop() {
		page = appendList(page[:0], posts, "", func(b []byte, p *social.PostView) []byte { return appendPost(b, p, true) })
	}
	b.SetBytes(int64(len(page)))
}
