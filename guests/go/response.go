package guest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"subproxy/guest/wire"
)

// A mode is how the body of a response goes.
type mode byte

const (
	held      mode = iota // it is collected: it may all go with the head
	framed                // in frames
	carried               // over a data connection
	discarded             // there is none to be sent: HEAD
)

// holdUnknown is how much of a body of unknown length is collected before its head goes, in bytes.
const holdUnknown = 16 << 10

// sniffed is how much of a body http.DetectContentType looks at.
const sniffed = 512

// A response is the http.ResponseWriter of an exchange. It is the handler's, and so is all that is
// in it; only what goes to the wire takes the mu of the session.
type response struct {
	exchange *exchange
	request  *http.Request
	header   http.Header
	status   int
	fields   []wire.Field // of the head, as they were when it was written
	hasType  bool         // a Content-Type, or none wanted
	length   int64        // as Content-Length has it; -1 if it is not said
	written  int64
	buffer   []byte
	mode     mode
	headed   bool // WriteHeader was called
	begun    bool // the head has gone
	long     bool // a data connection is wanted
	over     bool // finish was called
	hijacked bool // the handler has the connection
	err      error
	trailers []string // that were declared
	deadline deadline
	scratch  *scratch
}

// A scratch is what one response after the other uses.
type scratch struct {
	fields []wire.Field
	buffer []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// start makes a writer of the zero one.
func (w *response) start(e *exchange, request *http.Request) {
	w.exchange, w.request, w.length = e, request, -1
	w.scratch = scratches.Get().(*scratch)
	w.fields, w.buffer = w.scratch.fields[:0], w.scratch.buffer[:0]
}

// free lets another exchange have what was allocated. A handler that keeps the writer beyond its
// return finds it over.
func (w *response) free() {
	spare := w.scratch
	w.scratch = nil
	if spare == nil || w.hijacked {
		return
	}
	clear(w.fields)
	spare.fields = w.fields
	if spare.buffer = w.buffer; cap(w.buffer) > 2*holdUnknown {
		spare.buffer = nil
	}
	w.fields, w.buffer = nil, nil
	scratches.Put(spare)
}

// Header returns the fields that WriteHeader will send.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header, 4)
	}
	return w.header
}

// bodiless says whether the status allows no body: RFC 9110, section 6.4.1.
func bodiless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// WriteHeader sends an interim response, or settles the head of the final one.
func (w *response) WriteHeader(status int) {
	logger := w.exchange.session.subscriber.logger()
	if w.over {
		logger.Error("WriteHeader after the handler has returned", "target", w.request.RequestURI)
		return
	}
	if w.headed {
		logger.Error("superfluous WriteHeader", "target", w.request.RequestURI, "status", status)
		return
	}
	if status < 100 || status > 999 {
		panic("guest: invalid WriteHeader code " + strconv.Itoa(status))
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.interim(status)
		return
	}
	if status == http.StatusSwitchingProtocols {
		logger.Error("101 is no response here: there is no Hijack", "target", w.request.RequestURI)
		status = http.StatusInternalServerError
	}
	w.headed, w.status = true, status
	w.takeFields()
	if w.request.Method == http.MethodHead {
		w.mode = discarded
	}
}

func (w *response) interim(status int) {
	var fields []wire.Field
	for name, values := range w.header {
		fields = appendValues(fields, name, values)
	}
	s := w.exchange.session
	s.mu.Lock()
	err := s.wire.Interim(w.exchange.wire, status, fields)
	s.mu.Unlock()
	s.kick()
	if err != nil && err != wire.ErrOver {
		s.subscriber.logger().Error("an interim response that cannot be sent", "reason", err.Error())
	}
}

