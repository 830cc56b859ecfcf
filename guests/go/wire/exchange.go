package wire

// An Exchange is one request and its response on a Conn.
type Exchange struct {
	// Number is that of the exchange on its connection.
	Number int64
	// Owner is the caller's own.
	Owner any

	conn     *Conn
	request  Half
	response Half
	tunnel   TunnelState
	over     bool
	claimed  bool // the request's body comes over a data connection
	carried  bool // the response's body goes over one
	granted  bool // credit was given for the request's body, beyond what it began with

	room     int64 // what the proxy may still send of the request's body, in bytes
	credit   int64 // what may be sent of the response's body
	consumed int64 // what was taken of the request's body, and not granted again
	received int64 // bytes of the request's half that came in frames
	sent     int64 // bytes of the response's half that went in frames

	announced int64 // the length of the request's body as its head told it; -1 if not
	promised  int64 // the length of the response's body as its head told it; -1 if not
	interim   int   // what the interim responses have cost
}

// Over says whether nothing more can be sent or will come.
func (x *Exchange) Over() bool { return x.over }

// Request returns the state of the request's half.
func (x *Exchange) Request() Half { return x.request }

// Response returns the state of the response's half.
func (x *Exchange) Response() Half { return x.response }

// Tunnel returns the state of the tunnel.
func (x *Exchange) Tunnel() TunnelState { return x.tunnel }

// Credit returns how many bytes of the response's body may go in frames now.
func (x *Exchange) Credit() int64 { return x.credit }

// Claimed says whether the request's body comes over a data connection from now on.
func (x *Exchange) Claimed(is bool) { x.claimed = is }

// Carried says that the response's body goes over a data connection from now on.
func (x *Exchange) Carried() { x.carried = true }

// step changes a half; false if its state does not allow that.
func (x *Exchange) step(which int, step step) bool {
	half := &x.request
	if which == responseHalf {
		half = &x.response
	}
	next := halves[which][*half][step]
	if next == 0 {
		return false
	}
	*half = next
	return true
}

func (x *Exchange) tunnelStep(step tunnelStep) bool {
	next := tunnels[x.tunnel][step]
	if next == NoTunnel {
		return false
	}
	x.tunnel = next
	return true
}

// settle ends the exchange if its response is complete; a tunnel, if both halves are.
func (x *Exchange) settle() {
	if x.response == Complete && (x.tunnel <= Asked || x.request == Complete) {
		x.end()
	}
}

func (x *Exchange) end() {
	if !x.over {
		x.over = true
		delete(x.conn.exchanges, x.Number)
	}
}
