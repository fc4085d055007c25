package notify_test

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/notify"
	"github.com/freshet/freshet/position"
	"github.com/freshet/freshet/store"
)

// A reader who follows 7 is told what 7 writes.
func ExampleHub() {
	const reader, author, post = 1, 7, 42
	hub := notify.New(notify.Options{
		Shards: 1,
		Relations: func(context.Context, freshet.ID, position.Token) (*freshet.Relations, error) {
			return &freshet.Relations{Following: []freshet.ID{author}}, nil
		},
	})
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go hub.Run(ctx)

	at := position.Position{System: 1, Timeline: 1, Offset: 10}
	hub.Begin(0, at)
	hub.Publish(0, nil, at, false) // there is nothing yet

	s, err := hub.Subscribe(ctx, notify.Watcher{User: reader}, "")
	if err != nil {
		panic(err)
	}
	defer s.Close()
	at.Offset++
	hub.Publish(0, []store.Change{{At: at, Kind: store.PostCreated, Subject: post, Object: author}}, at, false)

	events, err := s.Next(ctx, 10*time.Second, nil)
	fmt.Println(events[0].Kind, events[0].Post, err)
	// Output: post 42 <nil>
}
