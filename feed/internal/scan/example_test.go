package scan_test

import (
	"fmt"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/feed"
	"github.com/freshet/freshet/feed/internal/scan"
)

// Who is followed shows, in the order in which candidates come, each once.
func ExampleScan() {
	s := scan.New(feed.Query{Reader: 1, Limit: 2}, &freshet.Relations{Following: []freshet.ID{7, 8}, Hidden: []freshet.ID{8}})
	for _, post := range []freshet.PostRef{{ID: 50, Author: 7}, {ID: 50, Author: 7}, {ID: 40, Author: 8}, {ID: 30, Author: 9}, {ID: 20, Author: 1}, {ID: 10, Author: 7}} {
		if s.Take(post) {
			break
		}
	}
	fmt.Printf("%+v\n", s.Page())
	// Output: {Refs:[{ID:50 Author:7} {ID:20 Author:1}] Scanned:20}
}
