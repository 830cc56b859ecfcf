package wire

// A Kind is what an [Event] is about.
type Kind byte

// The kinds of events.
const (
	// Welcomed: Welcome tells how.
	Welcomed Kind = iota + 1
	// Answered: Message is a registered, a refused or an unregistered.
	Answered
	// Pinged: Text is the nonce, which is to be answered at once.
	Pinged
	// Began: Exchange is new, and Message is its request.
	Began
	// Came: Text is a piece of the request's body.
	Came
	// Ended: all that comes of the request's half in frames has come. Message is the end.
	Ended
	// Granted: there is more credit for the response's body.
	Granted
	// Invited: Text is a token for a data connection.
	Invited
	// Moved: what follows of the request's half comes over the data connection.
	Moved
	// Aborted: the proxy has ended the exchange, with Code and Text.
	Aborted
	// Faulted: the proxy has broken a rule of the exchange, which was answered with an abort; Text
	// tells which.
	Faulted
	// Drained: no new requests will come.
	Drained
	// Closed: the proxy has said bye, with Code and Text; that was answered.
	Closed
	// Broken: the proxy has broken a rule of the connection, which was answered with a bye of that
	// Code; Text tells which.
	Broken
)

// An Event is what has happened on a Conn.
type Event struct {
	Kind     Kind
	Exchange *Exchange
	Message  Message
	Welcome  WelcomeInfo
	Code     string
	Text     string
}

// A Conn is the guest's side of one subscription.
type Conn struct {
	decoder   Decoder
	out       []byte
	limits    Limits // ours
	peer      Limits
	ours      SideState
	theirs    SideState
	begun     bool // a frame has come
	bulk      bool // there are data connections
	tunnels   []string
	tunnelled bool // there are tunnels
	last      int64
	exchanges map[int64]*Exchange
	lost      []*Exchange // that a bye has ended
}

// NewConn returns a connection that has said nothing yet.
func NewConn(limits Limits) *Conn {
	return &Conn{
		decoder:   Decoder{Limit: limits.Frame},
		limits:    limits,
		peer:      DefaultLimits,
		ours:      Idle,
		theirs:    Idle,
		exchanges: map[int64]*Exchange{},
	}
}

// Buffer returns space for the next read: see Decoder.Buffer.
func (c *Conn) Buffer() []byte { return c.decoder.Buffer() }

// Filled says that so many bytes were read into what Buffer returned.
func (c *Conn) Filled(n int) { c.decoder.Filled(n) }

// Feed adds bytes that came.
func (c *Conn) Feed(data []byte) { c.decoder.Feed(data) }

// Pending says whether there is something to be written.
func (c *Conn) Pending() int { return len(c.out) }

// Take returns what is to be written, and keeps empty, which may have the space of an earlier
// result, for what comes next.
func (c *Conn) Take(empty []byte) []byte {
	out := c.out
	c.out = empty[:0]
	return out
}

// Ours returns the state of this side; Done once bye was said.
func (c *Conn) Ours() SideState { return c.ours }

// Theirs returns the state of the proxy.
func (c *Conn) Theirs() SideState { return c.theirs }

// PeerLimits returns what the proxy takes.
func (c *Conn) PeerLimits() Limits { return c.peer }

// Exchanges returns how many are not over.
func (c *Conn) Exchanges() int { return len(c.exchanges) }

// Next returns the next event; false if more bytes are needed, or nothing more can come.
func (c *Conn) Next() (Event, bool) {
	for c.ours != Done && c.theirs != Done {
		frame, ok, err := c.decoder.Next()
		if err != nil {
			return c.breaks("frame", err.Error()), true
		}
		if !ok {
			break
		}
		if event := c.receive(frame); event.Kind != 0 {
			return event, true
		}
	}
	return Event{}, false
}

// breaks ends the connection for a mistake of the proxy.
func (c *Conn) breaks(code, reason string) Event {
	c.Bye(code, reason)
	return Event{Kind: Broken, Code: code, Text: reason}
}

