package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"text/tabwriter"
	"text/template"
)

// measure is a row of the table: one figure of every run.
type measure struct {
	name   string
	unit   string
	of     func(r *benchRun) float64
	format string
	bars   bool // drawn, too
}

var measures = []measure{
	{"requests", "/s", func(r *benchRun) float64 { return r.PerSecond }, "%.0f", false},
	{"feed read p50", "ms", func(r *benchRun) float64 { return r.Reads.P50 }, "%.2f", true},
	{"feed read p95", "ms", func(r *benchRun) float64 { return r.Reads.P95 }, "%.2f", true},
	{"feed read p99", "ms", func(r *benchRun) float64 { return r.Reads.P99 }, "%.2f", true},
	{"post p50", "ms", func(r *benchRun) float64 { return r.Posts.P50 }, "%.2f", true},
	{"post p95", "ms", func(r *benchRun) float64 { return r.Posts.P95 }, "%.2f", true},
	{"post p99", "ms", func(r *benchRun) float64 { return r.Posts.P99 }, "%.2f", true},
	{"post to visible p50", "ms", func(r *benchRun) float64 { return r.Fresh.P50 }, "%.2f", false},
	{"post to visible p99", "ms", func(r *benchRun) float64 { return r.Fresh.P99 }, "%.2f", true},
	{"posts watched", "", func(r *benchRun) float64 { return float64(r.Fresh.Watched) }, "%.0f", false},
	{"stale reads", "", func(r *benchRun) float64 { return float64(r.Fresh.Missed) }, "%.0f", false},
	{"server CPU", "s", func(r *benchRun) float64 { return r.CPU }, "%.2f", false},
	{"server CPU per 1,000 reads", "ms", func(r *benchRun) float64 { return r.CPUReads }, "%.0f", true},
	{"bytes sent", "MB", func(r *benchRun) float64 { return float64(r.Sent) / 1e6 }, "%.1f", false},
	{"allocations per request", "", func(r *benchRun) float64 { return r.Allocs }, "%.0f", false},
	{"pages from memory", "", func(r *benchRun) float64 { return r.Memory }, "%.0f", false},
	{"reads of the store for feeds", "", func(r *benchRun) float64 { return r.Pulls }, "%.0f", false},
	{"timeline entries delivered", "", func(r *benchRun) float64 { return r.Delivered }, "%.0f", true},
	{"begun late p99", "ms", func(r *benchRun) float64 { return r.LateP99 }, "%.2f", false},
	{"failed", "", func(r *benchRun) float64 { return float64(r.Reads.Failed + r.Posts.Failed) }, "%.0f", false},
	{"given up", "", func(r *benchRun) float64 { return float64(r.Reads.GivenUp + r.Posts.GivenUp) }, "%.0f", false},
}

var redisMeasures = []measure{
	{"Redis CPU", "s", func(r *benchRun) float64 { return r.Redis.CPU }, "%.2f", true},
	{"Redis commands", "", func(r *benchRun) float64 { return r.Redis.Commands }, "%.0f", false},
	{"Redis bytes in", "MB", func(r *benchRun) float64 { return r.Redis.In / 1e6 }, "%.1f", false},
	{"Redis bytes out", "MB", func(r *benchRun) float64 { return r.Redis.Out / 1e6 }, "%.1f", false},
}

func (o *benchOutput) measures() []measure {
	for i := range o.Runs {
		if o.Runs[i].Redis == nil {
			return measures
		}
	}
	return append(measures[:len(measures):len(measures)], redisMeasures...)
}

func (o *benchOutput) title() string {
	return fmt.Sprintf("%d users, %d follows, %s, %g requests/s for %gs", o.Users, o.Follows, o.Mix, o.Rate, o.Seconds)
}

// table prints the runs side by side.
func (o benchOutput) table(w io.Writer) {
	fmt.Fprintln(w, o.title())
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "\t")
	for _, r := range o.Runs {
		fmt.Fprintf(t, "%s\t", r.Mode)
	}
	fmt.Fprintln(t)
	for _, m := range o.measures() {
		fmt.Fprintf(t, "%s%s\t", m.name, unit(m.unit))
		for i := range o.Runs {
			fmt.Fprintf(t, m.format+"\t", m.of(&o.Runs[i]))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

func unit(u string) string {
	if u == "" {
		return ""
	}
	return " (" + u + ")"
}

// The bars are a page of text/template: a chart library would bring a hundred
// times as much for a few rectangles, and gonum's plot its whole numeric base.
const (
	barLength = 520.0
	barHeight = 16
	barLabel  = 110
	groupGap  = 34
)

type bar struct {
	Y, Middle     int
	Width, TextX  float64
	Mode, Figure  string
	Color         string
	X, BarHeightY int
}

type barGroup struct {
	Y    int
	Name string
	Bars []bar
}

var barColors = []string{"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"}

var bars = template.Must(template.New("bars").Parse(`<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{{.Height}}" font-family="sans-serif" font-size="12">
<title>{{html .Title}}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="10" y="22" font-size="14" font-weight="bold">{{html .Title}}</text>
{{range .Groups}}<text x="10" y="{{.Y}}" font-weight="bold">{{html .Name}}</text>
{{range .Bars}}<text x="10" y="{{.Middle}}">{{html .Mode}}</text><rect x="{{.X}}" y="{{.Y}}" width="{{printf "%.1f" .Width}}" height="{{.BarHeightY}}" fill="{{.Color}}"/><text x="{{printf "%.1f" .TextX}}" y="{{.Middle}}">{{.Figure}}</text>
{{end}}{{end}}</svg>
`))

// writeBars draws the runs side by side: a group for each measure, a bar for each
// run, as long as its share of the group's largest.
func writeBars(file string, o benchOutput) (err error) {
	var page struct {
		Title  string
		Height int
		Groups []barGroup
	}
	page.Title = o.title()
	y := 50
	for _, m := range o.measures() {
		if !m.bars {
			continue
		}
		g := barGroup{Y: y, Name: m.name + unit(m.unit)}
		largest := 0.0
		for i := range o.Runs {
			largest = math.Max(largest, m.of(&o.Runs[i]))
		}
		for i := range o.Runs {
			r := &o.Runs[i]
			width := m.of(r) / cmp.Or(largest, 1) * barLength
			top := y + 8 + i*(barHeight+3)
			g.Bars = append(g.Bars, bar{
				X: barLabel, Y: top, Middle: top + barHeight - 4, Width: width, BarHeightY: barHeight, TextX: barLabel + width + 6,
				Mode: shortened(r.Mode), Figure: fmt.Sprintf(m.format, m.of(r)), Color: barColors[i%len(barColors)],
			})
		}
		page.Groups = append(page.Groups, g)
		y += groupGap + len(o.Runs)*(barHeight+3)
	}
	page.Height = y
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return bars.Execute(f, page)
}

// shortened leaves of a URL what fits before a bar.
func shortened(mode string) string {
	const most = 16
	if len(mode) > most {
		return mode[:most-1] + "…"
	}
	return mode
}
