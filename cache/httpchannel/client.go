package httpchannel

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// ask asks a peer and returns its answer, which is that peer's and no other's.
func (r *Remote) ask(ctx context.Context, p peer, a ask) (answer, error) {
	a.from, a.to = r.id, p.id
	got, err := r.post(ctx, p.url, a.append(nil))
	if err != nil {
		return answer{}, fmt.Errorf("ask %s: %w", p.url, err)
	}
	if got.from != p.id {
		return answer{}, fmt.Errorf("ask %s: %w", p.url, errOther)
	}
	return got, nil
}

func (r *Remote) post(ctx context.Context, url string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", r.bearer)
	req.Header.Set("Content-Type", contentType)
	resp, err := r.o.Client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return answer{}, err
	case resp.StatusCode == http.StatusUnauthorized:
		return answer{}, ErrSecret
	case resp.StatusCode == http.StatusGone:
		return answer{}, errGone
	case resp.StatusCode != http.StatusOK:
		return answer{}, fmt.Errorf("%s: %.200s", resp.Status, strings.TrimSpace(string(data)))
	case len(data) > maxAnswer:
		return answer{}, errMalformed
	}
	return parseAnswer(data)
}

// bearerOf is a secret as the Authorization header takes it.
func bearerOf(secret []byte) string { return "Bearer " + base64.RawURLEncoding.EncodeToString(secret) }
