package social

import (
	"context"

	"github.com/freshet/freshet"
)

// MaxStatsHours is how many hours the statistics of a post can show: a week.
const MaxStatsHours = 168

// Stats gives the numbers of a post to whoever may see it (0: nobody signed in),
// with the last hours, of which the present one is the last. Views of answers
// that were sent before are in it; on a busy node those of the last ten seconds
// may be missing.
func (s *Service) Stats(ctx context.Context, viewer, id freshet.ID, hours int) (freshet.PostStats, error) {
	if hours < 1 || hours > MaxStatsHours {
		return freshet.PostStats{}, freshet.Invalid("hours", "must be a number from 1 to %d", MaxStatsHours)
	}
	if _, err := s.visible(ctx, viewer, id); err != nil {
		return freshet.PostStats{}, err
	}
	s.settleViews(ctx)
	from := freshet.HourOf(s.views.now()) - freshet.Hour(hours-1)
	return s.store.PostStats(ctx, id, from, hours)
}

// settleViews has what was seen written, if that is little and quickly done. An
// answer that lacks the last seconds is better than none.
func (s *Service) settleViews(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, viewSettle)
	defer cancel()
	_ = s.views.settleFew(ctx)
}

// Saw notes that posts were shown to viewer (0: nobody signed in). It is called
// for answers to reads alone: what a write, an export or a check reads is no
// view.
func (s *Service) Saw(viewer freshet.ID, posts ...PostView) { s.views.Saw(viewer, posts...) }
