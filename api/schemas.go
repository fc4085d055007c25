package api

import (
	"encoding/json"
	"time"

	"github.com/freshet/freshet"
)

// The types below are the document's: bodies are decoded into the first kind,
// and answers, which the renderer writes by hand, look like the second. A test
// holds the renderer against them.

type (
	newUser struct {
		Handle   string `json:"handle" doc:"1 to 30 letters a-z, digits and underscores; unique without regard to case" example:"ada"`
		Name     string `json:"name" minLength:"1" example:"Ada"`
		Password string `json:"password" doc:"At least 8 characters"`
		Email    string `json:"email,omitempty" doc:"Shown to the user alone"`
	}
	upsertedUser struct {
		Handle    string `json:"handle,omitempty" doc:"Drawn from the id where a new user has none"`
		Name      string `json:"name" minLength:"1"`
		AvatarURL string `json:"avatar_url,omitempty"`
	}
	userPatch struct {
		Name    *string `json:"name,omitempty" minLength:"1"`
		Bio     *string `json:"bio,omitempty"`
		Email   *string `json:"email,omitempty" doc:"Empty removes it"`
		Private *bool   `json:"private,omitempty"`
	}
	newSession struct {
		Handle   string `json:"handle"`
		Password string `json:"password"`
	}
	newToken struct {
		Purpose   string `json:"purpose,omitempty" enum:"stream" doc:"A ticket for /v1/feed/stream?ticket= instead, which opens streams for one minute"`
		ExpiresIn *int   `json:"expires_in,omitempty" minimum:"1" doc:"Seconds; default and most: one hour"`
	}
	newPost struct {
		Text string          `json:"text,omitempty" doc:"May be empty with data"`
		Data json.RawMessage `json:"data,omitempty" doc:"Any JSON, kept and shown as it is"`
		Ref  string          `json:"ref,omitempty" doc:"Your own name for the post; unique per author"`
	}
	postPatch struct {
		Text *string         `json:"text,omitempty"`
		Data json.RawMessage `json:"data,omitempty" doc:"null removes it"`
	}
	newComment struct {
		Text string `json:"text" minLength:"1"`
	}
)

