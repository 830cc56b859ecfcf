package guest

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"

	"subproxy/guest/wire"
)

// An exchange is one request that is being answered. What others change of it is under the mu of
// its session, and cond tells of each change.
type exchange struct {
	session *session
	wire    *wire.Exchange
	cond    sync.Cond
	ctx     context.Context
	cancel  context.CancelCauseFunc
	err     error // why it is over before its response was complete
	body    requestBody
	writer  response
	job     job
	sending *line // which carries the response's body
	claim   claim // whether that is there
}

// A claim is the state of the data connection of a response's body.
type claim byte

const (
	unclaimed claim = iota // no token is here
	claiming
	claimed
	refusedLine // none can be had: the body goes in frames
)

// begin takes a request.
func (s *session) begin(x *wire.Exchange, message wire.Message) {
	e := &exchange{session: s, wire: x}
	e.job = job{e, message}
	e.cond.L = &s.mu
	e.ctx, e.cancel = context.WithCancelCause(s.base)
	e.body.init(e, message.Parts[5])
	x.Owner = e
	s.dispatchLocked(&e.job)
}

// handle does what an event of the exchange asks for. It holds mu.
func (e *exchange) handle(event wire.Event) {
	switch event.Kind {
	case wire.Came:
		e.body.pieces = append(e.body.pieces, event.Text)
	case wire.Ended:
		e.body.complete = true
		e.body.trailers = event.Message.Parts[1]
	case wire.Invited:
		if e.claim == unclaimed && e.wire.Response() == wire.Bulk {
			e.claim = claiming
			go e.claimLine(event.Text)
		}
	case wire.Aborted:
		e.ended(&AbortError{event.Code, event.Text})
		e.session.settleLocked()
	case wire.Faulted:
		e.ended(&AbortError{"protocol", event.Text})
		e.session.settleLocked()
	}
	e.cond.Broadcast()
}

// ended lets all that is done for the exchange know that it is over. It holds mu.
func (e *exchange) ended(err error) {
	if e.err != nil {
		return
	}
	e.err = err
	e.cancel(err)
	for _, line := range []*line{e.body.line, e.sending} {
		if line != nil {
			line.close()
		}
	}
	e.cond.Broadcast()
}

// abort ends the exchange from this side.
func (e *exchange) abort(code, reason string) {
	s := e.session
	s.mu.Lock()
	if !e.wire.Over() {
		s.wire.Abort(e.wire, code, reason)
		e.ended(&AbortError{code, reason})
		s.settleLocked()
	}
	s.mu.Unlock()
	s.kick()
}

// serve calls the handler, when there is room for one more.
func (e *exchange) serve(message wire.Message) {
	defer e.done()
	// Tunnels live long, and do not count.
	if slots := e.session.slots; slots != nil && !e.asksTunnel() {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-e.ctx.Done():
			return
		}
	}
	request, err := e.request(message)
	w := &e.writer
	w.start(e, request)
	defer w.free()
	if e.isTLS(message) {
		e.passThrough()
		return
	}
	if err != nil {
		e.session.subscriber.logger().Error("a request that cannot be read", "reason", err.Error())
		http.Error(w, "400 Bad Request", http.StatusBadRequest)
		w.finish()
		return
	}
	defer w.recovered()
	e.session.subscriber.handler().ServeHTTP(w, request)
	if !w.hijacked {
		w.finish()
	}
}

// done is the end of the handler.
func (e *exchange) done() {
	if !e.writer.hijacked {
		e.body.Close()
	}
	e.cancel(context.Canceled)
}

// recovered answers for a handler that has panicked, as http.Server logs it.
func (w *response) recovered() {
	value := recover()
	if value == nil {
		return
	}
	if value == ErrRefused && !w.begun {
		w.exchange.abort("refused", "")
		return
	}
	if value != http.ErrAbortHandler && value != ErrRefused {
		stack := make([]byte, 64<<10)
		stack = stack[:runtime.Stack(stack, false)]
		w.exchange.session.subscriber.logger().Error("a handler panicked",
			"target", w.request.RequestURI, "panic", fmt.Sprint(value), "stack", string(stack))
	}
	if value == http.ErrAbortHandler || w.begun || w.hijacked {
		w.exchange.abort("error", "the handler panicked")
		return
	}
	w.fail()
}
