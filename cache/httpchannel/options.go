package httpchannel

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options configures a channel. URL and Secret are required, and all nodes of a board need the same Secret and Trust.
type Options struct {
	// URL is where the other nodes reach this node's handler: http://10.0.0.7:8080/internal/channel. Each node has its own.
	URL string
	// Secret is what nodes know each other by, 16 bytes or more. It is sent with every request, so the network between nodes
	// is to be trusted, or URL https.
	Secret []byte
	// Trust is how long memory is trusted after the channel was last known to be alive; the Options.MaxStale of the stacks
	// may not be longer. A quarter of it is the time between two requests to each peer where nothing happens. Default 1 s.
	Trust time.Duration
	// Client makes the requests. Default: one of its own, without proxies, that keeps connections alive.
	Client *http.Client
	// Broken is told why the board could not be read or changed, or a peer did not answer: once each time it begins. It may
	// be called from several goroutines and returns at once. Default: nobody is told.
	Broken func(err error)
}

const minSecret = 16

func (o Options) withDefaults() (Options, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return o, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(o.URL) > maxURL:
		return o, fmt.Errorf("URL %q is not where a node can be reached\nhint: http://host:port/path, at most %d bytes", u.Redacted(), maxURL)
	case len(o.Secret) < minSecret:
		return o, fmt.Errorf("a secret of %d bytes; it takes %d\nhint: openssl rand -hex 32", len(o.Secret), minSecret)
	}
	o.Trust = cmp.Or(max(0, o.Trust), time.Second)
	if o.Client == nil {
		o.Client = &http.Client{
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: o.Trust}).DialContext,
				TLSHandshakeTimeout: o.Trust,
				MaxIdleConnsPerHost: 4,
				IdleConnTimeout:     time.Minute,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if o.Broken == nil {
		o.Broken = func(error) {}
	}
	return o, nil
}

// beat is how often the board is read, and how often a peer is asked at least.
func (o Options) beat() time.Duration { return o.Trust / 4 }
