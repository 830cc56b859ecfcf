package guest

import (
	"context"
	"net"
	"sync"
	"time"

	"subproxy/guest/wire"
)

// Data connections, which carry large bodies: docs/protocol.md, "Data connections".

const (
	idleLines  = 8
	idleTime   = 15 * time.Second // much less than a proxy keeps them, so that it closes none in use
	answerTime = 2 * time.Second  // for a dial, and for the answer to the first claim
)

// A line is one data connection, whose token was claimed.
type line struct {
	conn   net.Conn
	rest   []byte // that came behind the answer to the claim
	reused bool
	expiry *time.Timer
}

// Read reads raw bytes.
func (l *line) Read(p []byte) (int, error) {
	if len(l.rest) > 0 {
		n := copy(p, l.rest)
		l.rest = l.rest[n:]
		return n, nil
	}
	return l.conn.Read(p)
}

func (l *line) close() { l.conn.Close() }

// A linePool dials data connections for one subscription, and keeps a few that are idle.
type linePool struct {
	dial   dialler
	mu     sync.Mutex
	idle   []*line
	closed bool
}

func newLinePool(dial dialler) *linePool { return &linePool{dial: dial} }

// claim returns a connection on which the body of a token follows; nil if none can be had.
func (p *linePool) claim(ctx context.Context, number int64, token string) *line {
	if line := p.claimIdle(number, token); line != nil {
		return line
	}
	frame := claimFrame(number, token)
	ctx, stop := context.WithTimeout(ctx, answerTime)
	defer stop()
	conn, err := p.dial(ctx)
	if err != nil {
		return nil
	}
	line := &line{conn: conn}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(frame); err != nil || !line.expect(wire.Connect, number, token) {
		line.close()
		return nil
	}
	conn.SetDeadline(time.Time{})
	return line
}

// claimIdle is claim with a connection that is idle; nil if there is none.
func (p *linePool) claimIdle(number int64, token string) *line {
	line := p.take()
	if line == nil {
		return nil
	}
	if _, err := line.conn.Write(claimFrame(number, token)); err != nil {
		line.close()
		return nil
	}
	line.reused = true
	return line
}

func claimFrame(number int64, token string) []byte {
	return wire.Append(nil, []any{wire.Connect.String(), number, token})
}

// expect reads one frame, and says whether it is that message.
func (l *line) expect(verb wire.Verb, number int64, token string) bool {
	decoder := wire.Decoder{Limit: wire.DefaultLimits.Frame}
	decoder.Feed(l.rest)
	l.rest = nil
	for {
		frame, ok, err := decoder.Next()
		if err != nil {
			return false
		}
		if ok {
			message, err := wire.Parse(frame)
			l.rest = decoder.Rest()
			return err == nil && message.Verb == verb && message.Parts[0].Int() == number &&
				message.Parts[1].Text() == token
		}
		n, err := l.conn.Read(decoder.Buffer())
		decoder.Filled(n)
		if err != nil && n == 0 {
			return false
		}
	}
}

func (p *linePool) take() *line {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	line := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	line.expiry.Stop()
	return line
}

// release keeps a connection whose body has arrived whole, for the next one.
func (p *linePool) release(line *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= idleLines || len(line.rest) > 0 {
		line.close()
		return
	}
	line.expiry = time.AfterFunc(idleTime, func() { p.expire(line) })
	p.idle = append(p.idle, line)
}

func (p *linePool) expire(line *line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, each := range p.idle {
		if each == line {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			line.close()
			return
		}
	}
}

// sent keeps a connection on which a response's body of known length was sent, when the proxy says
// that it has come.
func (p *linePool) sent(line *line, number int64) {
	go func() {
		line.conn.SetDeadline(time.Now().Add(idleTime))
		if !line.expect(wire.End, number, "") {
			line.close()
			return
		}
		line.conn.SetDeadline(time.Time{})
		p.release(line)
	}()
}

// close closes those that are idle, and each other one when it would be kept.
func (p *linePool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, each := range p.idle {
		each.expiry.Stop()
		each.close()
	}
	p.idle = nil
}
