package guest

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"time"

	"subproxy/guest/wire"
)

// errBrokenOff is the end of a request's body that is not all of it.
var errBrokenOff = errors.New("guest: the request's body broke off")

// A requestBody is the body of a request, as the handler reads it. What it holds is bounded by the
// window that this side has announced; over a data connection it holds nothing.
type requestBody struct {
	exchange *exchange
	request  *http.Request
	pieces   []string   // that came in frames, and were not read
	form     wire.Value // what the head said of the body
	complete bool       // end has come
	trailers wire.Value
	line     *line // which brings it
	left     int64 // bytes of it that a data connection is still to bring
	bulk     bool  // a data connection brings it, or is to be dialled
	ahead    bool  // what it brings is read ahead
	reading  bool  // the handler reads from it
	closed   bool
	eof      bool
	err      error
	deadline deadline
}

func (b *requestBody) init(e *exchange, form wire.Value) {
	b.exchange, b.form = e, form
	switch form.Tag {
	case wire.Bytes:
		b.complete = true
		if form.Data != "" {
			b.pieces = []string{form.Data}
		}
	case wire.Dict:
		b.bulk, b.left = true, form.Get("length").Int()
	}
}

// Read reads what has come, and waits if nothing has.
func (b *requestBody) Read(p []byte) (int, error) {
	e, s := b.exchange, b.exchange.session
	if len(p) == 0 {
		return 0, nil
	}
	s.mu.Lock()
	for {
		switch {
		case b.closed:
			s.mu.Unlock()
			return 0, http.ErrBodyReadAfterClose
		case b.eof:
			s.mu.Unlock()
			return 0, io.EOF
		case b.err != nil:
			s.mu.Unlock()
			return 0, b.err
		case len(b.pieces) > 0:
			n := b.takeLocked(p)
			s.mu.Unlock()
			return n, nil
		case e.err != nil:
			s.mu.Unlock()
			return 0, e.err
		case b.bulk && b.left > 0 && !b.ahead:
			if n, err, again := b.readLineLocked(p); !again {
				s.mu.Unlock()
				return n, err
			}
			continue
		case b.complete:
			b.eof = true
			b.takeTrailers()
			s.mu.Unlock()
			return 0, io.EOF
		case b.deadline.passed():
			s.mu.Unlock()
			return 0, os.ErrDeadlineExceeded
		}
		if !b.bulk {
			s.wire.Consumed(e.wire, 0) // somebody wants it
			if s.wire.Pending() > 0 {
				s.kick()
			}
		}
		e.cond.Wait()
	}
}

// takeLocked gives what came in frames, and grants credit for it.
func (b *requestBody) takeLocked(p []byte) int {
	n := copy(p, b.pieces[0])
	if n < len(b.pieces[0]) {
		b.pieces[0] = b.pieces[0][n:]
	} else if b.pieces = b.pieces[1:]; len(b.pieces) == 0 {
		b.pieces = nil
	}
	if s := b.exchange.session; b.form.Tag != wire.Bytes {
		s.wire.Consumed(b.exchange.wire, n)
		s.kick()
	}
	return n
}

func (b *requestBody) takeTrailers() {
	fields := b.trailers.Fields()
	for name, value, ok := fields.Next(); ok; name, value, ok = fields.Next() {
		if b.request.Trailer == nil {
			b.request.Trailer = http.Header{}
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		b.request.Trailer[name] = append(b.request.Trailer[name], value)
	}
}

// readLineLocked reads from the data connection, which it has dialled if there is none; mu is free
// meanwhile. Again: it is to be looked at once more what there is.
func (b *requestBody) readLineLocked(p []byte) (n int, err error, again bool) {
	e, s := b.exchange, b.exchange.session
	b.reading = true
	defer func() { b.reading = false }()
	if b.line == nil {
		s.mu.Unlock()
		line := s.lines.claim(e.ctx, e.wire.Number, b.form.Get("token").Data)
		s.mu.Lock()
		switch {
		case line == nil: // the other way
			b.bulk = false
		case e.err != nil || b.closed:
			line.close()
		default:
			b.line = line
			b.deadline.pass(line.conn.SetReadDeadline)
			e.wire.Claimed(true)
		}
		return 0, nil, true
	}
	line, most := b.line, min(int64(len(p)), b.left)
	s.mu.Unlock()
	n, err = line.Read(p[:most])
	s.mu.Lock()
	return b.tookLocked(n, err)
}

// tookLocked is what follows of a read from the data connection.
func (b *requestBody) tookLocked(n int, err error) (int, error, bool) {
	e, s := b.exchange, b.exchange.session
	b.left -= int64(n)
	switch {
	case b.left == 0:
		b.line.conn.SetReadDeadline(time.Time{})
		s.lines.release(b.line)
		b.line = nil
		return n, nil, false
	case err == nil:
		return n, nil, false
	case e.err != nil:
		return n, e.err, false
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, err, false
	}
	b.line.close()
	if n == 0 && b.left == b.form.Get("length").Int() && b.line.reused {
		// The claim was not taken, and nothing has come of it: the other way.
		b.line, b.bulk = nil, false
		e.wire.Claimed(false)
		return 0, nil, true
	}
	b.line, b.err = nil, errBrokenOff
	return n, errBrokenOff, false
}

// mostAhead is how much of a body is read before the handler wants it, in bytes.
const mostAhead = 64 << 10

// readAheadLocked lets somebody read what the handler does not while it waits for a connection for
// its response: so that may be the one that brings the request.
func (b *requestBody) readAheadLocked() {
	if b.line == nil || b.ahead || b.reading || len(b.pieces) > 0 {
		return
	}
	b.ahead = true
	line := b.line
	go func() {
		e, s := b.exchange, b.exchange.session
		buffer := make([]byte, mostAhead)
		for held := 0; ; {
			s.mu.Lock()
			room := min(int64(len(buffer)-held), b.left)
			s.mu.Unlock()
			n, err := line.Read(buffer[:room])
			s.mu.Lock()
			if n > 0 {
				b.pieces = append(b.pieces, string(buffer[:n]))
				held += n
			}
			_, err, _ = b.tookLocked(n, err)
			b.ahead = b.line != nil && err == nil && held < len(buffer)
			e.cond.Broadcast()
			more := b.ahead
			s.mu.Unlock()
			if !more {
				return
			}
		}
	}()
}

// Close ends the reading; what is left of the body is not wanted.
func (b *requestBody) Close() error {
	s := b.exchange.session
	s.mu.Lock()
	defer s.mu.Unlock()
	b.closed = true
	b.pieces = nil
	if b.line != nil {
		b.line.close()
	}
	b.exchange.cond.Broadcast()
	return nil
}
