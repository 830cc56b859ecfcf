package guest

import "subproxy/guest/wire"

// mostIdle is how many goroutines of a session wait for a next request: one that is there has a
// stack that is large enough, and a new one has to grow its own.
const mostIdle = 64

// A job is a request to be served.
type job struct {
	exchange *exchange
	message  wire.Message
}

// dispatchLocked lets a goroutine serve a request, one that waits if there is one.
func (s *session) dispatchLocked(work *job) {
	if last := len(s.idle) - 1; last >= 0 {
		waiter := s.idle[last]
		s.idle = s.idle[:last]
		waiter <- work
		return
	}
	go s.serve(work)
}

// serve serves one request after the other.
func (s *session) serve(work *job) {
	next := make(chan *job, 1)
	for work != nil {
		work.exchange.serve(work.message)
		s.mu.Lock()
		if s.ended || len(s.idle) >= mostIdle {
			s.mu.Unlock()
			return
		}
		s.idle = append(s.idle, next)
		s.mu.Unlock()
		work = <-next
	}
}

// endWorkersLocked ends those that wait.
func (s *session) endWorkersLocked() {
	s.ended = true
	for _, each := range s.idle {
		close(each)
	}
	s.idle = nil
}
