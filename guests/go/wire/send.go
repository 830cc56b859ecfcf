package wire

import "errors"

// Errors of what a caller wants to send.
var (
	// ErrOver: the exchange, or the connection, is over. Nothing was sent.
	ErrOver = errors.New("the exchange is over")
	// ErrState: it may not be sent in this state. Nothing was sent.
	ErrState = errors.New("not in this state")
	// ErrTooLong: the frame would be longer than the proxy takes. Nothing was sent.
	ErrTooLong = errors.New("longer than the proxy takes")
	// ErrInterim: more interim responses, or larger ones, than an exchange may have.
	ErrInterim = errors.New("too many interim responses")
)

// say sends a frame of one's own that concerns no exchange.
func (c *Conn) say(verb Verb, elements ...any) bool {
	next := sides[Guest][c.ours][verb]
	if next == 0 {
		return false
	}
	c.ours = next
	c.out = Append(c.out, append([]any{verb.String()}, elements...))
	return true
}

// Hello begins the subscription.
func (c *Conn) Hello(hello HelloInfo) {
	c.bulk = hello.Bulk
	c.tunnels = hello.Tunnels
	c.say(Hello, hello.dict(c.limits))
}

// Register asks for a route; info may be nil.
func (c *Conn) Register(reference int64, host, path string, info map[string]any) {
	if info == nil {
		info = map[string]any{}
	}
	c.say(Register, reference, host, path, info)
}

// Unregister gives a route back.
func (c *Conn) Unregister(reference int64) { c.say(Unregister, reference) }

// Pong answers a ping; info may be nil.
func (c *Conn) Pong(nonce string, info map[string]any) {
	if info == nil {
		info = map[string]any{}
	}
	c.say(Pong, nonce, info)
}

// Drain asks for no new requests; again, it does nothing.
func (c *Conn) Drain() { c.say(Drain, map[string]any{}) }

// Bye ends the connection, and with it each exchange. A code is from the table of bye.
func (c *Conn) Bye(code, reason string) {
	if len(reason) > MaxReason {
		reason = reason[:MaxReason]
	}
	if !c.say(Bye, code, reason) {
		return
	}
	c.lost = c.Lost()
}

// open says whether frames of the exchange can be sent.
func (c *Conn) open(x *Exchange) bool {
	return !x.over && sides[Guest][c.ours][Body] != 0
}

// frame begins a frame of an exchange, whose elements behind the number have so many bytes.
func (c *Conn) frame(verb Verb, x *Exchange, rest int) {
	word := verb.String()
	c.out = appendLength(c.out, sizeOf(len(word))+sizeOfInteger(x.Number)+rest)
	c.out = appendText(c.out, word)
	c.out = appendInteger(c.out, x.Number)
}

// Interim sends an interim response.
func (c *Conn) Interim(x *Exchange, status int, fields []Field) error {
	if !c.open(x) {
		return ErrOver
	}
	cost := InterimCost
	for _, each := range fields {
		cost += len(each.Name) + len(each.Value)
	}
	if x.interim+cost > MaxInterim {
		return ErrInterim
	}
	if halves[responseHalf][x.response][interim] == 0 {
		return ErrState
	}
	if err := c.head(x, status, fields, "", Whole(nil)); err != nil {
		return err
	}
	x.interim += cost
	return nil
}

// A BodyForm says how the body of a response goes: see Whole, Stream and Line.
type BodyForm struct {
	step   step
	data   []byte
	length int64
	ahead  bool
}

// Whole is a body within the response.
func Whole(data []byte) BodyForm { return BodyForm{step: whole, data: data} }

// Stream is a body that goes in frames.
func Stream() BodyForm { return BodyForm{step: stream} }

// Line is a body that goes over a data connection; length is -1 if it is not known.
func Line(length int64) BodyForm { return BodyForm{step: line, length: length} }

// LineAhead is a body of known length that goes over the data connection which claims the token that
// came with the request.
func LineAhead(length int64) BodyForm { return BodyForm{step: line, length: length, ahead: true} }

// Respond sends the head of the final response. A tunnel that was asked for is accepted by a
// status from 200 to 299 with Stream or Line, and refused by any other.
func (c *Conn) Respond(x *Exchange, status int, fields []Field, reason string, form BodyForm) error {
	if !c.open(x) {
		return ErrOver
	}
	accepts := x.tunnel == Asked && 200 <= status && status <= 299 && form.step != whole
	if form.step == line && !c.bulk || accepts && form.step == line && x.granted {
		return ErrState
	}
	if accepts && form.step == line {
		form.step, form.length = direct, -1
	}
	if halves[responseHalf][x.response][form.step] == 0 {
		return ErrState
	}
	if err := c.head(x, status, fields, reason, form); err != nil {
		return err
	}
	x.step(responseHalf, form.step)
	switch {
	case accepts && form.step == direct:
		x.step(requestHalf, direct)
		x.tunnelStep(acceptedDirect)
	case accepts:
		x.tunnelStep(acceptedFramed)
	default:
		x.tunnel = NoTunnel
	}
	x.promised = -1
	if form.step == line {
		x.promised = form.length
	}
	x.settle()
	return nil
}