type (
	// Author is a user as the author of something.
	Author struct {
		ID        freshet.ID `json:"id"`
		Ref       string     `json:"ref,omitempty"`
		Handle    string     `json:"handle"`
		Name      string     `json:"name"`
		AvatarURL string     `json:"avatar_url"`
	}
	// User is a whole user.
	User struct {
		Author
		Bio            string    `json:"bio"`
		Email          *string   `json:"email,omitempty" doc:"In the user's own view alone"`
		Private        bool      `json:"private" doc:"Posts and lists are for accepted followers alone"`
		FollowersCount int64     `json:"followers_count"`
		FollowingCount int64     `json:"following_count"`
		PostsCount     int64     `json:"posts_count"`
		CreatedAt      time.Time `json:"created_at"`
	}
	// Post is a post as a viewer sees it.
	Post struct {
		ID           freshet.ID      `json:"id"`
		Ref          string          `json:"ref,omitempty"`
		Text         string          `json:"text"`
		Data         json.RawMessage `json:"data,omitempty"`
		Media        []struct{}      `json:"media" nullable:"false" doc:"Always empty in this version"`
		CreatedAt    time.Time       `json:"created_at"`
		EditedAt     *time.Time      `json:"edited_at,omitempty" doc:"Only if it was edited"`
		Author       Author          `json:"author"`
		LikeCount    int64           `json:"like_count"`
		CommentCount int64           `json:"comment_count"`
		Liked        *bool           `json:"liked,omitempty" doc:"By you; only if you are signed in"`
	}
	// FollowState is what became of a follow that is not there yet.
	FollowState struct {
		State string `json:"state" enum:"requested"`
	}
	// Comment is an answer below a post.
	Comment struct {
		ID        freshet.ID `json:"id"`
		PostID    freshet.ID `json:"post_id"`
		Author    Author     `json:"author"`
		Text      string     `json:"text"`
		CreatedAt time.Time  `json:"created_at"`
	}
	// Notification is something that you were told.
	Notification struct {
		ID        freshet.ID  `json:"id"`
		Kind      string      `json:"kind" enum:"like,comment,follow,request,accepted,inbound"`
		Actor     *Author     `json:"actor,omitempty" doc:"Who did it"`
		PostID    *freshet.ID `json:"post_id,omitempty" doc:"Of a like or comment"`
		CommentID *freshet.ID `json:"comment_id,omitempty" doc:"Of a comment"`
		Text      string      `json:"text,omitempty" doc:"Of what came from elsewhere"`
		Seen      bool        `json:"seen"`
		CreatedAt time.Time   `json:"created_at"`
	}
	// Liked is the state of a like.
	Liked struct {
		LikeCount int64 `json:"like_count"`
		Liked     bool  `json:"liked"`
	}
	// PostStats says how a post fares.
	PostStats struct {
		PostID   freshet.ID  `json:"post_id"`
		Views    int64       `json:"views" doc:"Since the post was written"`
		Reach    int64       `json:"reach" doc:"Different signed-in readers among the viewers"`
		Likes    int64       `json:"likes"`
		Comments int64       `json:"comments"`
		Hours    []HourStats `json:"hours" nullable:"false" doc:"The oldest first; hours in which nothing happened are there too"`
	}
	// HourStats is what happened to a post in one hour.
	HourStats struct {
		Hour     time.Time `json:"hour" doc:"Its beginning, UTC"`
		Views    int64     `json:"views"`
		Likes    int64     `json:"likes" doc:"Given in this hour and not taken back since"`
		Comments int64     `json:"comments" doc:"Written in this hour and not deleted since"`
	}
	// FeedReason says why a post is in your home feed, or is not.
	FeedReason struct {
		PostID   freshet.ID `json:"post_id"`
		AuthorID freshet.ID `json:"author_id"`
		InFeed   bool       `json:"in_feed"`
		Relation string     `json:"relation" enum:"self,following,hidden,none" doc:"What the author is to you; hidden: muted"`
		Mode     string     `json:"mode" enum:"push,pull,hybrid,adaptive"`
		Edge     string     `json:"edge,omitempty" enum:"push,merge" doc:"Whether this author's posts come into your timeline once they are written, or are merged when you read"`
		Found    string     `json:"found,omitempty" enum:"in_flight,timeline,ring,store" doc:"Where the next page finds it"`
		Cost     *FeedCost  `json:"cost,omitempty" doc:"In the mode adaptive"`
	}
	// FeedCost is what one author costs in your feed, pushed or merged, by the estimated rates.
	FeedCost struct {
		Reads float64 `json:"reads_per_hour" doc:"First pages that you read"`
		Posts float64 `json:"posts_per_hour" doc:"Posts of the author"`
		Push  float64 `json:"push_ns_per_hour" doc:"Nanoseconds of CPU an hour"`
		Merge float64 `json:"merge_ns_per_hour" doc:"Nanoseconds of CPU an hour"`
	}
	// RankedPost is a post's place in a leaderboard.
	RankedPost struct {
		Score float64 `json:"score" doc:"What happened to it, in likes of this moment"`
		Post  Post    `json:"post"`
	}
	// RankedUser is an author's place in a leaderboard.
	RankedUser struct {
		Score float64 `json:"score" doc:"What happened to the author and the author's posts, in likes of this moment"`
		User  User    `json:"user"`
	}
	// Session is one sign-in.
	Session struct {
		ID        freshet.ID `json:"id"`
		Current   bool       `json:"current" doc:"This request was made with it"`
		Agent     string     `json:"agent" doc:"The User-Agent that signed in"`
		CreatedAt time.Time  `json:"created_at"`
		UsedAt    time.Time  `json:"used_at" doc:"Kept at most hourly"`
		ExpiresAt time.Time  `json:"expires_at"`
	}
	// SignedIn is the answer to a sign-in.
	SignedIn struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at" doc:"Moves with every use"`
		User      User      `json:"user"`
	}
	// Token is a user token, or the ticket of a stream.
	Token struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
)
