// Subproxy-guest puts a program that speaks HTTP behind a subproxy: it starts the program, waits
// until that takes requests, subscribes, and passes requests on. As the first process of a virtual
// machine it is its init, too.
//
// Its options are those of python -m guest with --to: subproxy-guest --help prints them.
package main

import (
	"fmt"
	"os"
	"syscall"

	"subproxy/guest/internal/machine"
)

// Exit statuses, as python -m guest has them.
const (
	failed   = 1
	usage    = 2
	refused  = 4
	replaced = 5
	noWorker = 6
)

func main() {
	arguments := os.Args[1:]
	if machine.IsInit() {
		machine.Run(arguments, start)
	}
	os.Exit(start(arguments, nil))
}

// start runs a command line, its program as somebody unless that is nil, and returns the exit status.
func start(arguments []string, as *syscall.Credential) int {
	asked, status := parse(arguments, os.Stdout, os.Stderr)
	if asked == nil {
		return status
	}
	return run(asked, as)
}

// complain prints one line on stderr.
func complain(text string) { fmt.Fprintln(os.Stderr, "guest: "+text) }
