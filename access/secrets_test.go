package access_test

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/freshet/freshet/access"
)

type masters map[string][]byte

func (m masters) Secret(_ context.Context, name string) ([]byte, error) {
	if s, ok := m[name]; ok {
		return s, nil
	}
	return nil, errors.New("disk gone")
}

// A derived key never changes: cursors, tokens and saved answers would be lost.
func TestSecretsStayTheSame(t *testing.T) {
	s, err := access.LoadSecrets(t.Context(), masters{"master": []byte(strings.Repeat("m", 32))})
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[access.Label]string{
		access.ForCursors:    "df9ce1d7982c061fc6e236081d8d13a27fb1e68c3b8c9fe127d2ab5ec5353cad",
		access.ForPositions:  "fecf7c5bbb3f1e56b8b866ab83d16a5560716c1db9caffe5d08bb0f65efc9add",
		access.ForUserTokens: "a2ff09c65f3cd1a1021e4e3dac9116c31e9b912c219cff9248c85df0d42ba0e6",
		access.ForAnswers:    "97e56fb24d6ce940eb11160166670b0803d7fd466b50679c005b59c6ce685e24",
	} {
		if got := hex.EncodeToString(s.Key(label)); got != want {
			t.Errorf("key of %q is %s, want %s", label, got, want)
		}
	}
}

func TestMasterThatIsNone(t *testing.T) {
	if _, err := access.LoadSecrets(t.Context(), masters{"master": []byte("short")}); err == nil {
		t.Error("a short secret is accepted")
	}
	if _, err := access.LoadSecrets(t.Context(), masters{}); err == nil {
		t.Error("no secret is accepted")
	}
}

func TestSecretThatIsNone(t *testing.T) {
	for name, make := range map[string]func(){
		"authenticator": func() { access.NewAuthenticator(access.Options{Secret: []byte("short")}) },
		"idempotency":   func() { access.NewIdempotency(access.IdempotencyOptions{}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("a short secret is accepted")
				}
			}()
			make()
		})
	}
}
