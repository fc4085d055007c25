package main

const (
	tagsAim   = ""
	tokensAim = ""
	downAim   = ""
)

var measureTags, measureTokens, measureDown, measureBadCache = unmeasured, unmeasured, unmeasured, unmeasured
