package guest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"subproxy/guest/wire"
)

const (
	greetingTime = 10 * time.Second // for a dial, and for the answer to hello
	farewellTime = 2 * time.Second  // for the other's bye, and for unregistered
	tooFastTime  = time.Second
	agent        = "subproxy guest (Go)"
)

// A session is one subscription: one connection, from hello until it is gone.
//
// One goroutine reads, one writes, and each request has one. What they share is under mu.
type session struct {
	subscriber *Subscriber
	conn       net.Conn
	base       context.Context
	cancel     context.CancelCauseFunc
	lines      *linePool
	slots      chan struct{} // of requests that run; nil: any number
	wake       chan struct{} // there may be something to write
	leaving    chan outcome  // why nothing new will come; told once
	over       chan struct{} // closed when the connection is gone

	mu       sync.Mutex
	wire     *wire.Conn
	welcome  wire.WelcomeInfo
	welcomed bool
	told     bool          // leaving was told
	draining bool          // this side drains
	waiting  int           // for so many unregistered
	answered chan struct{} // closed when they are here; nil: not asked
	routes   []routeState
	timeout  time.Duration
	idle     []chan *job // of goroutines that wait for a request
	ended    bool        // the connection is gone
}

// serverOfContexts stands where handlers look for their server: nothing serves it.
var serverOfContexts = &http.Server{}

// A routeState is what the proxy has said of a route.
type routeState byte

const (
	unasked routeState = iota
	asked
	registered
	gone // refused, or taken back
)

func newSession(s *Subscriber, conn net.Conn) *session {
	session := &session{
		subscriber: s,
		conn:       conn,
		wake:       make(chan struct{}, 1),
		leaving:    make(chan outcome, 1),
		over:       make(chan struct{}),
		wire:       wire.NewConn(s.limits()),
		routes:     make([]routeState, len(s.Routes)),
		timeout:    greetingTime,
	}
	// As http.Server does; httputil.ReverseProxy reports a body that broke off only if it is there.
	base := context.WithValue(s.base, http.ServerContextKey, serverOfContexts)
	base = context.WithValue(base, http.LocalAddrContextKey, conn.LocalAddr())
	session.base, session.cancel = context.WithCancelCause(base)
	if s.Concurrency > 0 {
		session.slots = make(chan struct{}, s.Concurrency)
	}
	session.lines = newLinePool(s.dial)
	return session
}

// start says hello, and reads and writes from then on.
func (s *session) start() {
	s.subscriber.mu.Lock()
	instance := s.subscriber.instance
	s.subscriber.mu.Unlock()
	s.mu.Lock()
	s.wire.Hello(wire.HelloInfo{
		Application: s.subscriber.Application,
		Instance:    instance,
		Worker:      int64(s.subscriber.Worker),
		Concurrency: int64(s.subscriber.Concurrency),
		Weight:      int64(s.subscriber.Weight),
		Agent:       agent,
		Bulk:        !s.subscriber.NoDataConnections,
		Tunnels:     s.subscriber.upgrades(),
		Process:     -1,
	})
	s.mu.Unlock()
	go s.write()
	go s.read()
	s.kick()
}

// kick lets the writer look.
func (s *session) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// write writes what there is, as much as possible at once.
func (s *session) write() {
	var spare []byte
	for {
		select {
		case <-s.wake:
		case <-s.over:
			return
		}
		for {
			// Whoever can run now may have something to say too: one system call for all.
			runtime.Gosched()
			s.mu.Lock()
			data := s.wire.Take(spare)
			s.mu.Unlock()
			if len(data) == 0 {
				spare = data
				break
			}
			if _, err := s.conn.Write(data); err != nil {
				s.conn.Close() // the reader tells
				return
			}
			spare = data
			if cap(spare) > 1<<18 {
				spare = nil
			}
		}
	}
}

