package sidecar

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
)

// A Reaper takes the status of every child that ends: as process 1 of a machine or a container
// those of others come to us too, and would stay zombies.
type Reaper struct {
	mu      sync.Mutex
	waiting map[int]func(status int)
	signals chan os.Signal
	as      *syscall.Credential
}

// NewReaper returns one that waits for children from now on. Nobody else may. What it starts runs as
// somebody, or as this process if that is nil.
func NewReaper(as *syscall.Credential) *Reaper {
	r := &Reaper{waiting: map[int]func(int){}, signals: make(chan os.Signal, 1), as: as}
	signal.Notify(r.signals, syscall.SIGCHLD)
	go func() {
		for range r.signals {
			r.reap()
		}
	}()
	return r
}

func (r *Reaper) reap() {
	for {
		var status syscall.WaitStatus
		r.mu.Lock()
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		ended := r.waiting[pid]
		delete(r.waiting, pid)
		r.mu.Unlock()
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 {
			return
		}
		if ended != nil {
			ended(statusOf(status))
		}
	}
}

// statusOf is the status of a child as a shell gives it: 128 and the number of a signal.
func statusOf(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// start starts a program in a session of its own, so that Ctrl-C in a terminal reaches us alone.
// Standard streams, environment and folder are ours. Ended is called with its status.
func (r *Reaper) start(command []string, ended func(status int)) (*process, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	started, err := os.StartProcess(path, command, &os.ProcAttr{
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setsid: true, Credential: r.as},
	})
	if err != nil {
		return nil, err
	}
	p := &process{pid: started.Pid}
	started.Release()
	r.waiting[p.pid] = ended
	return p, nil
}

// A process is one run of the program: it, and what it starts.
type process struct {
	pid  int
	gone bool // its first process has ended
}

// signal sends a signal to its first process.
func (p *process) signal(number syscall.Signal) {
	if !p.gone {
		syscall.Kill(p.pid, number)
	}
}

// signalAll sends a signal to all of its group, 0 for none; it says whether anybody is left in it.
func (p *process) signalAll(number syscall.Signal) bool {
	return syscall.Kill(-p.pid, number) != syscall.ESRCH
}

// cannotStart tells why a program can't be started, and the exit status that a shell has for it.
func cannotStart(command string, err error) (why string, status int) {
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return command + ": not found", notFound
	}
	if errors.Is(err, os.ErrPermission) {
		return command + ": Permission denied", notExecutable
	}
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.EMFILE) {
		return reason(err), taken // it was not even tried
	}
	return command + ": " + reason(err), notExecutable
}

const (
	taken         = 1 // its address, or what the system has too little of: it may be had later
	notExecutable = 126
	notFound      = 127
)
