package main

const (
	tokensAim = ""
	downAim   = ""
)

var measureTokens, measureDown, measureBadCache = unmeasured, unmeasured, unmeasured
