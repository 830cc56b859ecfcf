package guest

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"subproxy/guest/wire"
)

// How a response gets to the wire.

// inline is how many bytes the proxy takes within a response.
func (s *session) inline() int { return s.wire.PeerLimits().Inline }

// bulk is from how many bytes on a body has a data connection; -1: there are none.
func (s *session) bulk() int64 {
	if s.subscriber.NoDataConnections {
		return -1
	}
	return s.welcome.Bulk
}

// wake lets those who wait in the exchange look again.
func (e *exchange) wake() {
	e.session.mu.Lock()
	e.cond.Broadcast()
	e.session.mu.Unlock()
}

// cause is why an operation on a data connection has failed.
func (e *exchange) cause(err error) error {
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	return err
}

// respond sends the head. One that is longer than the proxy takes is none.
func (w *response) respond(form wire.BodyForm) error {
	e, s := w.exchange, w.exchange.session
	s.mu.Lock()
	err := s.wire.Respond(e.wire, w.status, w.fields, "", form)
	if err == wire.ErrOver && e.err != nil {
		err = e.err
	}
	if err == nil {
		s.settleLocked()
	}
	s.mu.Unlock()
	s.kick()
	w.begun = w.begun || err == nil
	return err
}

// respondLine sends the head of a body that goes over a data connection: over one that is idle, if
// a token for it came with the request.
func (w *response) respondLine() error {
	e := w.exchange
	var line *line
	if token := e.job.message.Parts[4].Get("ahead").Text(); w.length >= 0 && token != "" {
		line = e.session.lines.claimIdle(e.wire.Number, token)
	}
	if line == nil {
		return w.respond(wire.Line(w.length))
	}
	err := w.respond(wire.LineAhead(w.length))
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	if err != nil || e.err != nil || e.wire.Over() {
		line.close()
		return err
	}
	e.claim, e.sending = claimed, line
	e.wire.Carried()
	w.deadline.pass(line.conn.SetWriteDeadline)
	return nil
}

// claimLine gets the data connection of the response's body: at once, for tokens lapse.
func (e *exchange) claimLine(token string) {
	s := e.session
	line := s.lines.claim(e.ctx, e.wire.Number, token)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case line == nil:
		e.claim = refusedLine
	case e.err != nil || e.wire.Over():
		line.close()
	default:
		e.claim, e.sending = claimed, line
		e.wire.Carried()
		e.writer.deadline.pass(line.conn.SetWriteDeadline)
	}
	e.cond.Broadcast()
}

// carry waits for the data connection of the body; where none can be had, that goes in frames.
func (w *response) carry() error {
	e, s := w.exchange, w.exchange.session
	s.mu.Lock()
	defer s.mu.Unlock()
	for e.claim < claimed {
		switch {
		case e.err != nil:
			return e.err
		case w.deadline.passed():
			return os.ErrDeadlineExceeded
		}
		e.body.readAheadLocked()
		e.cond.Wait()
	}
	if e.claim == refusedLine {
		w.mode = framed
	}
	return e.err
}

