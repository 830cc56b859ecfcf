package guest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A pipe is one direction of a connection in memory. It holds what was written until it is read,
// as a socket does; who waits at it counts as blocked for testing/synctest.
type pipe struct {
	mu       sync.Mutex
	cond     *sync.Cond
	data     []byte
	closed   bool
	deadline time.Time
	timer    *time.Timer
}

func newPipe() *pipe {
	p := &pipe{}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) read(into []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case !p.deadline.IsZero() && !time.Now().Before(p.deadline):
			return 0, os.ErrDeadlineExceeded
		case len(p.data) > 0:
			n := copy(into, p.data)
			p.data = p.data[n:]
			return n, nil
		case p.closed:
			return 0, io.EOF
		}
		p.cond.Wait()
	}
}

func (p *pipe) write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0, syscall.EPIPE
	}
	p.data = append(p.data, data...)
	p.cond.Broadcast()
	return len(data), nil
}

func (p *pipe) close() {
	p.mu.Lock()
	p.closed = true
	p.cond.Broadcast()
	p.mu.Unlock()
}

func (p *pipe) setDeadline(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	p.deadline = at
	if !at.IsZero() {
		p.timer = time.AfterFunc(time.Until(at), func() {
			p.mu.Lock()
			p.cond.Broadcast()
			p.mu.Unlock()
		})
	}
	p.cond.Broadcast()
}

// take returns all that is there, and whether nothing more will come.
func (p *pipe) take() (data []byte, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	data, p.data = p.data, nil
	return data, p.closed
}

// memoryConn is the guest's end of a connection in memory; the proxy's end are the two pipes.
type memoryConn struct{ in, out *pipe }

func newMemoryConn() *memoryConn { return &memoryConn{newPipe(), newPipe()} }

func (c *memoryConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *memoryConn) Write(p []byte) (int, error) { return c.out.write(p) }

func (c *memoryConn) Close() error {
	c.in.close()
	c.out.close()
	return nil
}

func (c *memoryConn) LocalAddr() net.Addr                { return &net.UnixAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr               { return &net.UnixAddr{} }
func (c *memoryConn) SetWriteDeadline(time.Time) error   { return nil }
func (c *memoryConn) SetReadDeadline(at time.Time) error { c.in.setDeadline(at); return nil }
func (c *memoryConn) SetDeadline(at time.Time) error     { return c.SetReadDeadline(at) }