// read takes what comes, until the connection is gone.
func (s *session) read() {
	err := s.readAll()
	s.cancel(errLost)
	s.conn.Close()
	s.lines.close()
	silent := errors.Is(err, os.ErrDeadlineExceeded)
	s.mu.Lock()
	s.endAll()
	s.endWorkersLocked()
	s.mu.Unlock()
	reason := "the connection was closed"
	if silent {
		reason = "the proxy is silent"
	}
	s.tell(outcome{ending: lost, reason: reason})
	s.subscriber.gone(s)
	close(s.over)
}

// readAll returns the error of the connection; nil if the end was agreed upon.
func (s *session) readAll() error {
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(s.timeout)); err != nil {
			return err
		}
		n, err := s.conn.Read(s.wire.Buffer())
		if n > 0 {
			s.mu.Lock()
			s.wire.Filled(n)
			for event, ok := s.wire.Next(); ok; event, ok = s.wire.Next() {
				s.handle(event)
			}
			pending := s.wire.Pending() > 0
			done, theirs := s.wire.Ours() == wire.Done, s.wire.Theirs() == wire.Done
			s.mu.Unlock()
			if pending {
				s.kick()
			}
			if done {
				return s.farewell(theirs)
			}
		}
		if err != nil {
			s.mu.Lock()
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.wire.Bye("timeout", "the proxy is silent")
			}
			done := s.wire.Ours() == wire.Done
			s.mu.Unlock()
			if done {
				s.kick()
				s.farewell(true)
			}
			return err
		}
	}
}

// farewell reads on behind our bye until the proxy has said it too or has closed, and lets the
// writer finish: some VMMs leave a peer hanging if a connection is closed with unread data.
func (s *session) farewell(both bool) error {
	s.kick()
	deadline := time.Now().Add(farewellTime)
	s.conn.SetDeadline(deadline)
	var buffer [4096]byte
	for !both {
		if _, err := s.conn.Read(buffer[:]); err != nil {
			break
		}
	}
	for time.Now().Before(deadline) {
		s.mu.Lock()
		pending := s.wire.Pending() > 0
		s.mu.Unlock()
		if !pending {
			break
		}
		s.kick()
		time.Sleep(time.Millisecond)
	}
	return nil
}

// tell says once why nothing new will come.
func (s *session) tell(o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(o)
}

func (s *session) tellLocked(o outcome) {
	if !s.told {
		s.told = true
		s.leaving <- o
	}
}

// lose drops the connection at once.
func (s *session) lose(cause error) {
	s.cancel(cause)
	s.conn.Close()
}

// leave says bye, which ends what is under way.
func (s *session) leave(code, reason string) {
	s.mu.Lock()
	s.byeLocked(code, reason)
	s.mu.Unlock()
}

// byeLocked says bye; the exchanges that it ends get to know.
func (s *session) byeLocked(code, reason string) {
	s.wire.Bye(code, reason)
	s.endAll()
	// Wakes the reader, which reads to the end.
	s.conn.SetReadDeadline(time.Now().Add(farewellTime))
	s.kick()
}

// drain asks for no new requests, and leaves when those under way are finished.
func (s *session) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	s.wire.Drain()
	for i, state := range s.routes {
		if state == asked || state == registered {
			s.waiting++
			s.wire.Unregister(int64(i + 1))
		}
	}
	if s.waiting > 0 {
		time.AfterFunc(farewellTime, func() {
			s.mu.Lock()
			s.waiting = 0
			s.settleLocked()
			s.mu.Unlock()
		})
	}
	s.settleLocked()
	s.kick()
}

// settleLocked says bye if either side drains and nothing is under way, nor can be.
func (s *session) settleLocked() {
	ours := s.draining && s.waiting == 0
	theirs := s.wire.Theirs() == wire.Draining
	if (ours || theirs) && s.wire.Exchanges() == 0 && s.wire.Ours() != wire.Done {
		s.byeLocked("done", "")
	}
}
