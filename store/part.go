package store

import (
	"context"
	"errors"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/position"
)

// ErrMoved is a write that belongs to a bucket which is not on this part: nothing was made. Ask the directory again.
var ErrMoved = errors.New("store: the bucket is elsewhere")

// Part is the capability of an engine to hold some of the buckets, beside other parts that hold the rest. Package shard makes
// one store of several parts.
//
// A fact lies on the bucket in its id: what a user is, wrote and does on the user's, likes, comments and views on their
// post's. Two kinds of facts concern a second user, who may be elsewhere: follows and blocks. Such a write makes its own half,
// and a [Mirror] that tells the other part to make the other half. Mutes have no other half, and requests lie with whom they are for.
//
//	this part                                 the part that has the target
//	follow: follows, following + 1, Mirror ──▶ Apply: followers, followers + 1
//	                                     ◀──── Settle: the Mirror is forgotten, or its fact undone where it was refused
//
// What a Part's writes take for granted of a user who is elsewhere: that it exists, unless its erasure was applied here;
// whoever calls has looked before; and of CompleteFollow's target, that no leave is wanted. What they refuse with [ErrMoved]: a write on what is missing here because its bucket is
// elsewhere. A part that holds all buckets writes no mirrors and never refuses so.
type Part interface {
	Store
	Mirrors
	Names
	DirectoryKeeper

	// System is the part's own: what its positions bear.
	System(ctx context.Context) (uint64, error)
	// Elsewhere are the buckets that are not here; SetElsewhere changes that, durably. A new part has all.
	Elsewhere(ctx context.Context) (Buckets, error)
	SetElsewhere(ctx context.Context, b Buckets) error

	// PostsOf is Home for authors who are named: their posts here, newest id first, below before.
	PostsOf(ctx context.Context, authors []freshet.ID, before freshet.ID, limit int) ([]freshet.PostRef, error)
	// CredentialsOf is Credentials of a user that is known already.
	CredentialsOf(ctx context.Context, user freshet.ID) (freshet.Credentials, error)
	// Between tells what the bucket of a user, which is here, knows of it and another one; a user who is not there is
	// freshet.ErrNotFound.
	Between(ctx context.Context, user, other freshet.ID) (Between, error)
	// Halves lists follows (or blocks, by kind) between a user here and one elsewhere: originals, or mirrors of what lies
	// elsewhere. They come in the order of the user here and then of the other one, after that pair.
	Halves(ctx context.Context, q HalfQuery) ([]Half, error)
}

// Between is what stands between a user and another one.
type Between struct {
	Private  bool // the user is
	Asked    bool // the other has asked the user for a follow, and does not follow yet
	Accepted bool // and the user has accepted that
	Follows  bool // the user follows the other
	Apart    bool // one blocks the other
}

// MirrorKind says what a [Mirror] tells.
type MirrorKind uint8

// The kinds of mirror.
const (
	FollowMade  MirrorKind = iota + 1 // Actor follows Target by Edge
	FollowEnded                       // the follow of that edge has ended
	BlockMade                         // Actor blocks Target by Edge
	BlockEnded                        // the block of that edge has ended
	Erasure                           // Actor was erased; Target is zero: it goes to all other parts
)

// Mirror is what a write on one part has to tell another one, which has the bucket of Target.
type Mirror struct {
	ID     freshet.ID // no other mirror of any part has it
	Kind   MirrorKind
	Actor  freshet.ID
	Target freshet.ID
	Edge   freshet.ID
	Also   []freshet.ID // of an erasure: users elsewhere who had a follow, block or mute from or to Actor; of a follow, if not empty: nobody is notified
}

// Applied is what came of a mirror, also where it had been applied before.
type Applied struct {
	// Refused: the other half can't be, because Target does not exist (any more), or, for a follow, blocks Actor, or is private
	// and has not accepted Actor.
	Refused bool
	// Parents are others' posts that lost a like or comment by an erasure, Neighbors users here who had a follow, block or
	// mute from or to who was erased; both are empty where it had been applied before.
	Parents, Neighbors []freshet.ID
}

// Settled is a mirror that needs no part any more.
type Settled struct {
	ID      freshet.ID
	Refused bool // its fact is undone
}

