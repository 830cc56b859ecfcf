package guest

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"subproxy/guest/wire"
)

// Changes of protocol: a handler hijacks the connection of a request with Upgrade, as it does with
// http.Server, writes a response with status 101, and has the bytes from then on. They are a tunnel
// (docs/protocol.md, "Tunnels"), which stays in frames here.

// defaultUpgrades are those that a subscriber takes unless it says otherwise.
var defaultUpgrades = []string{"websocket"}

// lingerTime is how long a client has to end its half when the handler has closed the connection.
const lingerTime = 5 * time.Second

// mostHead bounds the head that a handler writes, in bytes.
const mostHead = wire.MaxFieldBytes

// errUpgrade is the end of a response that can't be told from one that accepts the tunnel.
var errUpgrade = errors.New("guest: a response to a request with Upgrade is complete, or has another status than 2xx")

// asksTunnel says whether the client wants another protocol, and nothing was answered yet.
func (e *exchange) asksTunnel() bool { return e.wire.Tunnel() == wire.Asked }

// upgradeFields lets a request look as it did to the proxy: those are fields of one connection.
func upgradeFields(header http.Header, protocol string) {
	header["Upgrade"] = []string{protocol}
	header["Connection"] = []string{"Upgrade"}
	if strings.EqualFold(protocol, "websocket") && header["Sec-Websocket-Key"] == nil {
		// Of a client of HTTP/2. The proxy answers for it.
		key := make([]byte, 16)
		rand.Read(key)
		header["Sec-Websocket-Key"] = []string{base64.StdEncoding.EncodeToString(key)}
	}
}

// A tunnel is the connection that a handler has hijacked.
type tunnel struct {
	exchange *exchange
	head     []byte // what was written of the response's head
	accepted bool
	closed   bool
}

// Hijack gives the connection to the handler, if the client wants another protocol: the response
// that is written to it must be one with status 101. Without Upgrade it is not supported.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	e, s := w.exchange, w.exchange.session
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.hijacked:
		return nil, nil, http.ErrHijacked
	case !e.asksTunnel() || w.begun || w.over:
		return nil, nil, fmt.Errorf("guest: Hijack without Upgrade: %w", http.ErrNotSupported)
	}
	w.hijacked = true
	conn := &tunnel{exchange: e}
	return conn, bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn)), nil
}

// Read reads what the client has sent.
func (t *tunnel) Read(p []byte) (int, error) {
	n, err := t.exchange.body.Read(p)
	if errors.Is(err, http.ErrBodyReadAfterClose) {
		err = net.ErrClosed
	}
	return n, err
}

// Write sends to the client, once the head of the response has been written.
func (t *tunnel) Write(p []byte) (int, error) {
	if t.closed {
		return 0, net.ErrClosed
	}
	if t.accepted {
		if err := t.exchange.writer.send(p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	t.head = append(t.head, p...)
	end := bytes.Index(t.head, []byte("\r\n\r\n"))
	if end < 0 && len(t.head) > mostHead {
		return 0, errors.New("guest: the head of a response that is too long")
	}
	if end < 0 {
		return len(p), nil
	}
	found, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(t.head)), nil)
	if err != nil {
		return 0, err
	}
	if found.StatusCode != http.StatusSwitchingProtocols {
		return len(p), nil // it refuses: the rest is its body, up to Close
	}
	if err := t.accept(found.Header); err != nil {
		return 0, err
	}
	if rest := t.head[end+4:]; len(rest) > 0 {
		err = t.exchange.writer.send(rest)
	}
	t.head = nil
	return len(p), err
}

// accept begins the tunnel.
func (t *tunnel) accept(header http.Header) error {
	w := &t.exchange.writer
	w.headed, w.status, w.mode = true, http.StatusOK, framed
	for name, values := range header {
		switch name {
		case "Connection", "Upgrade", "Sec-Websocket-Accept", "Content-Length", "Transfer-Encoding":
		default:
			w.fields = appendValues(w.fields, name, values)
		}
	}
	err := w.respond(wire.Stream())
	t.accepted = err == nil
	return err
}

// refuse sends what was written as a response like any other.
func (t *tunnel) refuse() {
	w := &t.exchange.writer
	found, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(t.head)), nil)
	if err != nil {
		t.exchange.abort("error", "the handler has closed a connection without a response")
		return
	}
	body, _ := io.ReadAll(io.LimitReader(found.Body, int64(t.exchange.session.inline())))
	found.Header.Del("Content-Length")
	found.Header.Del("Connection")
	w.header = found.Header
	w.WriteHeader(found.StatusCode)
	w.Write(body)
	w.finish()
}

// CloseWrite ends our half; what the client sends can still be read.
func (t *tunnel) CloseWrite() error {
	e, s := t.exchange, t.exchange.session
	if t.closed || !t.accepted {
		return net.ErrClosed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.wire.End(e.wire, nil, -1)
	s.settleLocked()
	s.kick()
	return err
}

// Close ends both halves. The client has a moment to end its own.
func (t *tunnel) Close() error {
	e, s := t.exchange, t.exchange.session
	if t.closed {
		return net.ErrClosed
	}
	if !t.accepted {
		t.closed = true
		t.refuse()
		e.body.Close()
		return nil
	}
	t.CloseWrite()
	t.closed = true
	e.body.Close()
	s.mu.Lock()
	over := e.wire.Over()
	s.mu.Unlock()
	if !over {
		time.AfterFunc(lingerTime, func() { e.abort("timeout", "the client does not close the tunnel") })
	}
	return nil
}

func (t *tunnel) LocalAddr() net.Addr { return t.exchange.session.conn.LocalAddr() }

// RemoteAddr is the client's.
func (t *tunnel) RemoteAddr() net.Addr {
	if host, _, err := net.SplitHostPort(t.exchange.writer.request.RemoteAddr); err == nil {
		return &net.TCPAddr{IP: net.ParseIP(host)}
	}
	return &net.TCPAddr{}
}

func (t *tunnel) SetReadDeadline(at time.Time) error  { return t.exchange.writer.SetReadDeadline(at) }
func (t *tunnel) SetWriteDeadline(at time.Time) error { return t.exchange.writer.SetWriteDeadline(at) }

func (t *tunnel) SetDeadline(at time.Time) error {
	t.SetReadDeadline(at)
	return t.SetWriteDeadline(at)
}
