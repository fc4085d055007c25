package main

const downAim = ""

var measureDown, measureBadCache = unmeasured, unmeasured
