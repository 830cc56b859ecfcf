package sidecar

import (
	"context"
	"fmt"
	"log/slog"
	"syscall"
	"time"
)

const (
	leftovers     = 2 * time.Second       // that what a program has left behind has to end
	lookInterval  = 50 * time.Millisecond // between looks whether it has
	firstReminder = 5 * time.Second       // until it is said that a program is not ready; then doubled
)

// A state is what a supervisor does.
type state byte

const (
	waiting  state = iota // to start it
	starting              // it runs, and is not ready
	serving
	clearing // it has ended, and something of it is left
	stopping // it was asked to end, for good
	ended
)

// transitions[from] are the states that may follow.
var transitions = [...][]state{
	waiting:  {starting, ended, stopping},
	starting: {serving, clearing, stopping, waiting, ended},
	serving:  {starting, clearing, stopping},
	clearing: {waiting, stopping, ended},
	stopping: {ended},
	ended:    {},
}

// A Supervisor starts a program, says when it serves, and starts it again when it has ended. All of
// it but Run only tells: its fields are Run's.
type Supervisor struct {
	// Command is the program; empty: it is somebody else's, and only asked.
	Command []string
	// Name is the program, for people.
	Name string
	// Mode says after which ends it is started again.
	Mode RestartMode
	// Grace is how long it has to end when it was asked to.
	Grace time.Duration
	// Serving is called when it takes requests, and Down when it takes none any more.
	Serving, Down func()
	// Logger is told.
	Logger *slog.Logger

	probe    probe
	reaper   *Reaper
	events   chan func()
	state    state
	process  *process
	backoff  backoff
	runs     int
	status   int
	since    time.Time // of serving
	served   time.Duration
	cancel   context.CancelFunc // of the probe
	lacks    string
	began    time.Time
	reminder *time.Timer
	timer    *time.Timer
	finished bool
}

// Start makes it ready for Run.
func (s *Supervisor) Start(address Address, ready, host string, reaper *Reaper) {
	s.probe = probe{address, ready, host}
	s.reaper = reaper
	s.events = make(chan func(), 16)
	s.cancel = func() {}
}

// Run keeps the program running, and returns its status when it is not started again.
func (s *Supervisor) Run() int {
	s.begin()
	for !s.finished {
		(<-s.events)()
	}
	// Whoever still has something to tell must not wait.
	go func() {
		for range s.events {
		}
	}()
	return s.status
}

func (s *Supervisor) tell(event func()) { s.events <- event }

// Unreachable says that the program has refused a connection.
func (s *Supervisor) Unreachable() {
	s.tell(func() {
		if s.state == serving {
			s.down()
			s.Logger.Warn(s.Name + " takes no connections any more")
			s.move(starting)
			s.await()
		}
	})
}

// Signal passes a signal on to the program, if it runs.
func (s *Supervisor) Signal(number syscall.Signal) {
	s.tell(func() {
		if s.process != nil {
			s.process.signal(number)
		}
	})
}

// Last lets the program not be started again.
func (s *Supervisor) Last() { s.tell(func() { s.Mode = Never }) }

// Stop has it end, for good. The signal asks it to, as all of its group; at a second call it is
// killed.
func (s *Supervisor) Stop(number syscall.Signal) { s.tell(func() { s.stop(number) }) }

func (s *Supervisor) stop(number syscall.Signal) {
	switch s.state {
	case ended:
		return
	case stopping:
		if s.process != nil {
			s.process.signalAll(syscall.SIGKILL)
		}
		return
	}
	clearingNow := s.state == clearing
	if !clearingNow {
		s.quiet()
		s.down()
	}
	s.move(stopping)
	if s.process == nil {
		s.end(s.status)
		return
	}
	if clearingNow {
		return // it has ended; what is left of it is waited for
	}
	process := s.process
	process.signalAll(number)
	// One that is stopped takes its signals when it goes on.
	process.signalAll(syscall.SIGCONT)
	s.after(s.Grace, func() {
		s.Logger.Warn(fmt.Sprintf("%s has not ended within %g s: killed", s.Name, s.Grace.Seconds()))
		process.signalAll(syscall.SIGKILL)
	})
}

func (s *Supervisor) move(next state) {
	for _, each := range transitions[s.state] {
		if each == next {
			s.state = next
			return
		}
	}
	panic(fmt.Sprintf("sidecar: %d to %d", s.state, next))
}

// after lets something happen later, unless the timer is stopped.
func (s *Supervisor) after(wait time.Duration, what func()) {
	if s.timer != nil {
		s.timer.Stop()
	}
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		s.tell(func() {
			if s.timer == timer {
				s.timer = nil
				what()
			}
		})
	})
	s.timer = timer
}

