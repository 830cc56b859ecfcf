package guest

import (
	"time"

	"subproxy/guest/wire"
)

// handle does what an event asks for. It holds mu, and does not wait.
func (s *session) handle(event wire.Event) {
	switch event.Kind {
	case wire.Welcomed:
		s.greeted(event.Welcome)
	case wire.Answered:
		s.routeAnswered(event.Message)
	case wire.Pinged:
		s.wire.Pong(event.Text, nil)
	case wire.Began:
		s.begin(event.Exchange, event.Message)
	case wire.Drained:
		s.tellLocked(outcome{ending: drained})
		s.settleLocked()
	case wire.Closed:
		s.endAll()
		s.tellLocked(outcome{toldBye, event.Code, event.Text})
	case wire.Broken:
		s.endAll()
		s.tellLocked(outcome{misunderstood, event.Code, event.Text})
	case wire.Faulted:
		s.subscriber.logger().Error("the proxy has broken a rule of an exchange", "rule", event.Text)
		fallthrough
	default:
		if x, is := event.Exchange.Owner.(*exchange); is {
			x.handle(event)
		}
	}
}

// endAll ends the exchanges that were under way: the connection has said bye.
func (s *session) endAll() {
	for _, x := range s.wire.Lost() {
		if owner, is := x.Owner.(*exchange); is {
			owner.ended(errLost)
		}
	}
}

// greeted takes the answer to hello, and registers the routes.
func (s *session) greeted(welcome wire.WelcomeInfo) {
	s.welcome, s.welcomed = welcome, true
	s.timeout = time.Duration(min(welcome.Timeout, int64(24*time.Hour/time.Millisecond))) * time.Millisecond
	owner := s.subscriber
	owner.mu.Lock()
	before := owner.epoch
	owner.epoch = welcome.Epoch
	told := owner.outage.over(time.Now())
	owner.mu.Unlock()
	if told != "" {
		owner.logger().Info(told)
	}
	if before != "" && welcome.Epoch != "" && before != welcome.Epoch {
		reseed(welcome.Epoch)
		correctClock(hardwareClock)
		s.tellLocked(outcome{ending: restored})
		s.byeLocked("done", "this machine was restored")
		return
	}
	if s.draining {
		return
	}
	s.followLocked()
}

func (s *session) register(i int) {
	route := s.subscriber.Routes[i]
	s.routes[i] = asked
	var info map[string]any
	if route.Passthrough {
		info = map[string]any{"passthrough": true}
	}
	s.wire.Register(int64(i+1), route.Host, route.path(), info)
}

// refusedLocked tells that a route can't be had.
func (s *session) refusedLocked(i int, refusal *RefusedError) {
	owner := s.subscriber
	owner.logger().Error("the proxy refused a route", "route", owner.Routes[i].String(), "reason", refusal.Error())
	if owner.Refused != nil {
		go owner.Refused(owner.Routes[i], refusal)
	}
}

// routeAnswered takes a registered, a refused or an unregistered.
func (s *session) routeAnswered(message wire.Message) {
	i := int(message.Parts[0].Int()) - 1
	if message.Verb == wire.Refused && i < 0 {
		s.tellLocked(outcome{refused, message.Parts[1].Data, message.Parts[2].Data})
		s.byeLocked("done", "")
		return
	}
	if i >= len(s.routes) {
		return
	}
	owner := s.subscriber
	switch message.Verb {
	case wire.Registered:
		if s.routes[i] != asked {
			return // given back meanwhile
		}
		if owner.Routes[i].Passthrough && !message.Parts[1].Get("passthrough").True() {
			// To this proxy it is a route for HTTP, which is not what is served there.
			s.routes[i] = gone
			s.wire.Unregister(int64(i + 1))
			s.refusedLocked(i, &RefusedError{"passthrough", "the proxy knows nothing of TLS that is passed through"})
			return
		}
		s.routes[i] = registered
		if owner.Registered != nil {
			go owner.Registered(owner.Routes[i])
		}
		return
	case wire.Refused:
		code := message.Parts[1].Data
		if code == "too-fast" && !s.draining {
			s.routes[i] = unasked
			time.AfterFunc(tooFastTime, func() { s.registerAgain(i) })
			return
		}
		if s.routes[i] == gone {
			return
		}
		if s.draining {
			break
		}
		s.refusedLocked(i, &RefusedError{code, message.Parts[2].Data})
	}
	switch {
	case s.draining && s.waiting > 0 && (s.routes[i] == asked || s.routes[i] == registered):
		s.waiting--
		s.routes[i] = gone
		s.settleLocked()
	case message.Verb == wire.Refused:
		s.routes[i] = gone
	}
}

// followLocked registers the routes, or gives them back, as the subscriber serves or not.
func (s *session) followLocked() {
	if !s.welcomed || s.draining {
		return
	}
	suspended := s.subscriber.suspended.Load()
	for i, state := range s.routes {
		switch {
		case !suspended && state == unasked:
			s.register(i)
		case suspended && (state == asked || state == registered):
			s.routes[i] = unasked
			s.wire.Unregister(int64(i + 1))
		}
	}
}

func (s *session) registerAgain(i int) {
	s.mu.Lock()
	if !s.draining && s.routes[i] == unasked {
		s.followLocked()
	}
	s.mu.Unlock()
	s.kick()
}