// takeFields keeps the fields as they are now, and reads what they say of the body.
func (w *response) takeFields() {
	for name, values := range w.header {
		switch name {
		case "Content-Length":
			if !w.takeLength(values) {
				continue
			}
		case "Content-Type":
			w.hasType = true
		case "Content-Encoding":
			w.hasType = w.hasType || len(values) > 0 && values[0] != ""
		case "Trailer":
			for _, each := range values {
				for one := range strings.SplitSeq(each, ",") {
					w.trailers = append(w.trailers, http.CanonicalHeaderKey(strings.TrimSpace(one)))
				}
			}
		}
		if strings.HasPrefix(name, http.TrailerPrefix) || w.declared(name) {
			continue
		}
		w.fields = appendValues(w.fields, name, values)
	}
}

// takeLength reads a Content-Length; false if it is none, which is left out as http.Server does.
func (w *response) takeLength(values []string) bool {
	if len(values) == 0 {
		return false
	}
	length, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || length < 0 || len(values) > 1 {
		w.exchange.session.subscriber.logger().Error("invalid Content-Length", "value", values[0])
		return false
	}
	w.length = length
	return true
}

func (w *response) declared(name string) bool {
	for _, each := range w.trailers {
		if each == name {
			return true
		}
	}
	return false
}

// appendValues appends fields, as http.Server writes them: names that are none are left out, and a
// line break within a value becomes a space.
func appendValues(fields []wire.Field, name string, values []string) []wire.Field {
	if !isToken(name) {
		return fields
	}
	for _, value := range values {
		fields = append(fields, wire.Field{Name: name, Value: cleanValue(value)})
	}
	return fields
}

func isToken(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return name != ""
}

func cleanValue(value string) string {
	clean := true
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			clean = false
			break
		}
	}
	if clean && (value == "" || value[0] > ' ' && value[len(value)-1] > ' ') {
		return value
	}
	return strings.Trim(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return ' '
		}
		return r
	}, value), " \t")
}

// Write sends a piece of the body, or collects it.
func (w *response) Write(p []byte) (int, error) { return write(w, p) }

// WriteString is Write of a string.
func (w *response) WriteString(p string) (int, error) { return write(w, p) }

