package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestWordsAreThoseOfEveryLanguage(t *testing.T) {
	for text, want := range map[string][]string{
		"The Big Lebowski (1998)": {"1998", "big", "lebowski", "the"},
		"Amélie":                  {"am", "lie"},
		"İstanbul":                {"i", "stanbul"},
		"\u212aing":               {"king"}, // the sign for kelvin
		"…":                       nil,
	} {
		if found := slices.Sorted(maps.Keys(words(text))); !slices.Equal(found, want) {
			t.Errorf("%q has the words %q, not %q", text, found, want)
		}
	}
}

func TestAMistakeOnTheCommandLineIsOneLine(t *testing.T) {
	for want, line := range map[string][]string{
		"flag provided but not defined: -sever": {"--sever", "x:1"},
		`"extra" is no option`:                  {"extra"},
		"flag needs an argument: -server":       {"--server"},
	} {
		err := serve(context.Background(), line)
		var wrong *flagError
		if !errors.As(err, &wrong) || err.Error() != want || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is wanted, it says %q", want, err)
		}
	}
}
