package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
	"github.com/freshet/freshet/internal/litedb"
	"github.com/freshet/freshet/store"
)

// Admin carries out commands on a data folder: on the folder itself where no
// process serves it, else through the socket of the process that does. Close it
// after use.
type Admin struct {
	node   *Node         // one of the two is set
	remote *socketClient // of the serving process
}

// op is one command: its name on the socket and what it does on an open node.
type op[I, O any] struct {
	name string
	run  func(ctx context.Context, n *Node, in I) (O, error)
}

// ops are the commands by name; the socket serves these and no others.
var ops = map[string]func(ctx context.Context, n *Node, in json.RawMessage) (any, error){}

func newOp[I, O any](name string, run func(ctx context.Context, n *Node, in I) (O, error)) op[I, O] {
	ops[name] = func(ctx context.Context, n *Node, raw json.RawMessage) (any, error) {
		var in I
		if err := json.Unmarshal(raw, &in); err != nil {
			return nil, &freshet.Error{Code: freshet.CodeMalformed, Message: "the command can't be read: is the client of the same version?", Err: err}
		}
		return run(ctx, n, in)
	}
	return op[I, O]{name, run}
}

func (o op[I, O]) do(ctx context.Context, a *Admin, in I) (out O, err error) {
	if a.node != nil {
		return o.run(ctx, a.node, in)
	}
	return out, a.remote.call(ctx, o.name, in, &out)
}

// Remote reports whether another process carries out the commands.
func (a *Admin) Remote() bool { return a.remote != nil }

// Close lets go of the folder or the connection.
func (a *Admin) Close() error {
	if a.node != nil {
		return a.node.Close()
	}
	a.remote.close()
	return nil
}

// none is the input or output of a command that has none.
type none struct{}

// Account is a user as the commands show it.
type Account struct {
	ID        freshet.ID `json:"id"`
	Ref       string     `json:"ref,omitempty"`
	Handle    string     `json:"handle"`
	Name      string     `json:"name"`
	Followers int64      `json:"followers_count"`
	Following int64      `json:"following_count"`
	Posts     int64      `json:"posts_count"`
	CreatedAt time.Time  `json:"created_at"`
}

func account(u freshet.User) Account {
	return Account{u.ID, u.Ref, u.Handle, u.Name, u.FollowersCount, u.FollowingCount, u.PostsCount, u.CreatedAt}
}

// NewAccount is what CreateUser takes.
type NewAccount struct {
	Handle, Name, Email, Password string
	Admin                         bool
}

