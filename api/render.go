package api

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/social"
)

// The renderer appends JSON to a buffer. Every answer that holds a post goes
// through it, so that a post is byte for byte the same in the feed, in a list
// and alone. What does not change with each read is made once per cached value
// and kept beside it ([social.Memo]).

// appendPost writes a post as a viewer sees it; liked is shown only to somebody
// who is signed in.
func appendPost(b []byte, p *social.PostView, signedIn bool) []byte {
	b = append(b, p.Content.Memo.Bytes(func() []byte { return appendContent(nil, &p.Post) })...)
	b = append(b, `,"author":`...)
	b = appendAuthor(b, p.Author)
	b = append(b, `,"like_count":`...)
	b = strconv.AppendInt(b, p.Likes, 10)
	b = append(b, `,"comment_count":`...)
	b = strconv.AppendInt(b, p.Comments, 10)
	if signedIn {
		b = append(b, `,"liked":`...)
		b = strconv.AppendBool(b, p.Liked)
	}
	return append(b, '}')
}

// appendContent writes the fields of a post that its edits alone change, as the
// beginning of an object.
func appendContent(b []byte, p *freshet.Post) []byte {
	b = append(b, '{')
	b = appendID(b, "id", p.ID)
	if p.Ref != "" {
		b = append(b, `,"ref":`...)
		b = appendString(b, p.Ref)
	}
	b = append(b, `,"text":`...)
	b = appendString(b, p.Text)
	if len(p.Data) > 0 {
		b = append(b, `,"data":`...)
		b = append(b, p.Data...)
	}
	b = append(b, `,"media":[],`...)
	b = appendTime(b, "created_at", p.CreatedAt)
	if !p.EditedAt.IsZero() {
		b = append(b, ',')
		b = appendTime(b, "edited_at", p.EditedAt)
	}
	return b
}

// appendAuthor writes a user as the author of something.
func appendAuthor(b []byte, u *social.Profile) []byte {
	return append(b, u.Memo.Bytes(func() []byte { return append(appendIdentity(nil, &u.User), '}') })...)
}

// appendIdentity begins a user's object with what authors and users share.
func appendIdentity(b []byte, u *freshet.User) []byte {
	b = append(b, '{')
	b = appendID(b, "id", u.ID)
	if u.Ref != "" {
		b = append(b, `,"ref":`...)
		b = appendString(b, u.Ref)
	}
	b = append(b, `,"handle":`...)
	b = appendString(b, u.Handle)
	b = append(b, `,"name":`...)
	b = appendString(b, u.Name)
	b = append(b, `,"avatar_url":`...)
	return appendString(b, u.AvatarURL)
}

// appendUser writes a whole user. email is shown in the user's own view alone;
// nil leaves it out.
func appendUser(b []byte, u *freshet.User, email *string) []byte {
	b = appendIdentity(b, u)
	b = append(b, `,"bio":`...)
	b = appendString(b, u.Bio)
	if email != nil {
		b = append(b, `,"email":`...)
		b = appendString(b, *email)
	}
	b = append(b, `,"private":`...)
	b = strconv.AppendBool(b, u.Private)
	b = append(b, `,"followers_count":`...)
	b = strconv.AppendInt(b, u.FollowersCount, 10)
	b = append(b, `,"following_count":`...)
	b = strconv.AppendInt(b, u.FollowingCount, 10)
	b = append(b, `,"posts_count":`...)
	b = strconv.AppendInt(b, u.PostsCount, 10)
	b = append(b, ',')
	b = appendTime(b, "created_at", u.CreatedAt)
	return append(b, '}')
}

func appendComment(b []byte, c *social.CommentView) []byte {
	b = append(b, '{')
	b = appendID(b, "id", c.ID)
	b = append(b, ',')
	b = appendID(b, "post_id", c.Post)
	b = append(b, `,"author":`...)
	b = appendAuthor(b, c.Author)
	b = append(b, `,"text":`...)
	b = appendString(b, c.Text)
	b = append(b, ',')
	b = appendTime(b, "created_at", c.CreatedAt)
	return append(b, '}')
}

// appendList writes a page of a list; next is the sealed cursor, "" at the end.
func appendList[T any](b []byte, items []T, next string, item func([]byte, *T) []byte) []byte {
	b = append(b, `{"items":[`...)
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, &items[i])
	}
	b = append(b, ']')
	if next != "" {
		b = append(b, `,"next_cursor":"`...)
		b = append(b, next...) // base64url: nothing to escape
		b = append(b, '"')
	}
	return append(b, '}')
}

func appendID(b []byte, name string, id freshet.ID) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `":"`...)
	b = strconv.AppendInt(b, int64(id), 10)
	return append(b, '"')
}

// appendTime writes an instant in RFC 3339, UTC, with as many digits as it has.
func appendTime(b []byte, name string, t time.Time) []byte {
	b = append(b, '"')
	b = append(b, name...)
	b = append(b, `":"`...)
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string, the same bytes as encoding/json without
// its escapes for HTML: what is not UTF-8 becomes U+FFFD, and the two line
// separators that JavaScript once choked on are escaped.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[from:i]...)
			b = appendEscape(b, c)
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[from:i]...)
			b = append(b, `\ufffd`...)
			from = i + size
		case r == '\u2028', r == '\u2029':
			b = append(b, s[from:i]...)
			b = append(b, `\u202`...)
			b = append(b, hexDigits[r&0xf])
			from = i + size
		}
		i += size
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
