package memcached

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
)

// code is what a reply begins with.
type code uint8

const (
	stored      code = iota + 1 // HD
	value                       // VA: a value follows
	missing                     // EN
	notStored                   // NS: add, and there was something
	changed                     // EX: compare-and-swap, and there was something else
	gone                        // NF: compare-and-swap, and there was nothing
	serverError                 // SERVER_ERROR of which the server goes on
)

// reply is the answer to one command.
type reply struct {
	code    code
	opaque  uint64
	cas     uint64
	value   []byte // the receiver's own
	message string // of a serverError
}

// maxLine is more than any line that we ask for: two letters, a length, and two numbers with their flags.
const maxLine = 256

// readLine reads a line and returns it without its end. It is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull), err == nil && len(line) > maxLine:
		return nil, doubt("a line of more than %d bytes", maxLine)
	case err != nil:
		return nil, err
	case !bytes.HasSuffix(line, []byte("\r\n")):
		return nil, doubt("a line that ends without CR LF")
	}
	return line[:len(line)-2], nil
}

// readReply reads the answer to a meta command. An error means that the stream is in doubt: whatever is not exactly as the
// protocol has it, as well as errors after which the server may have stopped in the middle of a command.
func readReply(r *bufio.Reader, maxValue int) (reply, error) {
	line, err := readLine(r)
	if err != nil {
		return reply{}, err
	}
	if message, ok := bytes.CutPrefix(line, []byte("SERVER_ERROR ")); ok {
		return serverSaid(message)
	}
	if len(line) < 2 {
		return reply{}, doubt("%q", line)
	}
	rep := reply{code: codeOf(line[:2])}
	rest := line[2:]
	switch rep.code {
	case 0:
		return reply{}, doubt("%q", line)
	case value:
		size, after, ok := number(rest)
		if !ok || size > uint64(maxValue) {
			return reply{}, doubt("%q, of a server that keeps at most %d bytes", line, maxValue)
		}
		if err := rep.flags(after); err != nil {
			return reply{}, err
		}
		rep.value, err = readValue(r, int(size))
		return rep, err
	}
	return rep, rep.flags(rest)
}

func codeOf(letters []byte) code {
	switch string(letters) {
	case "HD":
		return stored
	case "VA":
		return value
	case "EN":
		return missing
	case "NS":
		return notStored
	case "EX":
		return changed
	case "NF":
		return gone
	}
	return 0
}

// serverSaid tells those errors after which a server has read the command to its end (proto_text.c: it swallows the value)
// from all others.
func serverSaid(message []byte) (reply, error) {
	switch string(message) {
	case "object too large for cache", "out of memory storing object":
		return reply{code: serverError, message: string(message)}, nil
	}
	return reply{}, doubt("SERVER_ERROR %s", message)
}

// flags reads what follows the code: the flags that we ask for, each at most once, after a single space.
func (rep *reply) flags(rest []byte) error {
	var hasOpaque, hasCAS bool
	for len(rest) > 0 {
		if len(rest) < 2 || rest[0] != ' ' {
			return doubt("flags %q", rest)
		}
		letter := rest[1]
		n, after, ok := digits(rest[2:])
		switch {
		case letter == 'O' && ok && !hasOpaque:
			rep.opaque, hasOpaque = n, true
		case letter == 'c' && ok && !hasCAS && rep.code == value:
			rep.cas, hasCAS = n, true
		case letter == 'b' && !ok && (len(rest) == 2 || rest[2] == ' '): // the key was base64; some versions say it
			after = rest[2:]
		default:
			return doubt("flags %q", rest)
		}
		rest = after
	}
	if !hasOpaque || (rep.code == value && !hasCAS) {
		return doubt("an answer without the flags that were asked for")
	}
	return nil
}

// readValue reads a value and the end of its line.
func readValue(r *bufio.Reader, size int) ([]byte, error) {
	b := make([]byte, size+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	if string(b[size:]) != "\r\n" {
		return nil, doubt("a value of another length than was said")
	}
	return b[:size:size], nil
}

// number reads a space and a number.
func number(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != ' ' {
		return 0, b, false
	}
	return digits(b[1:])
}

// digits reads a number as memcached writes them: decimal, without sign or leading zeros.
func digits(b []byte) (n uint64, rest []byte, ok bool) {
	end := 0
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		d := uint64(b[end] - '0')
		if n > (1<<64-1-d)/10 {
			return 0, b, false
		}
		n = n*10 + d
		end++
	}
	if end == 0 || (end > 1 && b[0] == '0') {
		return 0, b, false
	}
	return n, b[end:], true
}

// stats are what we ask a server about itself.
type stats struct {
	pid, uptime, time uint64
	version           string
	itemMax           int
	cas               bool
}

// readStats reads the answer to a stats command into s.
func readStats(r *bufio.Reader, s *stats) error {
	for {
		line, err := readLine(r)
		if err != nil {
			return err
		}
		if string(line) == "END" {
			return nil
		}
		name, text, ok := bytes.Cut(line, []byte(" "))
		if string(name) != "STAT" || !ok {
			return doubt("%q among statistics", line)
		}
		name, text, _ = bytes.Cut(text, []byte(" "))
		if err := s.set(string(name), string(text)); err != nil {
			return err
		}
	}
}

func (s *stats) set(name, text string) (err error) {
	switch name {
	case "pid":
		s.pid, err = strconv.ParseUint(text, 10, 64)
	case "uptime":
		s.uptime, err = strconv.ParseUint(text, 10, 64)
	case "time":
		s.time, err = strconv.ParseUint(text, 10, 63)
	case "version":
		s.version = text
	case "item_size_max":
		s.itemMax, err = strconv.Atoi(text)
	case "cas_enabled":
		s.cas = text == "yes"
	}
	if err != nil {
		return doubt("statistic %s is %q", name, text)
	}
	return nil
}
