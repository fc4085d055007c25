package store

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// Directory says which part has which bucket. The part that is home keeps it, and a change of it raises its Epoch.
type Directory struct {
	Epoch  uint64
	Parts  []uint64                // the systems of the parts' positions
	Since  []position.Position     // where each part must have come to be read, because buckets came there; zero: nowhere
	Owners [freshet.Buckets]uint16 // an index into Parts
}

// Home is the part that has bucket 0, and with it handles, refs, API keys, secrets and the directory.
func (d *Directory) Home() int { return int(d.Owners[0]) }

// Position is that of the directory itself: whoever has seen what it says is not to go by an earlier one.
func (d *Directory) Position() position.Position {
	return position.Position{System: bits.RotateLeft64(d.Parts[0], 32) ^ directorySystem, Timeline: 1, Offset: d.Epoch}
}

// directorySystem keeps a directory's system apart from its parts'.
const directorySystem = 0x6469726563746f72

// keptParts is how Parts and Since are kept.
type keptParts struct {
	Systems []uint64            `json:"systems"`
	Since   []position.Position `json:"since,omitempty"`
}

// Encode gives what an engine keeps of a directory beside its epoch.
func (d *Directory) Encode() (parts string, owners []byte) {
	text, err := json.Marshal(keptParts{d.Parts, d.Since})
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
	var kept keptParts
	if err := json.Unmarshal([]byte(parts), &kept); err != nil {
		if json.Unmarshal([]byte(parts), &kept.Systems) != nil { // as it was kept before buckets moved
			return fmt.Errorf("decode directory: %w", err)
		}
	}
	d.Parts, d.Since = kept.Systems, kept.Since
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