// Mirrors is how parts tell each other. A mirror commits with its fact, so none is lost, and each is applied once.
type Mirrors interface {
	// Pending lists mirrors that were written here and not settled, oldest first: those whose Target is in one of the
	// buckets, and erasures. Those between the same two users come in the order in which their facts were made.
	Pending(ctx context.Context, to Buckets, limit int) ([]Mirror, error)
	// Apply makes the other halves, in order and in one transaction, and tells of each what came of it. One that was
	// applied before is left out, as its ID tells, for at least a day. Applying a block ends the follow of Target to
	// Actor, whose other half is elsewhere: this part has mirrors to tell then.
	Apply(ctx context.Context, m []Mirror) ([]Applied, position.Token, error)
	// Settle forgets mirrors that were written here, and undoes the facts of those that were refused: the follow or block of
	// that edge, if it is still there, with its counter. Unknown ones are passed over.
	Settle(ctx context.Context, done []Settled) (position.Token, error)
}

// Half is a fact between a user here and one elsewhere.
type Half struct{ Here, There, Edge freshet.ID }

// HalfQuery asks for halves; see [Part.Halves].
type HalfQuery struct {
	Blocks bool // not follows
	Mirror bool // where Here is the target
	After  Half // zero: from the start; its Edge is not looked at
	Limit  int
}

// Names is how a user is called where handles and refs are unique: on the part that is home, while the user itself lies
// elsewhere. What decides is the user's own row. So whoever signs a user up, or gives it another handle, first claims the names
// here, then writes the user on its part, then settles the claim. Where that stops midway the names stay pending, and whoever
// wants them next asks the user's part what became of it (EndClaim).
type Names interface {
	// DrawUserID draws an id for a new user of a bucket that is here.
	DrawUserID(ctx context.Context, bucket int) (freshet.ID, error)

	// ClaimNames takes names for a user, all or none. A name that another user has, or claims, is returned with
	// nothing taken. One that the user has already becomes pending under this claim.
	ClaimNames(ctx context.Context, c NameClaim) (taken []Name, err error)
	// SettleNames ends a claim. Where it was kept its names become the user's, and those that earlier claims of the user took
	// are free. Where it was not they are free, unless the user had them before.
	SettleNames(ctx context.Context, c NameClaim, kept bool) (position.Token, error)
	// NameOf and RefOf give what is known of a handle and of a ref, or freshet.ErrNotFound.
	NameOf(ctx context.Context, handle string) (Name, error)
	RefOf(ctx context.Context, ref string) (Name, error)

	// CreateNamed is CreateUser for an id that was drawn here and names that were claimed for it. The claim's ID is the user's.
	CreateNamed(ctx context.Context, id freshet.ID, u freshet.NewUser, w Write) (freshet.User, position.Token, error)
	// UpdateNamed is UpdateUser for a handle that was claimed, or none. Of a user's claims only one above all that were used counts; else
	// it is a conflict.
	UpdateNamed(ctx context.Context, id freshet.ID, p freshet.UserPatch, claim freshet.ID, w Write) (freshet.User, position.Token, error)
	// EndClaim sees to it that a claim is not used any more by CreateNamed or UpdateNamed, which then fail with a conflict,
	// and tells how the user is called here; "" where there is no such user.
	EndClaim(ctx context.Context, claim, user freshet.ID) (handle, ref string, err error)
}

// NameClaim is a claim on names for a user.
type NameClaim struct {
	ID     freshet.ID // a new user's own, or one drawn for this
	User   freshet.ID
	Handle string // "" for none
	Ref    string // "" for none
}

// Name is who has a handle or a ref.
type Name struct {
	User    freshet.ID
	Claim   freshet.ID // the one under which it was taken last
	Pending bool       // the user's row decides whether it is the user's
}

// DirectoryKeeper is what makes a part fit to be home.
type DirectoryKeeper interface {
	// Directory gives what was kept last; Epoch zero: nothing was.
	Directory(ctx context.Context) (Directory, error)
	// SetDirectory keeps a directory whose Epoch is above that of the last here. Else it is a conflict: somebody was sooner.
	SetDirectory(ctx context.Context, d Directory) error
}
