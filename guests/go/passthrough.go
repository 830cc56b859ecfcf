package guest

import (
	"context"
	"net"
	"strings"
	"sync"

	"subproxy/guest/wire"
)

// TLS that the proxy passes through: an application that holds its own keys serves a Listener, and
// ends TLS itself (docs/protocol.md, "Pass-through").

// tlsTunnel is what such a tunnel is for.
const tlsTunnel = "tls"

// A Listener takes the TLS connections of clients, as they are: for http.Server.ServeTLS, or
// tls.NewListener. Make it with NewListener.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewListener returns a Listener for Subscriber.Passthrough.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for a client.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close lets Accept return net.ErrClosed; clients that come are given back to the proxy. What was
// accepted stays.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is nowhere: the proxy listens.
func (l *Listener) Addr() net.Addr { return passthroughAddr{} }

type passthroughAddr struct{}

func (passthroughAddr) Network() string { return "subproxy" }
func (passthroughAddr) String() string  { return "passthrough" }

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// give has a client accepted: false if nobody will, or ctx is done before.
func (l *Listener) give(ctx context.Context, conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.closed:
	case <-ctx.Done():
	}
	return false
}

// isTLS says whether the proxy wants to pass the TLS of a client through.
func (e *exchange) isTLS(message wire.Message) bool {
	return e.asksTunnel() && strings.EqualFold(message.Parts[4].Get("tunnel").Text(), tlsTunnel)
}

// passThrough gives the client to who has the keys.
func (e *exchange) passThrough() {
	listener := e.session.subscriber.Passthrough
	e.writer.hijacked = true
	conn := &tunnel{exchange: e}
	switch {
	case listener == nil || listener.isClosed():
		e.abort("refused", "nobody here takes TLS")
	case conn.accept(nil) != nil || !listener.give(e.ctx, conn):
		e.abort("error", "nobody here takes TLS any more")
	}
}
