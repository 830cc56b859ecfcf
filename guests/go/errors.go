package guest

import (
	"errors"
	"fmt"
)

// ErrClosed is returned by Run after Close.
var ErrClosed = errors.New("guest: closed")

// ErrRefused is what a handler panics with, as with http.ErrAbortHandler, if it has not begun to
// execute the request: another guest may, also a POST. If the response has begun it is
// http.ErrAbortHandler.
var ErrRefused = errors.New("guest: the request was not executed")

// errLost is the end of an exchange whose connection is gone.
var errLost = errors.New("guest: the connection to the proxy is gone")

// An AbortError is why an exchange ended before its response was complete. It is the cause of the
// request's context, and what Read and Write return.
type AbortError struct {
	// Code is from the table of abort in docs/protocol.md: "client" if the client left.
	Code string
	// Reason is for a person; it may be empty.
	Reason string
}

func (e *AbortError) Error() string {
	return "guest: the proxy ended the exchange: " + said(e.Code, e.Reason)
}

// A RefusedError is returned by Run if the proxy refused the subscription for good, or another
// instance has taken its place; and given to Refused for a route.
type RefusedError struct {
	// Code is from the table of refused in docs/protocol.md.
	Code string
	// Reason is for a person; it may be empty.
	Reason string
}

func (e *RefusedError) Error() string { return said(e.Code, e.Reason) }

func said(code, reason string) string {
	if reason == "" {
		return code
	}
	return fmt.Sprintf("%s: %s", code, reason)
}
