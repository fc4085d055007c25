package access

import (
	"fmt"
	"net/http"

	"github.com/freshet/freshet"
)

// Origins keeps pages of other sites from writing with the cookies of their
// visitors. It asks net/http's CrossOriginProtection: Sec-Fetch-Site, else
// Origin against Host. Methods are safe for concurrent use.
type Origins struct{ protection *http.CrossOriginProtection }

// NewOrigins trusts the pages of the origins given ("https://app.example.com")
// besides those of freshet itself.
func NewOrigins(trusted ...string) (*Origins, error) {
	p := http.NewCrossOriginProtection()
	for _, origin := range trusted {
		if err := p.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("trust origin: %w", err)
		}
	}
	return &Origins{protection: p}, nil
}

var errCrossOrigin = &freshet.Error{
	Code:    freshet.CodeForbidden,
	Message: "a page of another site may not do this; its origin is not in cors.origins",
}

// Check refuses a write that comes from a page of an origin not trusted, unless
// it bears an Authorization header: no browser adds that one by itself. It holds
// for requests without any credentials too, because signing in is one of them,
// and a visitor could be signed in as somebody else.
func (o *Origins) Check(r *http.Request) error {
	if r.Header.Get("Authorization") != "" {
		return nil
	}
	if o.protection.Check(r) != nil {
		return errCrossOrigin
	}
	return nil
}
