package testenv

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// The generated network has the shape of the real one that we test with: a
// follow graph of 68,328 edges in which the most followed has hundreds of
// followers and the keenest follows thousands, and 12,118 short posts within
// two hours, many of them in the same second.
const (
	networkUsers  = 13_688
	networkEdges  = 68_328
	networkPosts  = 12_118
	postsPerBurst = 3 // about as many share a second
)

// networkBegin is the time of the first post.
var networkBegin = time.Date(2017, 8, 27, 0, 5, 34, 0, time.UTC)

// network is the generated network; a process makes it once.
var network = sync.OnceValues(generateNetwork)

// files are the contents of a data folder by the names of its files.
type files map[string][]byte

// generateNetwork makes both files. The seed is fixed: every run and every
// machine gets the same bytes.
func generateNetwork() (files, error) {
	rng := rand.New(rand.NewPCG(1, 2))
	follows, err := encodeCSV([]string{"follower", "followee"}, followRows(rng))
	if err != nil {
		return nil, err
	}
	posts, err := encodeCSV([]string{"author", "created_at", "text"}, postRows(rng))
	return files{FollowsFile: follows, PostsFile: posts}, err
}

// followRows draws edges whose both ends are power-law distributed (Zipf's law
// in the form ((v+k)/v)^-s: a larger v flattens the head), none twice and none
// to oneself. The two rankings are independent: who follows many is not famous.
func followRows(rng *rand.Rand) [][]string {
	keen, famous := rng.Perm(networkUsers), rng.Perm(networkUsers)
	byActivity := rand.NewZipf(rng, 1.5, 5, networkUsers-1)
	byFame := rand.NewZipf(rng, 1.6, 55, networkUsers-1)
	seen := make(map[[2]int]bool, networkEdges)
	rows := make([][]string, 0, networkEdges)
	for len(rows) < networkEdges {
		follower := keen[len(rows)%networkUsers] // everybody follows somebody …
		if len(rows) >= networkUsers {
			follower = keen[byActivity.Uint64()] // … and the rest is as it comes
		}
		edge := [2]int{follower, famous[byFame.Uint64()]}
		if edge[0] == edge[1] || seen[edge] {
			continue
		}
		seen[edge] = true
		rows = append(rows, []string{handle(edge[0]), handle(edge[1])})
	}
	return rows
}

// postRows draws posts in the order of time: most authors write once, a few
// write often.
func postRows(rng *rand.Rand) [][]string {
	authors := rng.Perm(networkUsers)
	often := rand.NewZipf(rng, 1.3, 6, networkUsers-1)
	rows := make([][]string, networkPosts)
	at := networkBegin
	for i := range rows {
		author := authors[i%len(authors)]
		if rng.IntN(10) == 0 {
			author = authors[often.Uint64()]
		}
		rows[i] = []string{handle(author), at.Format(time.RFC3339), postText(rng)}
		if rng.IntN(postsPerBurst) == 0 {
			at = at.Add(time.Second)
		}
	}
	return rows
}

// postText strings phrases together until the post is about as long as a real
// one.
func postText(rng *rand.Rand) string {
	var b strings.Builder
	for range 1 + rng.IntN(4) {
		if b.Len() > 0 {
			b.WriteString(joints[rng.IntN(len(joints))])
		}
		b.WriteString(phrases[rng.IntN(len(phrases))])
	}
	fmt.Fprintf(&b, " #%d", rng.IntN(1_000)) // posts differ, yet not all of them
	return b.String()
}

// What real posts are made of, and what breaks readers of CSV and counters of
// characters: several scripts, right-to-left text, emoji of one and of several
// code points, combining marks, quotes, commas, line breaks.
var (
	phrases = []string{
		"what a fight", "here we go again", "I can't believe it", "round ten, still standing",
		"quel combat !", "das wird eng", "¡vamos ya!", "ringe çıkmadan başladı", "ну наконец-то",
		"يا لها من ليلة", "איזה לילה", "試合が始まった", "이제 시작이다", "e\u0301 agora",
		"🥊🥊🥊", "👊🏿💪🏽", "👨‍👩‍👧‍👦", "🇮🇪 vs 🇺🇸", "💸💸", "😂😂😂", "she said \"no way\"", "one, two, three",
		"@nobody look at this", "https://example.com/watch?v=1&t=2", "<b>not bold</b> & so on", "it's 100 % over; right?",
	}
	joints = []string{" ", " ", " ", ", ", " – ", "\n", "\n\n"}
)

// handle is the name of the user with that number.
func handle(n int) string { return fmt.Sprintf("u%d", n+1) }

// encodeCSV returns gzipped CSV with a header.
func encodeCSV(header []string, rows [][]string) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := csv.NewWriter(z)
	if err := w.Write(header); err != nil {
		return nil, err
	}
	if err := w.WriteAll(rows); err != nil {
		return nil, err
	}
	err := z.Close()
	return b.Bytes(), err
}