// begin begins a run.
func (s *Supervisor) begin() {
	s.move(starting)
	s.served = 0
	if len(s.Command) > 0 {
		if s.probe.takenBySomebody() {
			s.failedToStart(fmt.Sprintf("something listens at %v already", s.probe.address), taken)
			return
		}
		var started *process
		started, err := s.reaper.start(s.Command, func(status int) {
			s.tell(func() { s.exited(started, status) })
		})
		if err != nil {
			why, status := cannotStart(s.Command[0], err)
			s.failedToStart(why, status)
			return
		}
		s.process = started
		s.runs++
		s.Logger.Info(fmt.Sprintf("%s started, process %d", s.Name, started.pid))
	}
	s.await()
}

func (s *Supervisor) failedToStart(why string, status int) {
	s.Logger.Warn(fmt.Sprintf("%s can't be started: %s", s.Name, why))
	if s.runs == 0 || status != taken {
		s.end(status)
		return
	}
	s.again()
}

// await waits until the program is ready.
func (s *Supervisor) await() {
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	s.lacks, s.began = "has not answered yet", time.Now()
	s.remind(firstReminder)
	probe := s.probe
	go func() {
		err := probe.wait(ctx, func(lacks string) { s.tell(func() { s.lacks = lacks }) })
		s.tell(func() {
			if err != nil || ctx.Err() != nil {
				return
			}
			s.quiet()
			s.since = time.Now()
			s.move(serving)
			s.Serving()
		})
	}()
}

func (s *Supervisor) remind(interval time.Duration) {
	var reminder *time.Timer
	reminder = time.AfterFunc(interval, func() {
		s.tell(func() {
			if s.reminder != reminder {
				return
			}
			runs := ""
			if s.process != nil {
				runs = "runs, but "
			}
			s.Logger.Warn(fmt.Sprintf("%s %sis not ready after %.0f s: %s",
				s.Name, runs, time.Since(s.began).Seconds(), s.lacks))
			s.remind(2 * interval)
		})
	})
	s.reminder = reminder
}

// quiet ends what waits for the program to be ready.
func (s *Supervisor) quiet() {
	s.cancel()
	if s.reminder != nil {
		s.reminder.Stop()
		s.reminder = nil
	}
}

func (s *Supervisor) exited(process *process, status int) {
	process.gone = true
	s.status = status
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	if s.state != stopping {
		s.quiet()
		s.down()
		how := "ended"
		if name := signalName(syscall.Signal(status - 128)); name != "" {
			how = "ended by " + name
		}
		s.Logger.Warn(fmt.Sprintf("%s %s, status %d", s.Name, how, status))
		s.move(clearing)
		process.signalAll(syscall.SIGTERM)
	}
	s.clear(process, time.Now().Add(leftovers))
}

// clear waits until nothing of its group is left, then goes on.
func (s *Supervisor) clear(process *process, until time.Time) {
	if process.signalAll(0) {
		if !time.Now().Before(until) {
			process.signalAll(syscall.SIGKILL)
		}
		time.AfterFunc(lookInterval, func() { s.tell(func() { s.clear(process, until) }) })
		return
	}
	s.process = nil
	if s.state == stopping || !s.Mode.restarts(s.status) {
		s.end(s.status)
		return
	}
	s.again()
}

func (s *Supervisor) again() {
	wait := s.backoff.ended(s.served)
	s.move(waiting)
	s.Logger.Info(fmt.Sprintf("%s is started again in %g s", s.Name, wait.Seconds()))
	s.after(wait, s.begin)
}

func (s *Supervisor) down() {
	if !s.since.IsZero() {
		s.served = time.Since(s.since)
		s.since = time.Time{}
		s.Down()
	}
}

func (s *Supervisor) end(status int) {
	s.quiet()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.move(ended)
	s.status, s.finished = status, true
}

// signalName is the name of a signal as kill -l has it; empty if it is none: programs end with
// statuses above 128 by themselves, too.
func signalName(number syscall.Signal) string {
	for name, each := range map[string]syscall.Signal{
		"SIGHUP": syscall.SIGHUP, "SIGINT": syscall.SIGINT, "SIGQUIT": syscall.SIGQUIT,
		"SIGILL": syscall.SIGILL, "SIGTRAP": syscall.SIGTRAP, "SIGABRT": syscall.SIGABRT,
		"SIGBUS": syscall.SIGBUS, "SIGFPE": syscall.SIGFPE, "SIGKILL": syscall.SIGKILL,
		"SIGUSR1": syscall.SIGUSR1, "SIGSEGV": syscall.SIGSEGV, "SIGUSR2": syscall.SIGUSR2,
		"SIGPIPE": syscall.SIGPIPE, "SIGALRM": syscall.SIGALRM, "SIGTERM": syscall.SIGTERM,
	} {
		if each == number {
			return name
		}
	}
	return ""
}
