// Package access decides who asks and how often: sessions, API keys, user
// tokens, passwords, rate limits, cross-site requests and idempotency keys.
//
//	gate := access.Gate{Auth: auth, Limiter: limiter, Origins: origins}
//	p, err := gate.Admit(r)            // client address, limits, CSRF, credentials
//	user, err := p.RequireUser()       // 401, or 400 for an API key that names nobody
//	try, err := idem.Begin(ctx, p.Scope(), r.Header.Get("Idempotency-Key"), hash)
//	defer try.Release()                // try.Claim commits with the write
//
// # The way in
//
//	client address ─▶ limit by address ─▶ same origin? ─▶ who? ─▶ limit by user
//	 ClientAddr        Limiter.Address     Origins.Check    │       Limiter.User
//	                                                        └ Authenticator: SHA-256, cache, expiry
//
// # Invariants
//
//   - Tokens and keys are stored as SHA-256 and shown once; passwords as
//     argon2id; a saved answer is sealed under the client's own key. Whoever
//     reads the data alone can act as nobody.
//   - Revocation is a write, then a fence, then the acknowledgement: a request
//     that begins after [Authenticator.SignOut], [Authenticator.SetPassword] or
//     [Authenticator.RevokeKey] returned nil is refused by every node, whatever
//     was cached; [cache.ErrUnconfirmed] says that another node may not know yet.
//     What a process revoked that died before its fence follows with the change
//     feed ([Authenticator.Fence]), at the latest when the cached entry ends.
//   - Memory is bounded whoever asks: limits keep at most a fixed number of
//     entries, absences are cached like sessions, passwords are hashed two at a time.
//   - Errors say which decision was taken and nothing of why a secret was wrong.
//
// It is no authorisation of single things: whether this user may see that post
// is package social's decision. It translates no errors to HTTP, sets no
// cookies and answers no CORS preflight; package api does.
package access
