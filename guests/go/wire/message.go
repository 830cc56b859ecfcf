package wire

// A Sender is one of the two roles.
type Sender byte

// The roles, as a set: some verbs are said by both.
const (
	Guest Sender = 1 << iota
	Proxy
)

// A Verb is the first element of a message that is known.
type Verb byte

// The verbs of docs/protocol.md. Unknown is every other one.
const (
	Unknown Verb = iota
	Hello
	Welcome
	Register
	Registered
	Refused
	Unregister
	Unregistered
	Connect
	Ping
	Pong
	Request
	Response
	Body
	End
	Move
	Credit
	Abort
	Drain
	Bye
	verbs
)

// A form is what follows a verb, and who may say it: so many elements must be there.
type form struct {
	name     string
	senders  Sender
	needed   int
	elements []check
}

var forms = [verbs]form{
	Hello:        {"hello", Guest, 1, []check{helloKeys}},
	Welcome:      {"welcome", Proxy, 1, []check{isWelcome}},
	Register:     {"register", Guest, 3, []check{reference, pattern, pattern, registerKeys}},
	Registered:   {"registered", Proxy, 1, []check{reference, registeredKeys}},
	Refused:      {"refused", Proxy, 3, []check{orZero, name, reason}},
	Unregister:   {"unregister", Guest, 1, []check{reference}},
	Unregistered: {"unregistered", Proxy, 1, []check{reference}},
	Connect:      {"connect", Guest | Proxy, 2, []check{orZero, name}},
	Ping:         {"ping", Proxy, 1, []check{name}},
	Pong:         {"pong", Guest, 1, []check{name, pongKeys}},
	Request: {"request", Proxy, 6, []check{
		exchange, octets(1, MaxMethod), octets(1, MaxTarget), isFields, requestKeys, isBody,
	}},
	Response: {"response", Guest, 5, []check{
		exchange, integer(100, 999), isFields, responseKeys, isBody,
	}},
	Body:   {"body", Guest | Proxy, 2, []check{exchange, octets(1, maxFrame)}},
	End:    {"end", Guest | Proxy, 1, []check{exchange, isFields, isDict}},
	Move:   {"move", Guest | Proxy, 2, []check{exchange, orZero}},
	Credit: {"credit", Guest | Proxy, 2, []check{exchange, integer(1, MaxWindow)}},
	Abort:  {"abort", Guest | Proxy, 2, []check{exchange, name, reason}},
	Drain:  {"drain", Guest | Proxy, 0, []check{drainKeys}},
	Bye:    {"bye", Guest | Proxy, 0, []check{name, reason}},
}

var verbOf = func() map[string]Verb {
	found := make(map[string]Verb, verbs)
	for verb, each := range forms {
		if each.name != "" {
			found[each.name] = Verb(verb)
		}
	}
	return found
}()

// String returns the verb as frames have it.
func (v Verb) String() string {
	if v == Unknown || v >= verbs {
		return "unknown"
	}
	return forms[v].name
}

// maxParts is how many elements a message has behind its verb, at most.
const maxParts = 6

// A Message is a frame whose elements were found right. Those that may be left out, and were, have
// the Tag 0.
type Message struct {
	Verb  Verb
	Parts [maxParts]Value
}

// A MessageError tells why a frame is no message.
type MessageError struct {
	// Code is that of the bye which answers it: "message", or "refused".
	Code string
	// Refusal is the code of the refused before that bye, for a hello.
	Refusal string
	// Reason is for a person.
	Reason string
}

func (e *MessageError) Error() string { return e.Code + ": " + e.Reason }

// Parse reads a valid frame. A message whose verb is Unknown is to be ignored. The error is a
// *MessageError. Who may say which verb is not looked at here: see Verb.SaidBy.
func Parse(frame Value) (Message, error) {
	items := frame.Items()
	first, ok := items.Next()
	if !ok || first.Tag != Bytes {
		return Message{}, &MessageError{"message", "", "a message begins with a verb"}
	}
	verb := verbOf[first.Data]
	if verb == Unknown {
		return Message{}, nil
	}
	form := &forms[verb]
	message := Message{Verb: verb}
	for i, fits := range form.elements {
		value, ok := items.Next()
		if !ok && i < form.needed {
			return Message{}, &MessageError{"message", "", form.name + ": too short"}
		}
		if !ok {
			break
		}
		if !fits(value) {
			if verb == Hello {
				return Message{}, &MessageError{"refused", refusal(value), "hello: a wrong value"}
			}
			return Message{}, &MessageError{"message", "", form.name + ": a wrong value"}
		}
		message.Parts[i] = value
	}
	return message, nil
}

// SaidBy says whether a side may say that verb, in whatever state.
func (v Verb) SaidBy(sender Sender) bool { return forms[v].senders&sender != 0 }

// refusal is the code with which a hello of a wrong value is refused.
func refusal(info Value) string {
	if version := info.Get("version"); version.Tag == Integer && version.Int() != Version {
		return "version"
	}
	return "hello"
}