func write[T string | []byte](w *response, p T) (int, error) {
	if !w.headed {
		w.WriteHeader(http.StatusOK)
	}
	switch {
	case w.over:
		return 0, http.ErrBodyNotAllowed
	case w.err != nil:
		return 0, w.err
	case len(p) == 0:
		return 0, nil
	case bodiless(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	switch w.mode {
	case discarded:
		w.buffer = append(w.buffer, p[:min(len(p), sniffed-min(sniffed, len(w.buffer)))]...)
		return len(p), nil
	case held:
		if !w.large() && len(w.buffer)+len(p) <= w.hold() {
			w.buffer = append(w.buffer, p...)
			return len(p), nil
		}
		if len(w.buffer) == 0 {
			w.buffer = append(w.buffer, p[:min(len(p), sniffed)]...)
			w.sniff()
			w.buffer = w.buffer[:0]
		}
		if w.begin(); w.err != nil {
			return 0, w.err
		}
	}
	w.err = w.send([]byte(p))
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// hold is how many bytes are collected before the head goes.
func (w *response) hold() int {
	if inline := w.exchange.session.inline(); w.exchange.asksTunnel() || w.length >= 0 && w.length <= int64(inline) {
		return inline
	}
	return holdUnknown
}

// large says whether the body is to go over a data connection.
func (w *response) large() bool {
	bulk := w.exchange.session.bulk()
	return bulk >= 0 && (w.long || bulk > 0 && w.length >= bulk)
}

// sniff sets the type of a body that the handler has not told, as http.Server does.
func (w *response) sniff() {
	if !w.hasType && len(w.buffer) > 0 && !bodiless(w.status) {
		w.hasType = true
		w.fields = append(w.fields, wire.Field{
			Name: "Content-Type", Value: http.DetectContentType(w.buffer),
		})
	}
}

// begin sends the head of a body that is not complete, and what was collected of it.
func (w *response) begin() {
	if w.status < 300 && w.exchange.asksTunnel() {
		w.err = errUpgrade // the proxy would take it for one that accepts
		return
	}
	w.sniff()
	if w.mode == held && w.length >= 0 && w.written == w.length && !w.large() && !bodiless(w.status) &&
		w.finalTrailers() == nil {
		// All of it is here: it goes with its head, as it would without Flush.
		if w.err = w.respond(wire.Whole(w.buffer)); w.err == nil {
			w.mode, w.buffer = discarded, w.buffer[:0]
			return
		} else if w.err != wire.ErrTooLong {
			return
		}
	}
	if w.large() && w.mode == held && !bodiless(w.status) {
		w.mode = carried
		w.err = w.respondLine()
	} else if w.mode == discarded || bodiless(w.status) {
		w.mode = discarded
		w.err = w.respond(wire.Whole(nil))
	} else {
		w.mode = framed
		w.err = w.respond(wire.Stream())
	}
	if w.err == nil && w.mode != discarded && len(w.buffer) > 0 {
		w.err = w.send(w.buffer)
	}
	w.buffer = w.buffer[:0]
}

// Flush sends what was written so far.
func (w *response) Flush() { w.FlushError() }

// FlushError is Flush, and tells why that can't be.
func (w *response) FlushError() error {
	if !w.headed {
		w.WriteHeader(http.StatusOK)
	}
	if !w.begun && w.err == nil && !w.over && !(w.status < 300 && w.exchange.asksTunnel()) {
		w.begin()
	}
	return w.err
}

// ReadFrom sends all of source; over a data connection the kernel does it, where it can.
func (w *response) ReadFrom(source io.Reader) (int64, error) {
	if !w.headed {
		w.WriteHeader(http.StatusOK)
	}
	if w.mode == held && w.large() && !w.over {
		// What is looked at first decides the type, and is sent as any piece is.
		first, err := io.CopyN(struct{ io.Writer }{w}, source, sniffed)
		if err != nil || w.mode != carried {
			if err == io.EOF {
				err = nil
			}
			return first, err
		}
		more, err := w.ReadFrom(source)
		return first + more, err
	}
	if into, is := w.into(); is && !w.over {
		limited := io.LimitReader(source, max(w.length-w.written, 0))
		n, err := into.ReadFrom(limited)
		w.written += n
		if err != nil {
			w.err = w.exchange.cause(err)
		}
		return n, w.err
	}
	return io.Copy(struct{ io.Writer }{w}, source)
}

// into returns the data connection, if it can be read into and the length is known.
func (w *response) into() (io.ReaderFrom, bool) {
	if w.mode != carried || w.length < 0 || w.err != nil {
		return nil, false
	}
	if w.err = w.carry(); w.err != nil || w.mode != carried {
		return nil, false
	}
	into, is := w.exchange.sending.conn.(io.ReaderFrom)
	return into, is
}

// EnableFullDuplex does nothing: requests are full duplex.
func (w *response) EnableFullDuplex() error { return nil }

// SetReadDeadline lets reads of the request's body fail from then on.
func (w *response) SetReadDeadline(at time.Time) error {
	e := w.exchange
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	e.body.deadline.set(at, e.wake)
	if e.body.line != nil {
		return e.body.line.conn.SetReadDeadline(at)
	}
	return nil
}

// SetWriteDeadline lets writes of the response fail from then on.
func (w *response) SetWriteDeadline(at time.Time) error {
	e := w.exchange
	e.session.mu.Lock()
	defer e.session.mu.Unlock()
	w.deadline.set(at, e.wake)
	if e.sending != nil {
		return e.sending.conn.SetWriteDeadline(at)
	}
	return nil
}

// Long says that the body of a response is long, though its length is not known: it goes over a
// data connection, where the proxy offers them. It must be called before anything is written.
func Long(w http.ResponseWriter) {
	for {
		switch each := w.(type) {
		case *response:
			each.long = true
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = each.Unwrap()
		default:
			return
		}
	}
}
