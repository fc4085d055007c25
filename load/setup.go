package load

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// batchSize is how many operations /v1/batch takes by default.
const batchSize = 1_000

type operation struct {
	Op     string `json:"op"`
	Ref    string `json:"ref,omitempty"`
	Name   string `json:"name,omitempty"`
	Actor  string `json:"actor,omitempty"`
	Target string `json:"target,omitempty"`
	Author string `json:"author,omitempty"`
	Text   string `json:"text,omitempty"`
}

type operationResult struct {
	Status int    `json:"status"`
	ID     string `json:"id"`
	Error  *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
}

// SetUp makes the network's users, follows and so many posts of each on the
// server. Users and posts bear refs that begin with name, so doing it again makes
// nothing twice. The refs of another network need another name, or its follows
// are added to this one's. progress is told how many operations are done.
func (t *Target) SetUp(ctx context.Context, name string, posts int, progress func(done, total int)) error {
	users := t.net.Users()
	total, done := users+t.net.Edges()+users*posts, 0
	var ops []operation
	flush := func() error {
		results, err := t.batch(ctx, ops)
		for i, r := range results {
			if ops[i].Op == "user" {
				t.ids = append(t.ids, r.ID)
			}
		}
		done, ops = done+len(ops), ops[:0]
		progress(done, total)
		return err
	}
	add := func(op operation) error {
		if ops = append(ops, op); len(ops) == batchSize {
			return flush()
		}
		return nil
	}
	t.ids = nil
	for u := range users {
		if err := add(operation{Op: "user", Ref: fmt.Sprintf("%s-%d", name, u), Name: fmt.Sprintf("User %d", u)}); err != nil {
			return err
		}
	}
	if err := flush(); err != nil { // ids are needed from here on
		return err
	}
	for i := range posts {
		for u := range users {
			op := operation{Op: "post", Author: t.ids[u], Ref: fmt.Sprintf("%s-%d-%d", name, u, i), Text: text(uint32(u))}
			if err := add(op); err != nil {
				return err
			}
		}
	}
	for u := range users {
		for _, v := range t.net.Follows(u) {
			if err := add(operation{Op: "follow", Actor: t.ids[u], Target: t.ids[v]}); err != nil {
				return err
			}
		}
	}
	return flush()
}

// batch carries out operations. A post that is there already is as good as made.
func (t *Target) batch(ctx context.Context, ops []operation) ([]operationResult, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	var answer struct {
		Results []operationResult `json:"results"`
	}
	if err := t.ask(ctx, "POST", "/v1/batch", "", map[string]any{"operations": ops}, &answer); err != nil {
		return nil, fmt.Errorf("set up the network: %w", err)
	}
	if len(answer.Results) != len(ops) {
		return nil, fmt.Errorf("set up the network: %d operations have %d results", len(ops), len(answer.Results))
	}
	for i, r := range answer.Results {
		known := r.Status == http.StatusConflict && ops[i].Op == "post"
		if r.Status/100 != 2 && !known {
			detail := ""
			if r.Error != nil {
				detail = r.Error.Code + ": " + r.Error.Detail
			}
			return nil, fmt.Errorf("set up the network: %s answers %d: %s", ops[i].Op, r.Status, detail)
		}
	}
	return answer.Results, nil
}

// Adopt gives the users that SetUp made on a server whose data this one's is a
// copy of.
func (t *Target) Adopt(from *Target) { t.ids = from.ids }

// Settle waits until no job is waiting or running on the server, so that what
// was asked of it is done; for a while at most.
func (t *Target) Settle(ctx context.Context, within time.Duration) error {
	for deadline := time.Now().Add(within); ; {
		m, err := t.Metrics(ctx)
		if err != nil {
			return err
		}
		if m["freshet_jobs_waiting"]+m["freshet_jobs_running"] == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%.0f jobs of the server are not done after %v", m["freshet_jobs_waiting"]+m["freshet_jobs_running"], within)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