func (c *Conn) head(x *Exchange, status int, fields []Field, reason string, form BodyForm) error {
	var info, last []byte
	if reason != "" {
		info = appendText(appendText(nil, "reason"), reason)
	}
	if (form.step == line) && form.length >= 0 {
		last = appendInteger(appendText(nil, "length"), form.length)
		if form.ahead {
			last = append(appendText(last, "ahead"), "4:true!"...)
		}
	}
	payload := payloadOfFields(fields)
	rest := sizeOfInteger(int64(status)) + sizeOf(payload) + sizeOf(len(info))
	if form.step == whole {
		rest += sizeOf(len(form.data))
	} else {
		rest += sizeOf(len(last))
	}
	if sizeOf(len("response"))+sizeOfInteger(x.Number)+rest > c.peer.Frame ||
		len(form.data) > c.peer.Inline {
		return ErrTooLong
	}
	c.frame(Response, x, rest)
	c.out = appendInteger(c.out, int64(status))
	c.out = appendFields(c.out, fields, payload)
	c.out = appendElement(c.out, info, Dict)
	switch form.step {
	case whole:
		c.out = appendText(c.out, form.data)
	case stream:
		c.out = append(c.out, "0:~"...)
	default:
		c.out = appendElement(c.out, last, Dict)
	}
	c.out = append(c.out, byte(List))
	return nil
}

// frameCost is more than what a body frame has besides its data, in bytes.
const frameCost = 64

// Write sends so much of data, as body frames, as there is credit for; it returns how much.
func (c *Conn) Write(x *Exchange, data []byte) (int, error) {
	if !c.open(x) {
		return 0, ErrOver
	}
	if x.carried || halves[responseHalf][x.response][body] == 0 {
		return 0, ErrState
	}
	piece := min(MaxPiece, c.peer.Frame-frameCost)
	sent := 0
	for sent < len(data) && x.credit > 0 {
		part := data[sent:]
		part = part[:min(len(part), piece, int(x.credit))]
		c.frame(Body, x, sizeOf(len(part)))
		c.out = appendText(c.out, part)
		c.out = append(c.out, byte(List))
		x.step(responseHalf, body)
		x.credit -= int64(len(part))
		x.sent += int64(len(part))
		sent += len(part)
	}
	return sent, nil
}

// End ends the response's half. A length from 0 on is told: that of a body which went over a data
// connection.
func (c *Conn) End(x *Exchange, trailers []Field, length int64) error {
	if !c.open(x) {
		return ErrOver
	}
	needs := x.response == Raw || x.response == Bulk && x.promised < 0
	if halves[responseHalf][x.response][end] == 0 || needs && length < 0 {
		return ErrState
	}
	var info []byte
	if length >= 0 {
		info = appendInteger(appendText(nil, "length"), length)
	}
	payload := payloadOfFields(trailers)
	rest := sizeOf(payload) + sizeOf(len(info))
	if sizeOf(len("end"))+sizeOfInteger(x.Number)+rest > c.peer.Frame {
		return ErrTooLong
	}
	c.frame(End, x, rest)
	c.out = appendFields(c.out, trailers, payload)
	c.out = appendElement(c.out, info, Dict)
	c.out = append(c.out, byte(List))
	x.step(responseHalf, end)
	x.settle()
	return nil
}

// Consumed says that so many bytes of the request's body were got rid of, or, with 0, that somebody
// wants it. Credit is granted where there was none, and then by halves of a window.
func (c *Conn) Consumed(x *Exchange, n int) {
	if x.claimed || !c.open(x) || halves[requestHalf][x.request][body] == 0 {
		return
	}
	window := int64(c.limits.Window)
	x.consumed += int64(n)
	amount := x.consumed
	if x.room == 0 && x.received == 0 && !x.granted {
		amount, x.granted = window, true
	} else if amount == 0 || amount < (window+1)/2 {
		return
	}
	x.consumed = 0
	x.room += amount
	c.frame(Credit, x, sizeOfInteger(amount))
	c.out = appendInteger(c.out, amount)
	c.out = append(c.out, byte(List))
}

// Move says that what follows of the response's half of a tunnel goes over its data connection.
func (c *Conn) Move(x *Exchange) error {
	if !c.open(x) {
		return ErrOver
	}
	if halves[responseHalf][x.response][move] == 0 || !x.tunnelStep(moved) {
		return ErrState
	}
	x.step(responseHalf, move)
	c.frame(Move, x, sizeOfInteger(x.sent))
	c.out = appendInteger(c.out, x.sent)
	c.out = append(c.out, byte(List))
	return nil
}

// Abort ends the exchange. A code is from the table of abort.
func (c *Conn) Abort(x *Exchange, code, reason string) {
	if !c.open(x) {
		return
	}
	if len(reason) > MaxReason {
		reason = reason[:MaxReason]
	}
	c.frame(Abort, x, sizeOf(len(code))+sizeOf(len(reason)))
	c.out = appendText(c.out, code)
	c.out = appendText(c.out, reason)
	c.out = append(c.out, byte(List))
	x.end()
}
