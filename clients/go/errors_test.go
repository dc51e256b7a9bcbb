package recarena

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
)

func TestSomeCodesAreFinalAndNoOthers(t *testing.T) {
	want := map[codes.Code]error{
		codes.InvalidArgument: ErrInvalidRegister, codes.FailedPrecondition: ErrPreconditionFailed,
		codes.Unauthenticated: ErrNotAuthenticated, codes.PermissionDenied: ErrNotPermitted,
		codes.Aborted: ErrFenced,
	}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		if final[code] != want[code] {
			t.Errorf("%v is %v", code, final[code])
		}
	}
}

func TestAnErrorLeadsToTheRecommendersOwn(t *testing.T) {
	cause := errors.New("no memory\x1b[31m left")
	var err error = &RecommenderError{"Ready", &panicked{value: cause}}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if want := "Ready failed: panic: no memory [31m left"; err.Error() != want {
		t.Errorf("%q is wanted, it says %q", want, err)
	}
}

func TestWordsOfOthersStayOnOneShortLine(t *testing.T) {
	for given, want := range map[string]string{
		"a\n\x1b[31mb  c":        "a [31mb c",
		"right\u202eleft":        "right left",
		"bad \xff text":          "bad text",
		"1234567890 and so on":   "123456789…",
		"né🎬":                    "né🎬",
		"exactly t\t":            "exactly t",
		"\u00a0 \u2028 nothing?": "nothing?",
	} {
		if found := oneLine(given, 10); found != want {
			t.Errorf("%q becomes %q, not %q", given, found, want)
		}
	}
}
