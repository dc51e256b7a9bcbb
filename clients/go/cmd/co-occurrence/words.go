package main

import (
	"regexp"
	"strings"
)

var run = regexp.MustCompile(`[a-z0-9]+`)

// words are the runs of ASCII letters and digits in a text, in lower case. The lower case of İ is i
// with a dot of its own, which ends a run; Go's ToLower leaves the dot out.
func words(text string) map[string]bool {
	found := map[string]bool{}
	for _, word := range run.FindAllString(strings.ToLower(strings.ReplaceAll(text, "İ", "i\u0307")), -1) {
		found[word] = true
	}
	return found
}
