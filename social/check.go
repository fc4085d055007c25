package social

import (
	"bytes"
	"encoding/json"
	"net/mail"
	"net/url"
	"unicode/utf8"

	"github.com/freshet/freshet"
)

// maxURL and maxEmail are the longest address of each kind, in bytes.
const (
	maxURL   = 2048
	maxEmail = 254 // RFC 5321, 4.5.3.1.3, less the angle brackets
)

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) checkNewUser(u *freshet.NewUser) error {
	return first(
		freshet.CheckLine("name", u.Name, s.limits.Name),
		checkURL("avatar_url", u.AvatarURL),
		checkEmail("email", u.Email),
	)
}

func checkURL(field, s string) error {
	if s == "" {
		return nil
	}
	if u, err := url.Parse(s); err != nil || len(s) > maxURL || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return freshet.Invalid(field, "is not an http or https address of at most %d bytes", maxURL)
	}
	return nil
}

func checkEmail(field, s string) error {
	if s == "" {
		return nil
	}
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s || len(s) > maxEmail {
		return freshet.Invalid(field, "is not an e-mail address")
	}
	return nil
}

// compact checks a post's data and gives it without white space.
func (s *Service) compact(data []byte) ([]byte, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if len(data) > s.limits.Data {
		return nil, freshet.Invalid("data", "is longer than %d bytes", s.limits.Data)
	}
	var out bytes.Buffer
	if !utf8.Valid(data) || json.Compact(&out, data) != nil {
		return nil, freshet.Invalid("data", "is not valid JSON")
	}
	if out.String() == "null" {
		return nil, nil
	}
	return out.Bytes(), nil
}
