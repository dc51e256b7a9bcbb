package recarena

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/codes"
)

// The reasons of a [RefusedError], to be used with [errors.Is].
var (
	// ErrInvalidRegister: the registration breaks a rule (INVALID_ARGUMENT).
	ErrInvalidRegister = errors.New("the registration breaks a rule")
	// ErrPreconditionFailed: there is no common version, or the catalogue was refused
	// (FAILED_PRECONDITION).
	ErrPreconditionFailed = errors.New("server and recommender have no common ground")
	// ErrNotAuthenticated: token or certificate is missing or unknown (UNAUTHENTICATED).
	ErrNotAuthenticated = errors.New("the server does not know who this is")
	// ErrNotPermitted: token or certificate is somebody else's (PERMISSION_DENIED).
	ErrNotPermitted = errors.New("this identity may not be that recommender")
	// ErrFenced: a newer session of the same instance took the run (ABORTED).
	ErrFenced = errors.New("a newer session of the same instance took the run")
)

var final = map[codes.Code]error{
	codes.InvalidArgument:    ErrInvalidRegister,
	codes.FailedPrecondition: ErrPreconditionFailed,
	codes.Unauthenticated:    ErrNotAuthenticated,
	codes.PermissionDenied:   ErrNotPermitted,
	codes.Aborted:            ErrFenced,
}

// RefusedError is the server's final no: trying again would not help. With [errors.Is] it is one
// of ErrInvalidRegister, ErrPreconditionFailed, ErrNotAuthenticated, ErrNotPermitted, ErrFenced.
type RefusedError struct {
	// Code and Text are the server's.
	Code codes.Code
	Text string
}

func (e *RefusedError) Error() string {
	text := e.Text
	if text == "" {
		text = "no reason given"
	}
	return fmt.Sprintf("the server refused: %s (%s)", text, nameOf(e.Code))
}

// Unwrap is the reason.
func (e *RefusedError) Unwrap() error { return final[e.Code] }

// UnreachableError tells that there was no session for as long as WithRetryFor allows.
type UnreachableError struct {
	// Server is its address, Text why there was none.
	Server, Text string
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no session at %s: %s", e.Server, e.Text)
}

// CredentialsError tells that a file for TLS cannot be used.
type CredentialsError struct {
	// Text names the file and what to do about it.
	Text string
}

func (e *CredentialsError) Error() string { return e.Text }

// OptionError tells that Serve was asked for something that cannot be.
type OptionError struct {
	// Text names the option and what it has to be.
	Text string
}

func (e *OptionError) Error() string { return e.Text }

// ProtocolError tells that the server did what the contract forbids.
type ProtocolError struct {
	// Text is what it did.
	Text string
}

func (e *ProtocolError) Error() string { return e.Text }

// RecommenderError tells that Start, Feedback, Ready or CatalogChanged failed, or the function that
// makes recommenders. The recommender's own error is what it unwraps to.
type RecommenderError struct {
	// Method that failed.
	Method string
	// Err is what it returned, or tells that it panicked.
	Err error
}

func (e *RecommenderError) Error() string {
	return fmt.Sprintf("%s failed: %s", e.Method, oneLine(e.Err.Error(), lineChars))
}

// Unwrap is the recommender's own error.
func (e *RecommenderError) Unwrap() error { return e.Err }

// answerError tells that what the recommender returned does not fit the work.
type answerError struct{ text string }

func (e *answerError) Error() string { return e.text }

func wrongAnswer(format string, values ...any) error {
	return &answerError{fmt.Sprintf(format, values...)}
}

// panicked is what a method that panicked has returned.
type panicked struct {
	value any
	stack []byte
}

func (e *panicked) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// Unwrap is the value of the panic, where it is an error.
func (e *panicked) Unwrap() error {
	err, _ := e.value.(error)
	return err
}

// nameOf is the name that all languages know a code by.
func nameOf(c codes.Code) string {
	if name, ok := code.Code_name[int32(c)]; ok {
		return name
	}
	return fmt.Sprintf("code %d", c)
}

// lineChars is how long a line of somebody else's words may be in a log or an error.
const lineChars = 300

// oneLine is text without control characters, at most limit characters long.
func oneLine(text string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, " "))
	line := []rune(strings.Join(strings.Fields(clean), " "))
	if len(line) <= limit {
		return string(line)
	}
	return string(line[:limit-1]) + "…"
}
