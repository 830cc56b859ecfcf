package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"syscall"
)

// mostWorkers is how many workers of one application a VM may have.
const mostWorkers = 1024

// takeWorker returns the first worker number of an application that is free in this VM: it is held
// by an abstract unix socket, which the kernel frees whatever happens to the process. The names are
// those of guest/cli/worker.py.
func takeWorker(application string) (number int, release func(), err error) {
	digest := fmt.Sprintf("%x", sha256.Sum256([]byte(application)))[:32]
	for number := range mostWorkers {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, nil, fmt.Errorf("no worker number: %w", err)
		}
		name := fmt.Sprintf("@subproxy-guest/%s/%d", digest, number)
		err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: name})
		if err == nil {
			return number, func() { syscall.Close(fd) }, nil
		}
		syscall.Close(fd)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return 0, nil, fmt.Errorf("no worker number: %w", err)
		}
	}
	return 0, nil, fmt.Errorf("%d workers of %s run already", mostWorkers, application)
}
