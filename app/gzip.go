package app

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

// openMaybeGzip opens a file and unpacks it if its content is gzip, whatever its name.
func openMaybeGzip(file string) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	b := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := b.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return readCloser{withoutBOM(b), f}, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return readCloser{withoutBOM(bufio.NewReader(z)), f}, nil
}

// withoutBOM passes over the byte order mark that spreadsheets write before UTF-8.
func withoutBOM(b *bufio.Reader) io.Reader {
	if mark, _ := b.Peek(3); bytes.Equal(mark, []byte{0xef, 0xbb, 0xbf}) {
		b.Discard(3)
	}
	return b
}

type readCloser struct {
	io.Reader
	io.Closer
}
