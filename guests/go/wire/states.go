package wire

// The tables "States" of docs/protocol.md. A state that is 0 is none: what is not in a table is
// not allowed.

// A SideState is what one side of a subscription has said so far.
type SideState byte

// The states of a side.
const (
	Idle SideState = iota + 1
	Open
	Draining
	Done
	sideStates
)

// openProxy and openGuest are what either side may say while it is open, and stays open.
var (
	openProxy = []Verb{
		Registered, Unregistered, Refused, Ping, Connect, Request, Body, End, Move, Credit, Abort,
	}
	openGuest = []Verb{
		Register, Unregister, Pong, Response, Body, End, Move, Credit, Abort,
	}
)

// sides[sender][state][verb] is the state of that sender once it has said the verb.
var sides = func() (table [Proxy + 1][sideStates][verbs]SideState) {
	table[Guest][Idle][Hello] = Open
	table[Proxy][Idle][Refused] = Idle
	table[Proxy][Idle][Welcome] = Open
	for sender, said := range map[Sender][]Verb{Guest: openGuest, Proxy: openProxy} {
		for _, verb := range said {
			table[sender][Open][verb] = Open
			table[sender][Draining][verb] = Draining
		}
		table[sender][Open][Drain] = Draining
		for _, state := range []SideState{Idle, Open, Draining} {
			table[sender][state][Bye] = Done
		}
	}
	table[Proxy][Draining][Request] = 0
	return table
}()

// A Half is the state of a request or of a response.
type Half byte

// The states of a half.
const (
	Waiting Half = iota + 1
	Streaming
	Bulk
	Raw
	Complete
	halfStates
)

// A step is what changes a half.
type step byte

const (
	whole   step = iota // a head with its whole body
	stream              // a head with null
	line                // a head with a dictionary
	direct              // a dictionary that accepts a tunnel
	interim             // an interim response
	body
	move
	end
	steps
)

// Which half it is.
const (
	requestHalf = iota
	responseHalf
)

// halves[which][state][step] is the next state of that half.
var halves = func() (table [2][halfStates][steps]Half) {
	for which := range table {
		half := &table[which]
		half[Waiting][whole] = Complete
		half[Waiting][stream] = Streaming
		half[Waiting][line] = Bulk
		half[Streaming][body] = Streaming
		half[Streaming][move] = Raw
		half[Streaming][end] = Complete
		half[Bulk][body] = Streaming
		half[Bulk][end] = Complete
		half[Raw][end] = Complete
	}
	table[responseHalf][Waiting][interim] = Waiting
	table[responseHalf][Waiting][direct] = Raw
	table[requestHalf][Streaming][direct] = Raw
	table[requestHalf][Complete][direct] = Complete
	return table
}()

// A TunnelState is what both halves of a tunnel have in common.
type TunnelState byte

// The states of a tunnel. NoTunnel is that of other exchanges, and of those that were refused.
const (
	NoTunnel TunnelState = iota
	Asked
	Framed
	Offered
	Moving
	Direct
	tunnelStates
)

// A tunnelStep is what changes a tunnel.
type tunnelStep byte

const (
	acceptedFramed tunnelStep = iota
	acceptedDirect
	offered
	moved
	tunnelSteps
)

// tunnels[state][step] is the next state; NoTunnel is none.
var tunnels = [tunnelStates][tunnelSteps]TunnelState{
	Asked:   {acceptedFramed: Framed, acceptedDirect: Direct},
	Framed:  {offered: Offered},
	Offered: {offered: Offered, moved: Moving},
	Moving:  {moved: Moving},
	Direct:  {offered: Direct},
}
