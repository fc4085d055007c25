package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/freshet/freshet/internal/show/naive"
	"github.com/freshet/freshet/internal/testenv"
)

// dataset is a network as files and as the naive query sees it.
type dataset struct {
	follows, posts string // files
	network        *naive.Network
	users          []string
	homes          func() [][]*naive.Post // by place in users; evaluated once
}

// realData gives the real network, or a generated one of its shape, which is
// then said in the details.
func (l *lab) realData() (*dataset, error) {
	if l.data != nil {
		return l.data, nil
	}
	dir := testenv.RealData(l)
	d, err := readDataset(filepath.Join(dir, testenv.FollowsFile), filepath.Join(dir, testenv.PostsFile))
	l.data = d
	return d, err
}

// readDataset reads files that exist.
func readDataset(follows, posts string) (*dataset, error) {
	d := &dataset{follows: follows, posts: posts, network: &naive.Network{}}
	if err := errors.Join(d.network.ReadFollows(follows), d.network.ReadPosts(posts)); err != nil {
		return nil, err
	}
	d.ready()
	return d, nil
}

// ready is called once all files are read.
func (d *dataset) ready() {
	d.network.Sort()
	d.users = d.network.Users()
	d.homes = sync.OnceValue(func() [][]*naive.Post {
		homes := make([][]*naive.Post, len(d.users))
		for i, user := range d.users {
			homes[i] = d.network.Home(user)
		}
		return homes
	})
}

// writeCSV writes a file with a header; every row has its columns.
func writeCSV(file, header string, rows [][]string) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := fmt.Fprintln(f, header); err != nil {
		return err
	}
	return csv.NewWriter(f).WriteAll(rows)
}
