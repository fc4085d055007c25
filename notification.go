package freshet

// Notification tells a user of something that concerns it. It is there as long as what it tells of is, and for a time.
type Notification struct {
	ID      ID // drawn when it happened: it bears the time
	User    ID // who is told
	Kind    NotificationKind
	Actor   ID     // who did it; zero: nobody
	Post    ID     // of a like or comment
	Comment ID     // of a comment
	Text    string // of what came from elsewhere
	Seen    bool
}

// NotificationKind says what a [Notification] tells of.
type NotificationKind uint8

// The kinds of notification.
const (
	NotifyLike     NotificationKind = iota + 1 // Actor likes Post
	NotifyComment                              // Actor wrote Comment on Post
	NotifyFollow                               // Actor follows the user
	NotifyRequest                              // Actor asks to follow the user
	NotifyAccepted                             // Actor has accepted the user's request, which is a follow now
	NotifyInbound                              // Text came from elsewhere
)

// String is the kind as the API spells it.
func (k NotificationKind) String() string {
	return [...]string{"", "like", "comment", "follow", "request", "accepted", "inbound"}[k]
}
