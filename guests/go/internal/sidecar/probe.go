package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	firstQuestion   = 20 * time.Millisecond  // from the first to the second; then longer by half each
	longestQuestion = 500 * time.Millisecond // up to so much
	patience        = 5 * time.Second        // for one answer
)

// A probe asks a program whether it is ready: by a connection, or by a request too.
type probe struct {
	address Address
	path    string // whose answer is 200 to 399 when it is ready; empty: connections are enough
	host    string
}

// takenBySomebody says whether somebody takes connections there now. The file of a unix socket that
// a program has left behind is removed: the next one could not listen there.
func (p probe) takenBySomebody() bool {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	conn, err := p.address.Dial(ctx)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			p.address.removeSocket()
		}
		return false
	}
	conn.Close()
	return true
}

// wait returns when the program is ready, or ctx is done. Last is told what it lacked each time.
func (p probe) wait(ctx context.Context, last func(string)) error {
	for wait := firstQuestion; ; wait = min(longestQuestion, wait*3/2) {
		lacks := p.check(ctx)
		if lacks == "" {
			return nil
		}
		last(lacks)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// check asks once. It returns what the program lacks, or "".
func (p probe) check(ctx context.Context) string {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	conn, err := p.address.Dial(ctx)
	if err != nil {
		return fmt.Sprintf("nothing listens at %v (%s)", p.address, reason(err))
	}
	defer conn.Close()
	if p.path == "" {
		return ""
	}
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.host+p.path, nil)
	if err != nil {
		return err.Error()
	}
	request.Header.Set("User-Agent", "subproxy-guest")
	request.Header.Set("Accept", "*/*")
	answer, err := transport.RoundTrip(request)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("%s got no answer within %v", p.path, patience)
	}
	if err != nil {
		return fmt.Sprintf("%s got no answer: %v", p.path, err)
	}
	answer.Body.Close()
	if answer.StatusCode >= 200 && answer.StatusCode < 400 {
		return ""
	}
	return fmt.Sprintf("%s answered %d", p.path, answer.StatusCode)
}
