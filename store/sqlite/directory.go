package sqlite

import (
	"context"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// System is that of the file's positions.
func (d *DB) System(context.Context) (uint64, error) { return d.file.Position().System, nil }

// Directory gives the directory that was kept last.
func (d *DB) Directory(ctx context.Context) (out store.Directory, err error) {
	var parts string
	var owners []byte
	err = d.file.View(ctx, func(c *litedb.Conn) error {
		return c.Each("SELECT epoch, parts, owners FROM directory", nil, func(r *litedb.Rows) {
			out.Epoch, parts, owners = uint64(r.Int(0)), r.Text(1), r.Blob(2)
		})
	})
	if err == nil && out.Epoch > 0 {
		err = out.Decode(parts, owners)
	}
	return out, err
}

// SetDirectory keeps a directory.
func (d *DB) SetDirectory(ctx context.Context, dir store.Directory) error {
	parts, owners := dir.Encode()
	_, err := d.write(ctx, store.Write{}, func(t *tx) error {
		last, _, err := t.number("SELECT epoch FROM directory")
		if err != nil {
			return err
		}
		if uint64(last) >= dir.Epoch {
			return freshet.Conflict("epoch", "is not above that of the last directory")
		}
		if err := t.exec("DELETE FROM directory"); err != nil {
			return err
		}
		return t.exec("INSERT INTO directory (epoch, parts, owners) VALUES (?, ?, ?)", int64(dir.Epoch), parts, owners)
	})
	return err
}
