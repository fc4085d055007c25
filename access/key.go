package access

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
)

// keyRef finds an API key: by the hash of its text when it is presented, by its
// id when a user token names it. The other field is zero.
type keyRef struct {
	hash [32]byte
	id   freshet.ID
}

// text tells refs apart, and fences of them on other nodes; it bears no more than the hash.
func (r keyRef) text() string {
	var b [len(r.hash) + 8]byte
	binary.BigEndian.PutUint64(b[copy(b[:], r.hash[:]):], uint64(r.id))
	return string(b[:])
}

const maxKeyName = 100 // characters

// CreateKey makes an API key and gives its text this once. It works at once. A
// name that is in force already is a conflict.
func (a *Authenticator) CreateKey(ctx context.Context, name string, admin bool) (key freshet.APIKey, text string, err error) {
	if name == "" {
		return key, "", freshet.Invalid("name", "is empty")
	}
	if err := freshet.CheckLine("name", name, maxKeyName); err != nil {
		return key, "", err
	}
	text, hash := newToken(keyPrefix)
	key, err = a.store.CreateKey(ctx, freshet.APIKey{Name: name, Hash: hash, Admin: admin, CreatedAt: a.now()})
	if err != nil {
		return freshet.APIKey{}, "", err
	}
	return key, text, a.fenceKey(ctx, key, a.keys.Invalidate)
}

// ListKeys gives all API keys, also those revoked.
func (a *Authenticator) ListKeys(ctx context.Context) ([]freshet.APIKey, error) {
	return a.store.Keys(ctx)
}

// RevokeKey ends the API key of a name and with it the user tokens that it made,
// on every node when it returns nil. With [cache.ErrUnconfirmed] the key is
// revoked, but another node may serve it until it hears of that.
func (a *Authenticator) RevokeKey(ctx context.Context, name string) (freshet.APIKey, error) {
	key, err := a.store.RevokeKey(ctx, name, a.now())
	if err != nil {
		return key, err
	}
	return key, a.fenceKey(ctx, key, a.keys.InvalidateConfirmed)
}

func (a *Authenticator) fenceKey(ctx context.Context, k freshet.APIKey, invalidate func(context.Context, ...keyRef) error) error {
	if err := invalidate(committed(ctx), keyRef{hash: k.Hash}, keyRef{id: k.ID}); err != nil {
		return fmt.Errorf("fence API key: %w", err)
	}
	return nil
}

func (a *Authenticator) byKey(ctx context.Context, token string) (Principal, error) {
	hash, ok := hashToken(token, keyPrefix)
	if !ok {
		return Principal{}, errToken
	}
	k, err := a.key(ctx, keyRef{hash: hash})
	if err != nil {
		return Principal{}, err
	}
	return Principal{Kind: ByKey, Admin: k.Admin, Key: k.ID, KeyName: k.Name}, nil
}

// key gives an API key that is in force.
func (a *Authenticator) key(ctx context.Context, ref keyRef) (*freshet.APIKey, error) {
	k, err := a.keys.Get(ctx, ref)
	if errors.Is(err, cache.ErrNotFound) {
		return nil, errToken
	}
	if err != nil {
		return nil, fmt.Errorf("read API key: %w", err)
	}
	return k, nil
}

// loadKeys reads keys; what is revoked is absent.
func (a *Authenticator) loadKeys(ctx context.Context, refs []keyRef) (map[keyRef]*freshet.APIKey, error) {
	found := make(map[keyRef]*freshet.APIKey, len(refs))
	for _, ref := range refs {
		k, err := a.readKey(ctx, ref)
		switch {
		case freshet.CodeOf(err) == freshet.CodeNotFound:
		case err != nil:
			return nil, err
		case k.RevokedAt.IsZero():
			found[ref] = &k
		}
	}
	return found, nil
}

func (a *Authenticator) readKey(ctx context.Context, ref keyRef) (freshet.APIKey, error) {
	if ref.id == 0 {
		return a.store.KeyByHash(ctx, ref.hash)
	}
	all, err := a.store.Keys(ctx) // few, and read once a minute
	for _, k := range all {
		if k.ID == ref.id {
			return k, err
		}
	}
	if err != nil {
		return freshet.APIKey{}, err
	}
	return freshet.APIKey{}, freshet.NotFound("API key")
}