// send sends a piece of the body, and waits until there is credit for all of it.
func (w *response) send(p []byte) error {
	e, s := w.exchange, w.exchange.session
	if w.mode == carried {
		if err := w.carry(); err != nil {
			return err
		}
	}
	if w.mode == carried {
		_, err := e.sending.conn.Write(p)
		if err != nil {
			err = e.cause(err)
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		n, err := s.wire.Write(e.wire, p)
		if p = p[n:]; n > 0 {
			s.kick()
		}
		switch {
		case e.err != nil:
			return e.err
		case err != nil:
			return err
		case len(p) == 0:
			return nil
		case w.deadline.passed():
			return os.ErrDeadlineExceeded
		}
		e.cond.Wait()
	}
}

// finish ends the response, when the handler has returned.
func (w *response) finish() {
	if !w.headed {
		w.WriteHeader(http.StatusOK)
	}
	w.over = true
	defer w.deadline.set(time.Time{}, nil)
	if !w.begun && w.err == nil {
		w.whole()
		return
	}
	switch {
	case w.err != nil:
		w.failed(w.err)
	case w.mode == discarded:
	case w.length >= 0 && w.written != w.length:
		w.exchange.abort("error", "the handler wrote less than Content-Length says")
		w.dropLine()
	default:
		w.end()
	}
}

// whole sends a response of which nothing has gone yet.
func (w *response) whole() {
	w.sniff()
	trailers := w.finalTrailers()
	switch {
	case bodiless(w.status):
		w.wholeOf(nil)
	case w.mode == discarded:
		if w.length < 0 && w.written > 0 {
			w.lengthField(w.written)
		}
		w.wholeOf(nil)
	case w.length >= 0 && w.written != w.length:
		w.exchange.abort("error", "the handler wrote less than Content-Length says")
	case w.largeWhole():
		if w.length < 0 && trailers == nil {
			w.length = w.written
		}
		w.long = true
		w.begin()
		w.finish()
	case trailers != nil:
		w.begin()
		w.finish()
	default:
		w.wholeOf(w.buffer)
	}
}

// largeWhole says whether a body that is complete is to go over a data connection.
func (w *response) largeWhole() bool {
	bulk := w.exchange.session.bulk()
	return w.large() || bulk > 0 && w.written >= bulk
}

func (w *response) lengthField(length int64) {
	w.fields = append(w.fields, wire.Field{
		Name: "Content-Length", Value: strconv.FormatInt(length, 10),
	})
}

// wholeOf sends head and body as one message; in frames, if it would be too long.
func (w *response) wholeOf(body []byte) {
	err := w.respond(wire.Whole(body))
	if err == wire.ErrTooLong && len(body) > 0 {
		if w.length < 0 {
			w.length = int64(len(body))
			w.lengthField(w.length)
		}
		w.begin()
		if err = w.err; err == nil {
			w.finish()
			return
		}
	}
	if err != nil {
		w.failed(err)
	}
}

// failed answers for a response that can't be sent.
func (w *response) failed(err error) {
	var aborted *AbortError
	switch {
	case errors.As(err, &aborted), err == wire.ErrOver, errors.Is(err, errLost), errors.Is(err, context.Canceled):
	case err == wire.ErrTooLong && !w.begun:
		w.exchange.session.subscriber.logger().Error("a response head that is longer than the proxy takes",
			"target", w.request.RequestURI)
		w.fail()
	default:
		w.exchange.session.subscriber.logger().Error("a response broke off",
			"target", w.request.RequestURI, "reason", err.Error())
		w.exchange.abort("error", err.Error())
	}
	w.dropLine()
}

// fail answers 500, where nothing has gone.
func (w *response) fail() {
	w.over, w.headed = true, true
	w.status = http.StatusInternalServerError
	w.fields = append(w.fields[:0], wire.Field{
		Name: "Content-Type", Value: "text/plain; charset=utf-8",
	})
	if err := w.respond(wire.Whole([]byte("Internal Server Error\n"))); err != nil {
		w.exchange.abort("error", "no response")
	}
}

// end ends a body that has begun.
func (w *response) end() {
	e, s := w.exchange, w.exchange.session
	if w.mode == carried {
		if w.err = w.carry(); w.err != nil {
			w.failed(w.err)
			return
		}
	}
	length := int64(-1)
	s.mu.Lock()
	if w.mode == carried || e.claim == refusedLine && w.written == 0 {
		length = w.written // of an empty body no frame tells that it goes in frames
	}
	line := e.sending
	e.sending = nil
	err := s.wire.End(e.wire, w.finalTrailers(), length)
	if err == nil {
		s.settleLocked()
	}
	s.mu.Unlock()
	s.kick()
	switch {
	case line != nil && err == nil && w.length >= 0:
		s.lines.sent(line, e.wire.Number)
	case line != nil:
		line.close()
	}
	if err != nil && err != wire.ErrOver {
		e.abort("error", err.Error())
	}
}

// dropLine closes the data connection of a response that has failed.
func (w *response) dropLine() {
	e := w.exchange
	e.session.mu.Lock()
	line := e.sending
	e.sending = nil
	e.session.mu.Unlock()
	if line != nil {
		line.close()
	}
}

// finalTrailers returns the trailers as they are now: those that were declared, and those whose
// names have http.TrailerPrefix.
func (w *response) finalTrailers() (fields []wire.Field) {
	for _, name := range w.trailers {
		fields = appendValues(fields, name, w.header[name])
	}
	declared := len(fields)
	for name, values := range w.header {
		if rest, is := strings.CutPrefix(name, http.TrailerPrefix); is {
			fields = appendValues(fields, http.CanonicalHeaderKey(rest), values)
		}
	}
	slices.SortStableFunc(fields[declared:], func(a, b wire.Field) int {
		return strings.Compare(a.Name, b.Name)
	})
	return fields
}
