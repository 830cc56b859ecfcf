package wire

import "slices"

// What comes of an exchange. Each returns what has happened, or which rule of the exchange was
// broken.

func (x *Exchange) requestCame(info, form Value) string {
	tunnel := info.Get("tunnel")
	if tunnel.Tag != 0 && x.conn.tunnelled {
		if form.Tag != Null || !slices.Contains(x.conn.tunnels, tunnel.Data) {
			return "a tunnel that was not asked for, or with a body"
		}
		x.tunnel = Asked
	}
	if x.tunnel == Asked || info.Get("expect").True() {
		x.room = 0
	}
	switch form.Tag {
	case Bytes:
		if len(form.Data) > x.conn.limits.Inline {
			return "a longer body than inline allows"
		}
		x.step(requestHalf, whole)
	case Null:
		x.step(requestHalf, stream)
	case Dict:
		length := form.Get("length")
		if !x.conn.bulk || !name(form.Get("token")) || !exchange(length) {
			return "a body without a token or a length, or over a data connection that is not offered"
		}
		x.announced = length.Int()
		x.room = 0
		x.step(requestHalf, line)
	}
	return ""
}

func (x *Exchange) bodyCame(data string) (Event, string) {
	if x.claimed && x.tunnel == NoTunnel || !x.step(requestHalf, body) {
		return Event{}, "no body may come now"
	}
	x.room -= int64(len(data))
	if x.room < 0 {
		return Event{}, "more body than credit"
	}
	x.received += int64(len(data))
	return Event{Kind: Came, Text: data}, ""
}

func (x *Exchange) endCame(message Message) (Event, string) {
	before := x.request
	if !x.step(requestHalf, end) {
		return Event{}, "no end may come now"
	}
	length := message.Parts[2].Get("length")
	switch {
	case before == Bulk && length.Tag != 0 && (length.Tag != Integer || length.Int() != x.announced):
		return Event{}, "a length that is not that of the head"
	case before == Raw && (!orZero(length) || length.Int() < x.received):
		return Event{}, "no length, or less than went in frames"
	}
	x.settle()
	return Event{Kind: Ended, Message: message}, ""
}

func (x *Exchange) moveCame(length int64) (Event, string) {
	if length != x.received || x.request != Streaming || !x.tunnelStep(moved) {
		return Event{}, "no move may come now, or not with that length"
	}
	x.step(requestHalf, move)
	return Event{Kind: Moved}, ""
}

func (x *Exchange) creditCame(amount int64) (Event, string) {
	if x.response == Raw {
		return Event{}, ""
	}
	if x.carried {
		return Event{}, "credit for a body that has a data connection"
	}
	x.credit += amount
	if x.credit > MaxWindow {
		return Event{}, "more credit than a window holds"
	}
	return Event{Kind: Granted}, ""
}

func (x *Exchange) connectCame(token string) (Event, string) {
	if !x.conn.bulk {
		return Event{}, "data connections are not offered"
	}
	if x.tunnel == Moving && x.request == Streaming {
		return Event{}, "" // overtaken by the answer to the claim of an earlier one
	}
	if x.tunnel != NoTunnel && !x.tunnelStep(offered) {
		return Event{}, "no connect may come now"
	}
	return Event{Kind: Invited, Text: token}, ""
}
