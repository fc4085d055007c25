package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/jobs"
)

// A handler does its work in parts and saves where it stands, so that an
// attempt that was interrupted goes on from there. What can't be mended by
// trying again is final.
func ExampleHandler() {
	var mail jobs.Handler = func(ctx context.Context, r jobs.Run) error {
		if len(r.Job().Args) == 0 {
			return jobs.Final(errors.New("nobody to write to"))
		}
		for sent := len(r.Checkpoint()); sent < len(r.Job().Args); sent++ {
			fmt.Printf("to %c\n", r.Job().Args[sent])
			if err := r.Save(ctx, r.Job().Args[:sent+1]); err != nil {
				return err
			}
		}
		return nil
	}
	mail(context.Background(), &attempt{job: jobs.Job{Args: []byte("abc")}, checkpoint: []byte("a")})
	err := mail(context.Background(), &attempt{})
	fmt.Println(err, jobs.IsFinal(err))
	// Output:
	// to b
	// to c
	// nobody to write to true
}

// attempt stands in for an engine's [jobs.Run] in tests of handlers.
type attempt struct {
	job        jobs.Job
	checkpoint []byte
}

func (a *attempt) Job() jobs.Job                                { return a.job }
func (a *attempt) Checkpoint() []byte                           { return a.checkpoint }
func (a *attempt) Save(_ context.Context, c []byte) (err error) { a.checkpoint = c; return nil }

func ExampleOptions_Delay() {
	o := jobs.Options{}.WithDefaults()
	for _, failures := range []int{1, 2, 5, 25} {
		d := o.Delay(failures)
		fmt.Println(failures, d >= o.BackoffBase*3/4, d <= o.BackoffMax*5/4)
	}
	fmt.Println(o.Timeout == 10*time.Minute)
	// Output:
	// 1 true true
	// 2 true true
	// 5 true true
	// 25 true true
	// true
}
