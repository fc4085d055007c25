package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A segment on disk, all numbers big endian:
//
//	header  magic "fjournal", version uint32, journal [16]byte, number uint64, crc uint32
//	frame   mark uint32, length uint32, crc uint32, payload    the first frame is the checkpoint
//
// The CRC (Castagnoli, as in RFC 3720) of a frame also covers the journal, the number of the segment and the place in it: what an
// earlier file left in the same blocks passes for nothing. The mark is drawn from the journal's random id, so that no payload
// can look like a frame.
const (
	segmentMagic   = "fjournal"
	segmentVersion = 1
	headerSize     = len(segmentMagic) + 4 + 16 + 8 + 4
	frameHead      = 12
)

func appendHeader(buf []byte, id [16]byte, number uint64) []byte {
	start := len(buf)
	buf = append(buf, segmentMagic...)
	buf = binary.BigEndian.AppendUint32(buf, segmentVersion)
	buf = append(buf, id[:]...)
	buf = binary.BigEndian.AppendUint64(buf, number)
	return binary.BigEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli))
}

// appendFrame appends the frame that stands at byte at of its segment.
func appendFrame(buf []byte, id [16]byte, number uint64, at int64, payload []byte) []byte {
	buf = append(buf, frameMark(id)...)
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(payload)))
	buf = binary.BigEndian.AppendUint32(buf, frameSum(id, number, at, payload))
	return append(buf, payload...)
}

// frameMark begins each frame of a journal.
func frameMark(id [16]byte) []byte { return id[:4] }

func frameSum(id [16]byte, number uint64, at int64, payload []byte) uint32 {
	var place [16 + 8 + 8 + 4]byte
	copy(place[:], id[:])
	binary.BigEndian.PutUint64(place[16:], number)
	binary.BigEndian.PutUint64(place[24:], uint64(at))
	binary.BigEndian.PutUint32(place[32:], uint32(len(payload)))
	return crc32.Update(crc32.Checksum(place[:], castagnoli), castagnoli, payload)
}

// segment is what a segment holds.
type segment struct {
	id       [16]byte
	number   uint64
	payloads []journalPayload // of its whole frames, the checkpoint first
}

type journalPayload struct {
	at   int64
	data []byte // a part of the file
}

// parseSegment reads a segment. A torn last frame is left out: it was never acknowledged. It can be told from damage by what
// follows it, for a frame is written only after the ones before it are durable. So a damaged last frame passes for a torn one; no
// format that does a single write per commit can tell the two apart.
func parseSegment(data []byte) (s segment, err error) {
	if s.id, s.number, err = parseHeader(data); err != nil {
		return s, err
	}
	at := headerSize
	for at < len(data) {
		payload, ok := parseFrame(data, s.id, s.number, at)
		if !ok {
			break
		}
		s.payloads = append(s.payloads, journalPayload{int64(at), payload})
		at += frameHead + len(payload)
	}
	if len(s.payloads) == 0 {
		return s, &JournalDamageError{Offset: int64(at), Reason: "the checkpoint, which was durable before the file had its name, is not whole"}
	}
	if later, ok := frameBehind(data, s, at); ok {
		return s, &JournalDamageError{Offset: int64(at), Reason: fmt.Sprintf("no whole frame is here, but one follows at byte %d", later)}
	}
	return s, nil
}

func parseHeader(data []byte) (id [16]byte, number uint64, err error) {
	if len(data) < headerSize || string(data[:len(segmentMagic)]) != segmentMagic {
		return id, 0, &JournalDamageError{Reason: "this is no header of a journal's segment"}
	}
	body := data[:headerSize-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(data[len(body):]) {
		return id, 0, &JournalDamageError{Reason: "the checksum of the header does not fit"}
	}
	body = body[len(segmentMagic):]
	if v := binary.BigEndian.Uint32(body); v != segmentVersion {
		return id, 0, &JournalDamageError{Reason: fmt.Sprintf("version %d is not known here", v)}
	}
	copy(id[:], body[4:])
	return id, binary.BigEndian.Uint64(body[20:]), nil
}

// parseFrame returns the payload of the whole frame at byte at, if there is one.
func parseFrame(data []byte, id [16]byte, number uint64, at int) (payload []byte, ok bool) {
	rest := data[at:]
	if len(rest) < frameHead || !bytes.HasPrefix(rest, frameMark(id)) {
		return nil, false
	}
	length := binary.BigEndian.Uint32(rest[4:])
	if uint64(length) > uint64(len(rest)-frameHead) {
		return nil, false
	}
	payload = rest[frameHead : frameHead+int(length)]
	return payload, frameSum(id, number, int64(at), payload) == binary.BigEndian.Uint32(rest[8:])
}

// frameBehind looks for a whole frame anywhere behind byte at.
func frameBehind(data []byte, s segment, at int) (found int, ok bool) {
	for at++; at < len(data); at++ {
		next := bytes.Index(data[at:], frameMark(s.id))
		if next < 0 {
			return 0, false
		}
		at += next
		if _, ok := parseFrame(data, s.id, s.number, at); ok {
			return at, true
		}
	}
	return 0, false
}
