package sidecar

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
)

// An earlyConn is a connection to the program on which an answer can come before the request is
// whole. The program closes behind such an answer, and what is still written fails; http.Transport
// would tell of that, and not of the answer. So it is dropped without a word: what is read tells
// how it ended. A first write that fails is told, for then nobody has seen the request.
type earlyConn struct {
	net.Conn
	begun atomic.Bool // some of the current request was written
}

// traced tells a connection that another request begins on it.
var traced = &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
	if conn, is := got.Conn.(*earlyConn); is {
		conn.begun.Store(false)
	}
}}

// An earlyTransport has such connections.
type earlyTransport struct{ *http.Transport }

// RoundTrip sends a request, and returns the head of its answer.
func (t earlyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.Transport.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), traced)))
}

func (c *earlyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	begun := c.begun.Swap(true)
	if err != nil && (begun || n > 0) &&
		(errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)) {
		return len(p), nil
	}
	return n, err
}

// CloseWrite ends one half: of a connection whose protocol was changed.
func (c *earlyConn) CloseWrite() error {
	if half, is := c.Conn.(interface{ CloseWrite() error }); is {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}
