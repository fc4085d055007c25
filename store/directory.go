package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/freshet/freshet"
)

// Directory says which part has which bucket. The part that is home keeps it, and a change of it raises its Epoch.
type Directory struct {
	Epoch  uint64
	Parts  []uint64                // the systems of the parts' positions, home first
	Owners [freshet.Buckets]uint16 // an index into Parts
}

// Encode gives what an engine keeps of a directory beside its epoch.
func (d *Directory) Encode() (parts string, owners []byte) {
	text, err := json.Marshal(d.Parts)
	if err != nil {
		panic(err) // numbers always can be
	}
	for _, n := range d.Owners {
		owners = binary.BigEndian.AppendUint16(owners, n)
	}
	return string(text), owners
}

// Decode reads what Encode gave. The epoch is left as it is.
func (d *Directory) Decode(parts string, owners []byte) error {
	if err := json.Unmarshal([]byte(parts), &d.Parts); err != nil {
		return fmt.Errorf("decode directory: %w", err)
	}
	if len(owners) != 2*freshet.Buckets {
		return fmt.Errorf("decode directory: %d bytes of owners, want %d", len(owners), 2*freshet.Buckets)
	}
	for i := range d.Owners {
		if d.Owners[i] = binary.BigEndian.Uint16(owners[2*i:]); int(d.Owners[i]) >= len(d.Parts) {
			return fmt.Errorf("decode directory: bucket %d is on part %d of %d", i, d.Owners[i], len(d.Parts))
		}
	}
	return nil
}
