package guest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"subproxy/guest/wire"
)

// A Route is what requests are for: patterns in the syntax of RE2, anchored at both ends. See
// "register" in docs/protocol.md.
type Route struct {
	// Host matches the whole host, without its port.
	Host string
	// Path matches the whole path; "/.*" if it is empty.
	Path string
	// Passthrough asks for the TLS of clients itself, which Subscriber.Passthrough takes. Path is
	// empty then.
	Passthrough bool
}

func (r Route) String() string {
	text := "host=" + r.Host + " path=" + r.path()
	if r.Passthrough {
		text += " passthrough"
	}
	return text
}

func (r Route) path() string {
	if r.Path == "" {
		return "/.*"
	}
	return r.Path
}

// DefaultDrainTimeout is how long requests under way may take at the end.
const DefaultDrainTimeout = 30 * time.Second

// A Subscriber keeps an application subscribed to a proxy. Its fields are read by Run, and must not
// be changed afterwards.
type Subscriber struct {
	// Handler answers the requests; http.DefaultServeMux if it is nil.
	Handler http.Handler
	// Application is its name, of 1 to 128 bytes.
	Application string
	// Routes are registered on each connection.
	Routes []Route
	// Proxy is where the proxy is: see Dialler. Empty: DefaultProxy.
	Proxy string
	// Dial opens a connection to the proxy, if it is not nil, instead of Proxy.
	Dial func(context.Context) (net.Conn, error)
	// Concurrency is how many requests are taken at a time; 0: no limit.
	Concurrency int
	// Weight is how much of the requests this wants, relative to other subscriptions of the same
	// routes, from 1 to 1,000; 0: 100.
	Weight int
	// Worker is which of several equal processes of one machine this is, from 0.
	Worker int
	// DrainTimeout is how long requests under way may take when Run is to end; 0:
	// DefaultDrainTimeout.
	DrainTimeout time.Duration
	// GiveUpRefused lets Run return if the proxy refuses the subscription, also where it might take
	// it another time.
	GiveUpRefused bool
	// Limits are what this side takes; the zero value is wire.DefaultLimits.
	Limits wire.Limits
	// NoDataConnections sends large bodies within the subscription.
	NoDataConnections bool
	// Upgrades are the protocols to which handlers can change by Hijack, as Upgrade names them: at
	// most 8. Nil: websocket.
	Upgrades []string
	// Passthrough takes the clients of Routes with Passthrough: their TLS, which is ended here.
	Passthrough *Listener
	// Registered is called, if it is not nil, for each route that the proxy has taken.
	Registered func(Route)
	// Refused is called, if it is not nil, for each route that the proxy has refused or taken back.
	Refused func(Route, *RefusedError)
	// Logger is told what goes wrong; slog.Default() if it is nil.
	Logger *slog.Logger

	suspended atomic.Bool

	mu       sync.Mutex
	running  bool
	closed   bool
	sessions map[*session]struct{}
	instance string
	epoch    string
	dial     dialler
	outage   outage
	base     context.Context
	cancel   context.CancelCauseFunc
}

func (s *Subscriber) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.Default()
	}
	return s.Logger
}

func (s *Subscriber) limits() wire.Limits {
	if s.Limits == (wire.Limits{}) {
		return wire.DefaultLimits
	}
	return s.Limits
}

func (s *Subscriber) upgrades() []string {
	upgrades := s.Upgrades
	if upgrades == nil {
		upgrades = defaultUpgrades
	}
	if s.Passthrough != nil {
		upgrades = append([]string{tlsTunnel}, upgrades...)
	}
	return upgrades
}

func (s *Subscriber) handler() http.Handler {
	if s.Handler == nil {
		return http.DefaultServeMux
	}
	return s.Handler
}

// Run stays subscribed until ctx is done, and then drains: it asks for no new requests, finishes
// those under way within DrainTimeout, and returns nil. It returns a *RefusedError if there is no
// use in dialling again, ErrClosed after Close, and other errors for fields that are wrong. A
// Subscriber can run again when it has returned.
func (s *Subscriber) Run(ctx context.Context) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	err := s.stay(ctx)
	s.drain()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	return err
}

