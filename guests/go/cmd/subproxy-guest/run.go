package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"subproxy/guest"
	"subproxy/guest/internal/sidecar"
)

var (
	// ending are the signals that end us, and then the program.
	ending = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT}
	// passedOn are those that are the program's alone.
	passedOn = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH}
)

// A runner subscribes while the program serves, and ends with it.
type runner struct {
	asked      *options
	subscriber *guest.Subscriber
	supervisor *sidecar.Supervisor
	bridge     *sidecar.Bridge
	running    context.Context // of the subscriber
	drain      context.CancelFunc
	left       chan struct{} // closed when the subscriber has left
	begin      sync.Once

	mu      sync.Mutex
	leaving bool
	drained bool
	status  int // to exit with; -1: that of the program
}

// run serves a program, as somebody unless that is nil, until something ends it, and returns the exit
// status.
func run(asked *options, as *syscall.Credential) int {
	if asked.worker < 0 {
		number, release, err := takeWorker(asked.name)
		if err != nil {
			complain(err.Error())
			return noWorker
		}
		defer release()
		asked.worker = number
	}
	r := &runner{asked: asked, left: make(chan struct{}), status: -1}
	r.running, r.drain = context.WithCancel(context.Background())
	logger := newLogger(os.Stderr, asked.level)
	r.bridge = sidecar.NewBridge(
		asked.to, asked.hostHeader, asked.upgradeTimeout, func() { r.supervisor.Unreachable() }, logger,
	)
	r.subscriber = &guest.Subscriber{
		Handler:       r.bridge,
		Application:   asked.name,
		Routes:        asked.routes,
		Proxy:         asked.proxy,
		Concurrency:   asked.concurrency,
		Weight:        asked.weight,
		Worker:        asked.worker,
		Upgrades:      asked.upgrades,
		DrainTimeout:  asked.drainTimeout,
		GiveUpRefused: !asked.keepGoing,
		Logger:        logger,
		Registered:    func(route guest.Route) { fmt.Println("registered", route) },
		Refused:       r.refused,
	}
	if asked.passthrough {
		listener := guest.NewListener()
		r.subscriber.Passthrough = listener
		go sidecar.PassThrough(listener, asked.to, func() { r.supervisor.Unreachable() })
	}
	r.supervisor = &sidecar.Supervisor{
		Command: asked.command, Name: asked.shown(), Mode: asked.restart, Grace: asked.stopTimeout,
		Serving: r.serving, Down: r.down, Logger: logger,
	}
	host := asked.hostHeader
	if host == "" {
		host = asked.to.Authority()
	}
	var reaper *sidecar.Reaper
	if len(asked.command) > 0 {
		reaper = sidecar.NewReaper(as)
	}
	r.supervisor.Start(asked.to, asked.ready, host, reaper)
	go r.signals()
	status := r.supervisor.Run()
	r.leave(syscall.SIGTERM, -1)
	<-r.left
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status >= 0 {
		return r.status
	}
	return status
}

// signals takes the signals of this process.
func (r *runner) signals() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, ending...)
	if len(r.asked.command) > 0 {
		signal.Notify(signals, passedOn...)
	}
	for each := range signals {
		number := each.(syscall.Signal)
		switch number {
		case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT:
			r.leave(number, -1)
		default:
			r.supervisor.Signal(number)
		}
	}
}

// leave drains, then has the program end. When it is asked again nobody waits any more for what is
// under way, and then nor for the program. Status is what to exit with; -1: that of the program.
func (r *runner) leave(number syscall.Signal, status int) {
	r.mu.Lock()
	again, drained := r.leaving, r.drained
	r.leaving = true
	if !again {
		r.status = status
	}
	r.mu.Unlock()
	switch {
	case drained:
		r.supervisor.Stop(number)
	case again:
		r.subscriber.Close()
	default:
		r.supervisor.Last()
		r.begin.Do(func() { close(r.left) }) // it never served
		select {
		case <-r.left:
		default:
			r.subscriber.Logger.Info("draining")
		}
		r.drain()
		go func() {
			<-r.left
			r.mu.Lock()
			r.drained = true
			r.mu.Unlock()
			r.supervisor.Stop(number)
		}()
	}
}

// serving: the program takes requests, so do we.
func (r *runner) serving() {
	r.subscriber.Resume()
	r.begin.Do(func() { go r.subscribe() })
}

func (r *runner) subscribe() {
	err := r.subscriber.Run(r.running)
	close(r.left)
	if err == nil || errors.Is(err, guest.ErrClosed) {
		return
	}
	complain(err.Error())
	status := failed
	var reason *guest.RefusedError
	if errors.As(err, &reason) {
		status = refused
		if reason.Code == "replaced" {
			status = replaced
		}
	}
	r.leave(syscall.SIGTERM, status)
}

// down: the program takes none, nor do we.
func (r *runner) down() {
	r.subscriber.Suspend()
	r.bridge.Clear()
}

// refused: leave, unless told to stay.
func (r *runner) refused(route guest.Route, why *guest.RefusedError) {
	complain(fmt.Sprintf("refused %v: %v", route, why))
	if !r.asked.keepGoing {
		r.leave(syscall.SIGTERM, refused)
	}
}
