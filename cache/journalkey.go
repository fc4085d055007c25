package cache

import (
	"encoding/binary"
	"fmt"
	"reflect"
)

// journalKeys is the codec of keys that nobody has named one for: strings as they are, integers as eight bytes in the order of
// the numbers. ok is false for other kinds.
func journalKeys[K comparable]() (codec Codec[K], ok bool) {
	switch t := reflect.TypeFor[K](); {
	case t.Kind() == reflect.String, t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return keysByKind[K]{}, true
	}
	return nil, false
}

type keysByKind[K comparable] struct{}

// signBit turned over puts negative numbers before the others.
const signBit = 1 << 63

func (keysByKind[K]) Append(buf []byte, key K) ([]byte, error) {
	v := reflect.ValueOf(&key).Elem()
	switch {
	case v.Kind() == reflect.String:
		return append(buf, v.String()...), nil
	case v.CanInt():
		return binary.BigEndian.AppendUint64(buf, uint64(v.Int())^signBit), nil
	}
	return binary.BigEndian.AppendUint64(buf, v.Uint()), nil
}

func (keysByKind[K]) Decode(data []byte) (key K, err error) {
	v := reflect.ValueOf(&key).Elem()
	if v.Kind() == reflect.String {
		v.SetString(string(data))
		return key, nil
	}
	if len(data) != 8 {
		return key, fmt.Errorf("a number of %d bytes", len(data))
	}
	n := binary.BigEndian.Uint64(data)
	switch {
	case v.CanInt() && !v.OverflowInt(int64(n^signBit)):
		v.SetInt(int64(n ^ signBit))
	case v.CanUint() && !v.OverflowUint(n):
		v.SetUint(n)
	default:
		return key, fmt.Errorf("%d does not fit %v", n, v.Type())
	}
	return key, nil
}
