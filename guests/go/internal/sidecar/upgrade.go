package sidecar

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// errSlowUpgrade is why there is no answer to an upgrade.
var errSlowUpgrade = errors.New("the program did not answer the upgrade in time")

// An upgradeTransport bounds how long the head of the answer to an upgrade may take: a program that
// knows nothing of such requests may take one for the beginning of something that never comes, and
// the client has nothing to wait for either.
type upgradeTransport struct {
	http.RoundTripper
	timeout time.Duration
}

// RoundTrip sends a request, and returns the head of its answer.
func (t upgradeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") == "" {
		return t.RoundTripper.RoundTrip(r)
	}
	// What follows the head lives as long as the request: its context ends this one.
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(t.timeout, func() { cancel(errSlowUpgrade) })
	response, err := t.RoundTripper.RoundTrip(r.WithContext(ctx))
	if !timer.Stop() && err == nil {
		response.Body.Close()
		return nil, errSlowUpgrade
	}
	if err != nil {
		if context.Cause(ctx) == errSlowUpgrade {
			err = errSlowUpgrade
		}
		cancel(err)
		return nil, err
	}
	return response, nil
}