func (s *Subscriber) begin() error {
	if n := len(s.Application); n < 1 || n > wire.MaxName {
		return fmt.Errorf("guest: Application has %d bytes, and not 1 to %d", n, wire.MaxName)
	}
	for _, each := range s.Routes {
		if n := max(len(each.Host), len(each.path())); each.Host == "" || n > wire.MaxPattern {
			return fmt.Errorf("guest: a pattern of %v has not 1 to %d bytes", each, wire.MaxPattern)
		}
		if each.Passthrough && s.Passthrough == nil {
			return fmt.Errorf("guest: %v, and no Passthrough that takes its clients", each)
		}
	}
	dial := s.Dial
	if dial == nil {
		var err error
		if dial, err = Dialler(s.Proxy); err != nil {
			return fmt.Errorf("guest: %w", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.running {
		return errors.New("guest: Run runs already")
	}
	s.running, s.dial, s.sessions = true, dial, map[*session]struct{}{}
	s.base, s.cancel = context.WithCancelCause(context.Background())
	if s.instance == "" {
		s.instance = newInstance(s.epoch)
	}
	return nil
}

func (s *Subscriber) end() {
	s.cancel(ErrClosed)
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
}

// Close drops all connections at once; requests under way see their context done.
func (s *Subscriber) Close() {
	s.mu.Lock()
	s.closed = true
	sessions, cancel := s.copyOfSessions(), s.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel(ErrClosed)
	}
	for _, each := range sessions {
		each.lose(ErrClosed)
	}
}

// Suspend gives the routes back: no new requests come, until Resume. Connections stay, and what is
// under way goes on. It may be called before Run.
func (s *Subscriber) Suspend() { s.suspend(true) }

// Resume registers the routes again.
func (s *Subscriber) Resume() { s.suspend(false) }

func (s *Subscriber) suspend(suspended bool) {
	s.suspended.Store(suspended)
	s.mu.Lock()
	sessions := s.copyOfSessions()
	s.mu.Unlock()
	for _, each := range sessions {
		each.mu.Lock()
		each.followLocked()
		each.mu.Unlock()
		each.kick()
	}
}

// Restored says that this machine was restored from a snapshot: the subscriber becomes another
// instance, on a new connection. By itself it sees that when a connection is gone and the wall
// clock has jumped, or when the proxy says so.
func (s *Subscriber) Restored() {
	s.mu.Lock()
	s.instance = newInstance(s.epoch)
	sessions := s.copyOfSessions()
	s.mu.Unlock()
	for _, each := range sessions {
		each.lose(errLost)
	}
}

func (s *Subscriber) copyOfSessions() []*session {
	sessions := make([]*session, 0, len(s.sessions))
	for each := range s.sessions {
		sessions = append(sessions, each)
	}
	return sessions
}

// stay dials, and dials again.
func (s *Subscriber) stay(ctx context.Context) error {
	attempt, clock := 0, newClockJump(time.Now())
	for ctx.Err() == nil && s.base.Err() == nil {
		began := time.Now()
		outcome := s.subscribe(ctx)
		if ctx.Err() != nil || s.base.Err() != nil {
			return nil
		}
		what := next(outcome, attempt, time.Since(began), !s.GiveUpRefused)
		jumped := clock.jumped(time.Now())
		if jumped {
			what.final, what.renew = false, true
		}
		if what.final {
			return &RefusedError{outcome.code, outcome.reason}
		}
		if what.renew {
			s.logger().Info("this machine seems to be restored, or a copy: a new instance")
			s.mu.Lock()
			s.instance = newInstance(s.epoch)
			s.mu.Unlock()
		}
		if what.reset {
			attempt = 0
		}
		s.complain(outcome, what)
		if what.wait == 0 {
			continue
		}
		attempt++
		pause(ctx, s.base, time.Duration(mathrand.Float64()*float64(what.wait)))
	}
	return nil
}

func pause(ctx, other context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-other.Done():
	}
}

// complain tells why there is no subscription, if that was not told just now.
func (s *Subscriber) complain(o outcome, what action) {
	if o.ending == drained {
		s.logger().Info("the proxy drains: dialling a new connection")
		return
	}
	text := o.describe(s.where())
	if what.tell {
		s.logger().Error(text)
		return
	}
	s.mu.Lock()
	told := s.outage.failed(time.Now(), text)
	s.mu.Unlock()
	if told != "" {
		s.logger().Warn(told)
	}
}

func (s *Subscriber) where() string {
	switch {
	case s.Dial != nil:
		return "its address"
	case s.Proxy == "":
		return DefaultProxy
	}
	return s.Proxy
}

// subscribe dials, and returns when nothing new will come over that connection.
func (s *Subscriber) subscribe(ctx context.Context) outcome {
	dialling, stop := context.WithTimeout(ctx, greetingTime)
	defer stop()
	conn, err := s.dial(dialling)
	if err != nil {
		return outcome{ending: unreachable, reason: err.Error()}
	}
	session := newSession(s, conn)
	s.mu.Lock()
	s.sessions[session] = struct{}{}
	closed := s.closed
	s.mu.Unlock()
	if closed {
		session.lose(ErrClosed)
	}
	session.start()
	select {
	case outcome := <-session.leaving:
		return outcome
	case <-ctx.Done():
		return outcome{}
	}
}

// gone forgets a session whose connection has ended.
func (s *Subscriber) gone(session *session) {
	s.mu.Lock()
	delete(s.sessions, session)
	s.mu.Unlock()
}

// drain finishes what is under way, and leaves.
func (s *Subscriber) drain() {
	patience := s.DrainTimeout
	if patience == 0 {
		patience = DefaultDrainTimeout
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	s.mu.Lock()
	sessions := s.copyOfSessions()
	s.mu.Unlock()
	for _, each := range sessions {
		each.drain()
	}
	for _, each := range sessions {
		select {
		case <-each.over:
		case <-late.C:
			for _, other := range sessions {
				other.leave("timeout", "not finished in time")
			}
			late.Reset(0)
			<-each.over
		}
	}
}
