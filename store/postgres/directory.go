package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/freshet/freshet/internal/pgdb"
	"github.com/freshet/freshet/store"
)

// System is that of the database's positions.
func (d *DB) System(ctx context.Context) (uint64, error) {
	at, _, err := d.Where(ctx)
	return at.System, err
}

// Directory gives the directory that was kept last.
func (d *DB) Directory(ctx context.Context) (out store.Directory, err error) {
	err = d.db.Read(ctx, "SELECT epoch, parts, owners FROM directory", nil, func(r pgx.Rows) error {
		var epoch int64
		var parts string
		var owners []byte
		if err := r.Scan(&epoch, &parts, &owners); err != nil {
			return err
		}
		out.Epoch = uint64(epoch)
		return out.Decode(parts, owners)
	})
	return out, err
}

// SetDirectory keeps a directory.
func (d *DB) SetDirectory(ctx context.Context, dir store.Directory) error {
	parts, owners := dir.Encode()
	_, err := d.write(ctx, store.Write{}, pgdb.Call{SQL: "SELECT set_directory($1, $2, $3)", Args: []any{int64(dir.Epoch), parts, owners}})
	return err
}