// receive returns what a frame means; no event for what is ignored.
func (c *Conn) receive(frame Value) Event {
	message, err := Parse(frame)
	first := !c.begun
	c.begun = true
	if failure, is := err.(*MessageError); is {
		if failure.Refusal != "" {
			return c.breaks("state", "hello is what a guest says")
		}
		return c.breaks(failure.Code, failure.Reason)
	}
	verb := message.Verb
	if verb == Unknown {
		if first {
			return c.breaks("state", "the first frame is an unknown one")
		}
		return Event{}
	}
	next := sides[Proxy][c.theirs][verb]
	if next == 0 {
		return c.breaks("state", verb.String()+" is not allowed now")
	}
	c.theirs = next
	switch verb {
	case Welcome:
		info := parseWelcome(message.Parts[0])
		c.peer = info.Limits
		c.bulk = c.bulk && info.Bulk >= 0
		c.tunnelled = len(c.tunnels) > 0 && info.Tunnel >= 0
		return Event{Kind: Welcomed, Welcome: info}
	case Registered, Refused, Unregistered:
		return Event{Kind: Answered, Message: message}
	case Ping:
		return Event{Kind: Pinged, Text: message.Parts[0].Data}
	case Drain:
		return Event{Kind: Drained, Message: message}
	case Bye:
		c.Bye("done", "")
		code := message.Parts[0].Text()
		if code == "" {
			code = "done"
		}
		return Event{Kind: Closed, Code: code, Text: message.Parts[1].Text()}
	case Request:
		return c.begin(message)
	}
	return c.ofExchange(verb, message)
}

// ofExchange takes a message of an exchange that has begun.
func (c *Conn) ofExchange(verb Verb, message Message) Event {
	number := message.Parts[0].Int()
	if number > c.last {
		return c.breaks("state", verb.String()+" for an exchange that never began")
	}
	x := c.exchanges[number]
	if x == nil {
		return Event{}
	}
	var event Event
	var wrong string
	switch verb {
	case Body:
		event, wrong = x.bodyCame(message.Parts[1].Data)
	case End:
		event, wrong = x.endCame(message)
	case Move:
		event, wrong = x.moveCame(message.Parts[1].Int())
	case Credit:
		event, wrong = x.creditCame(message.Parts[1].Int())
	case Connect:
		event, wrong = x.connectCame(message.Parts[1].Data)
	case Abort:
		x.end()
		event = Event{Kind: Aborted, Code: message.Parts[1].Data, Text: message.Parts[2].Text()}
	}
	if wrong != "" {
		event = c.fault(x, wrong)
	}
	event.Exchange = x
	return event
}

// fault ends an exchange for a mistake of the proxy.
func (c *Conn) fault(x *Exchange, reason string) Event {
	c.Abort(x, "protocol", reason)
	return Event{Kind: Faulted, Exchange: x, Text: reason}
}

// begin takes a request.
func (c *Conn) begin(message Message) Event {
	number := message.Parts[0].Int()
	if number <= c.last {
		return c.breaks("state", "the number of an exchange is not above the last")
	}
	c.last = number
	x := &Exchange{
		Number: number, conn: c, request: Waiting, response: Waiting,
		room: int64(c.limits.Window), credit: int64(c.peer.Window), announced: -1, promised: -1,
	}
	c.exchanges[number] = x
	if wrong := x.requestCame(message.Parts[4], message.Parts[5]); wrong != "" {
		return c.fault(x, wrong)
	}
	return Event{Kind: Began, Exchange: x, Message: message}
}

// Lost ends each exchange, as the end of the connection does. It returns those that
// were ended so, or by a bye, since it was asked before.
func (c *Conn) Lost() []*Exchange {
	for _, x := range c.exchanges {
		x.over = true
		c.lost = append(c.lost, x)
	}
	clear(c.exchanges)
	ended := c.lost
	c.lost = nil
	return ended
}
