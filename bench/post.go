package main

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// A post is the value of all measurements: some 230 bytes as JSON.
type post struct {
	ID      int64     `json:"id"`
	Author  int64     `json:"author"`
	Text    string    `json:"text"`
	Created time.Time `json:"created"`
	Likes   int       `json:"likes"`
}

func newPost(id int64) *post {
	return &post{
		ID: id, Author: id % 97, Created: time.Unix(1_700_000_000+id, 0).UTC(), Likes: int(id % 13),
		Text: strings.Repeat("the quick brown fox jumps over ", 4)[:123],
	}
}

// binaryCodec is what a program may write by hand, or have generated, for a type that is read a lot.
type binaryCodec struct{}

var errPost = errors.New("not a post")

func (binaryCodec) Append(buf []byte, p *post) ([]byte, error) {
	buf = binary.AppendVarint(buf, p.ID)
	buf = binary.AppendVarint(buf, p.Author)
	buf = binary.AppendVarint(buf, p.Created.UnixNano())
	buf = binary.AppendVarint(buf, int64(p.Likes))
	return append(buf, p.Text...), nil
}

func (binaryCodec) Decode(data []byte) (*post, error) {
	var fields [4]int64
	for i := range fields {
		n, size := binary.Varint(data)
		if size <= 0 {
			return nil, errPost
		}
		fields[i], data = n, data[size:]
	}
	return &post{
		ID: fields[0], Author: fields[1], Created: time.Unix(0, fields[2]).UTC(), Likes: int(fields[3]), Text: string(data),
	}, nil
}