// Key is an API key as the commands show it. Plain is set once, when it is made.
type Key struct {
	Name      string     `json:"name"`
	Admin     bool       `json:"admin"`
	CreatedAt time.Time  `json:"created_at"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Plain     string     `json:"key,omitempty"`
}

func key(k freshet.APIKey, plain string) Key {
	out := Key{Name: k.Name, Admin: k.Admin, CreatedAt: k.CreatedAt, Plain: plain}
	if !k.RevokedAt.IsZero() {
		out.RevokedAt = &k.RevokedAt
	}
	return out
}

type (
	newPassword struct {
		Handle, Password string
		Admin            bool
	}
	newKey struct {
		Name  string
		Admin bool
	}
	pageOfUsers struct {
		After freshet.ID
		Limit int
	}
	verification struct {
		Sample int
		Fix    bool
	}
)

// cached names what is cached: a key of a space, all of a space, or what bears
// a tag.
type cached struct {
	Space, Key, Tag string
	All             bool // of the space
}

// What the commands show of caches.
type (
	CacheInspection = cache.Inspection
	CacheLayer      = cache.Layer
	CacheStats      = cache.Stats
	CacheHealth     = cache.Health
)

// Verified is what Verify found.
type Verified struct {
	Checked int               `json:"checked"`
	Found   []store.Violation `json:"violations"`
	Fixed   bool              `json:"fixed"`
}

// The commands.
var (
	createUser = newOp("user.create", func(ctx context.Context, n *Node, in NewAccount) (Account, error) {
		return n.createUser(ctx, in)
	})
	setPassword = newOp("user.passwd", func(ctx context.Context, n *Node, in newPassword) (none, error) {
		return none{}, n.setPassword(ctx, in)
	})
	listUsers = newOp("user.list", func(ctx context.Context, n *Node, in pageOfUsers) ([]Account, error) {
		users, err := n.store.ListUsers(ctx, in.After, in.Limit)
		out := make([]Account, len(users))
		for i, u := range users {
			out[i] = account(u)
		}
		return out, err
	})
	createKey = newOp("apikey.create", func(ctx context.Context, n *Node, in newKey) (Key, error) {
		k, plain, err := n.auth.CreateKey(ctx, in.Name, in.Admin)
		return key(k, plain), err
	})
	listKeys = newOp("apikey.list", func(ctx context.Context, n *Node, _ none) ([]Key, error) {
		keys, err := n.auth.ListKeys(ctx)
		out := make([]Key, len(keys))
		for i, k := range keys {
			out[i] = key(k, "")
		}
		return out, err
	})
	revokeKey = newOp("apikey.revoke", func(ctx context.Context, n *Node, name string) (Key, error) {
		k, err := n.auth.RevokeKey(ctx, name)
		return key(k, ""), err
	})
	importFollows = newOp("import.follows", func(ctx context.Context, n *Node, rows []store.ImportedFollow) (store.ImportCount, error) {
		return n.social.ImportFollows(ctx, rows)
	})
	importPosts = newOp("import.posts", func(ctx context.Context, n *Node, rows []store.ImportedPost) (store.ImportCount, error) {
		return n.social.ImportPosts(ctx, rows)
	})
	verify = newOp("verify", func(ctx context.Context, n *Node, in verification) (Verified, error) {
		return n.verify(ctx, in)
	})
	cacheGet = newOp("cache.get", func(ctx context.Context, n *Node, in cached) (cache.Inspection, error) {
		out, err := n.stack.Inspect(ctx, in.Space, in.Key)
		return out, n.spaceError(err)
	})
	cachePurge = newOp("cache.purge", func(ctx context.Context, n *Node, in cached) (none, error) {
		return none{}, n.spaceError(n.purge(ctx, in))
	})
	cacheStats = newOp("cache.stats", func(_ context.Context, n *Node, _ none) ([]cache.Stats, error) {
		return n.stack.Stats(), nil
	})
	cacheHealth = newOp("cache.health", func(_ context.Context, n *Node, _ none) (cache.Health, error) {
		return n.stack.Health(), nil
	})
	backup = newOp("backup", func(ctx context.Context, n *Node, file string) (none, error) {
		return none{}, n.backup(ctx, file)
	})
)

// CreateUser makes a user with a password.
func (a *Admin) CreateUser(ctx context.Context, in NewAccount) (Account, error) {
	return createUser.do(ctx, a, in)
}

// SetPassword gives a user a new password, makes it an administrator if asked,
// and ends its sessions.
func (a *Admin) SetPassword(ctx context.Context, handle, password string, admin bool) error {
	_, err := setPassword.do(ctx, a, newPassword{handle, password, admin})
	return err
}

// Users lists users by id after an id.
func (a *Admin) Users(ctx context.Context, after freshet.ID, limit int) ([]Account, error) {
	return listUsers.do(ctx, a, pageOfUsers{after, limit})
}

// CreateKey makes an API key, which works at once.
func (a *Admin) CreateKey(ctx context.Context, name string, admin bool) (Key, error) {
	return createKey.do(ctx, a, newKey{name, admin})
}

// Keys lists the API keys.
func (a *Admin) Keys(ctx context.Context) ([]Key, error) { return listKeys.do(ctx, a, none{}) }

// RevokeKey ends an API key at once.
func (a *Admin) RevokeKey(ctx context.Context, name string) (Key, error) {
	return revokeKey.do(ctx, a, name)
}

// Verify checks the invariants of the data, the caches and the timelines: of
// all users, or of about sample of them.
func (a *Admin) Verify(ctx context.Context, sample int, fix bool) (Verified, error) {
	return verify.do(ctx, a, verification{sample, fix})
}

// CacheGet tells what the serving node's caches hold under a key.
func (a *Admin) CacheGet(ctx context.Context, space, key string) (CacheInspection, error) {
	return cacheGet.do(ctx, a, cached{Space: space, Key: key})
}

// CachePurge ends what all nodes' caches hold under a key of a space.
func (a *Admin) CachePurge(ctx context.Context, space, key string) error {
	_, err := cachePurge.do(ctx, a, cached{Space: space, Key: key})
	return err
}

// CachePurgeSpace ends all that a space holds, on all nodes.
func (a *Admin) CachePurgeSpace(ctx context.Context, space string) error {
	_, err := cachePurge.do(ctx, a, cached{Space: space, All: true})
	return err
}

// CachePurgeTag ends all that bears a tag, in all spaces and on all nodes.
func (a *Admin) CachePurgeTag(ctx context.Context, tag string) error {
	_, err := cachePurge.do(ctx, a, cached{Tag: tag})
	return err
}

// CacheStats tells what each space of the serving node has done.
func (a *Admin) CacheStats(ctx context.Context) ([]CacheStats, error) {
	return cacheStats.do(ctx, a, none{})
}

// CacheHealth tells how the serving node stands with the layer that it shares.
func (a *Admin) CacheHealth(ctx context.Context) (CacheHealth, error) {
	return cacheHealth.do(ctx, a, none{})
}

// Backup writes a copy of the data into a new file; the path must be absolute.
func (a *Admin) Backup(ctx context.Context, file string) error {
	_, err := backup.do(ctx, a, file)
	return err
}

func (n *Node) purge(ctx context.Context, what cached) error {
	switch {
	case what.Tag != "":
		return n.stack.InvalidateTags(ctx, what.Tag)
	case what.All:
		return n.stack.InvalidateAll(ctx, what.Space)
	}
	return n.stack.InvalidateKey(ctx, what.Space, what.Key)
}

// spaceError says which spaces there are to who names another.
func (n *Node) spaceError(err error) error {
	if errors.Is(err, cache.ErrUnknownSpace) {
		return &freshet.Error{
			Code: freshet.CodeNotFound, Message: "there is no such space; there are " + strings.Join(n.stack.Names(), ", "), Err: err,
		}
	}
	if errors.Is(err, cache.ErrKey) {
		return &freshet.Error{Code: freshet.CodeInvalid, Field: "key", Message: "is not a number, as the keys of this space are", Err: err}
	}
	return err
}

func (n *Node) createUser(ctx context.Context, in NewAccount) (Account, error) {
	hash, err := n.auth.HashPassword(ctx, in.Password)
	if err != nil {
		return Account{}, err
	}
	u, _, err := n.social.SignUp(ctx, freshet.NewUser{
		Handle: in.Handle, Name: in.Name, Email: in.Email, PasswordHash: hash, Admin: in.Admin,
	}, store.Write{})
	if err != nil {
		return Account{}, err
	}
	return account(u.User), nil
}

func (n *Node) setPassword(ctx context.Context, in newPassword) error {
	id, err := n.store.UserByHandle(ctx, in.Handle)
	if err != nil {
		return err
	}
	return n.auth.SetPassword(ctx, id, in.Password, in.Admin)
}

// ensureAdmin makes the user admin with the configured password, or gives it
// that password if it has another.
func (n *Node) ensureAdmin(ctx context.Context) error {
	password := string(n.cfg.Admin.Password)
	if password == "" {
		return nil
	}
	cred, err := n.store.Credentials(ctx, "admin")
	switch {
	case errors.Is(err, freshet.ErrNotFound):
		_, err = n.createUser(ctx, NewAccount{Handle: "admin", Name: "Administrator", Password: password, Admin: true})
	case err == nil:
		var same bool
		if same, err = n.passwords.Verify(ctx, cred.PasswordHash, password); err == nil && (!same || !cred.Admin) {
			err = n.setPassword(ctx, newPassword{"admin", password, true})
		}
	}
	if err != nil {
		return fmt.Errorf("set up the administrator: %w", err)
	}
	return nil
}

// ErrNotServing says that the folder is taken but its owner does not answer.
var ErrNotServing = errors.New("the data folder is in use, but its owner does not answer")

// Locked reports whether err says that another process owns the data folder.
func Locked(err error) bool { return errors.Is(err, litedb.ErrLocked) || errors.Is(err, ErrNotServing) }
