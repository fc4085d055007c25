package cache

import (
	"encoding/json"
	"fmt"
)

// Codec turns values into bytes for the remote layer, and back. It is safe for concurrent use. Memory holds values as they
// are, so a hit there decodes nothing.
type Codec[V any] interface {
	// Append appends the bytes of v to buf.
	Append(buf []byte, v V) ([]byte, error)
	// Decode makes a value of bytes that it may not keep.
	Decode(data []byte) (V, error)
}

// JSON is the codec of a space that names none: encoding/json. It is safe and slow, some 2 µs to decode a value of 230 B; a
// space that is read from the remote layer a lot deserves a faster one.
func JSON[V any]() Codec[V] { return jsonCodec[V]{} }

type jsonCodec[V any] struct{}

func (jsonCodec[V]) Append(buf []byte, v V) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode JSON: %w", err)
	}
	return append(buf, data...), nil
}

func (jsonCodec[V]) Decode(data []byte) (v V, err error) {
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("decode JSON: %w", err)
	}
	return v, nil
}
