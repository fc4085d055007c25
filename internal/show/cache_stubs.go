package main

var measureBadCache = unmeasured
