package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"subproxy/guest"
	"subproxy/guest/internal/sidecar"
	"subproxy/guest/wire"
)

// version is set by tools/dist.
var version = "of a checkout"

const help = `usage: subproxy-guest [--proxy=ENDPOINT] [--host=RE [--path=RE]]... [options]
                      --to=ADDRESS [-- PROGRAM [ARGUMENT]...]

Put a program that speaks HTTP behind a subproxy.

the program:
  --to=ADDRESS            pass requests on to http://HOST:PORT or unix:PATH; what follows -- is the
                          program that listens there, and is started
  --ready=PATH            serve when GET PATH answers 200 to 399 (default: when it takes connections)
  --host-header=HOST      the Host that it sees, where it refuses others (default: the client's)
  --upgrade=PROTOCOL      what clients may change to, beside websocket, as Upgrade names it; may repeat
  --upgrade-timeout=SECONDS
                          how long it may take to answer an upgrade (default: 10)
  --restart=WHEN          start it again when it has ended: always, on-failure, never
                          (default: always)
  --stop-timeout=SECONDS  how long it may take to end before it is killed (default: 10)

what is served, and where:
  --proxy=ENDPOINT        where the proxy is: vsock:CID:PORT, unix:PATH, tcp:HOST:PORT
                          (default: vsock:2:12345)
  --host=RE               serve hosts that match, an RE2 pattern of the whole host; may repeat
  --path=RE               paths that match, for the --host before it (default: /.*)
  --passthrough           have the TLS of clients as it is: the program has the keys

how much:
  --weight=N              how much of the requests, relative to others with the same route
                          (default: 100)
  --concurrency=N         at most so many requests at a time (default: 0, no limit)

who this is:
  --name=NAME             name of the application (default: the address)
  --worker=N              which of several equal processes in this VM this is
                          (default: first free)

the process:
  --log-level=LEVEL       debug, info, warn, error or critical (default: info)
  --keep-going            stay when the proxy refuses a route, and retry when it refuses us
  --drain-timeout=SECONDS how long requests under way may take at the end (default: 30)
  --loop=LOOP             auto, asyncio or uvloop: of the same command in Python, and nothing here
  --version               tell the version

exit statuses:
  0  drained and left, after SIGTERM or SIGINT
  1  something unexpected
  2  bad usage
  4  the proxy refused the subscription or a route
  5  replaced by another instance of this application
  6  no free worker number
With a program behind -- it is the program's status, once that is not started again: 128 and the
number of the signal that ended it; 126 or 127 if it can't be executed, or is not there.
`

// options are a command line, parsed.
type options struct {
	to           sidecar.Address
	command      []string
	ready        string
	hostHeader   string
	restart      sidecar.RestartMode
	stopTimeout  time.Duration
	proxy        string
	routes       []guest.Route
	weight       int
	concurrency  int
	name         string
	worker       int // -1: the first that is free
	level        slog.Level
	keepGoing    bool
	drainTimeout time.Duration

	passthrough    bool
	upgrades       []string
	upgradeTimeout time.Duration
}

// levelCritical is above those of slog.
const levelCritical = slog.LevelError + 4

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn,
	"error": slog.LevelError, "critical": levelCritical,
}

// parse reads a command line. It returns nil, and the exit status, if there is nothing to run.
func parse(arguments []string, out, complaints io.Writer) (*options, int) {
	asked := &options{
		restart: sidecar.Always, stopTimeout: 10 * time.Second, proxy: guest.DefaultProxy,
		worker: -1, drainTimeout: guest.DefaultDrainTimeout, upgradeTimeout: 10 * time.Second,
		upgrades: []string{"websocket"},
	}
	set := asked.flags()
	set.SetOutput(io.Discard)
	own, command, hasCommand := split(arguments)
	err := set.Parse(own)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, help)
		return nil, 0
	}
	if set.Lookup("version").Value.String() == "true" {
		fmt.Fprintln(out, release())
		return nil, 0
	}
	if err == nil && set.NArg() > 0 {
		err = fmt.Errorf("%s: subproxy-guest runs no Python; the program to start stands behind --", set.Arg(0))
	}
	if err == nil {
		asked.command = command
		err = asked.check(set, hasCommand)
	}
	if err != nil {
		fmt.Fprintf(complaints, "subproxy-guest: error: %v\n", err)
		return nil, usage
	}
	return asked, 0
}

// split returns our own arguments, and the command that follows --.
func split(arguments []string) (own, command []string, hasCommand bool) {
	if i := slices.Index(arguments, "--"); i >= 0 {
		return arguments[:i], arguments[i+1:], true
	}
	return arguments, nil, false
}

func release() string {
	text := "subproxy guest " + version + " (Go"
	if info, is := debug.ReadBuildInfo(); is {
		text += ", " + info.GoVersion
	}
	return text + ")"
}

func (o *options) flags() *flag.FlagSet {
	set := flag.NewFlagSet("subproxy-guest", flag.ContinueOnError)
	set.Bool("version", false, "")
	set.BoolVar(&o.keepGoing, "keep-going", false, "")
	set.BoolVar(&o.passthrough, "passthrough", false, "")
	set.StringVar(&o.proxy, "proxy", o.proxy, "")
	set.StringVar(&o.name, "name", "", "")
	set.Func("to", "", func(text string) (err error) {
		o.to, err = sidecar.ParseAddress(text)
		return err
	})
	set.Func("ready", "", func(text string) error {
		if !strings.HasPrefix(text, "/") || strings.ContainsFunc(text, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"#<>\\", r)
		}) {
			return errors.New("that is no path, such as /healthz")
		}
		o.ready = text
		return nil
	})
	set.Func("host-header", "", func(text string) error {
		if text == "" || strings.ContainsFunc(text, func(r rune) bool {
			return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"#/<>?@\\^`{|},;", r)
		}) {
			return errors.New("that is no host, such as localhost:5173")
		}
		o.hostHeader = text
		return nil
	})
	set.Func("upgrade", "", func(text string) error {
		if !wire.IsProtocol(text) {
			return errors.New("that is no protocol of at most 32 bytes, such as tcp")
		}
		if name := strings.ToLower(text); !slices.Contains(o.upgrades, name) {
			o.upgrades = append(o.upgrades, name)
		}
		return nil
	})
	set.Func("loop", "", func(text string) error {
		if !slices.Contains([]string{"auto", "asyncio", "uvloop"}, text) {
			return errors.New("auto, asyncio or uvloop")
		}
		return nil
	})
	set.Func("restart", "", func(text string) error {
		o.restart = sidecar.RestartMode(text)
		if !slices.Contains([]sidecar.RestartMode{sidecar.Always, sidecar.OnFailure, sidecar.Never}, o.restart) {
			return errors.New("always, on-failure or never")
		}
		return nil
	})
	set.Func("host", "", func(text string) error {
		o.routes = append(o.routes, guest.Route{Host: text})
		return checkPattern(text)
	})
	set.Func("path", "", func(text string) error {
		last := len(o.routes) - 1
		if last < 0 || o.routes[last].Path != "" {
			return errors.New("which --host is it for? Give that one before it")
		}
		o.routes[last].Path = text
		return checkPattern(text)
	})
	set.Func("log-level", "", func(text string) error {
		level, known := levels[text]
		if !known {
			return errors.New("debug, info, warn, error or critical")
		}
		o.level = level
		return nil
	})
	set.Func("stop-timeout", "", seconds(&o.stopTimeout))
	set.Func("drain-timeout", "", seconds(&o.drainTimeout))
	set.Func("upgrade-timeout", "", seconds(&o.upgradeTimeout))
	set.Func("weight", "", number(&o.weight, 1, wire.MaxWeight))
	set.Func("concurrency", "", number(&o.concurrency, 0, 1<<31))
	set.Func("worker", "", number(&o.worker, 0, 1<<31))
	return set
}

func checkPattern(text string) error {
	if n := len(text); n < 1 || n > wire.MaxPattern {
		return fmt.Errorf("a pattern has 1 to %d bytes", wire.MaxPattern)
	}
	return nil
}

func seconds(into *time.Duration) func(string) error {
	return func(text string) error {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(0 <= value && value <= 86_400) {
			return errors.New("that is not from 0 to 86400")
		}
		*into = time.Duration(value * float64(time.Second))
		return nil
	}
}

func number(into *int, low, high int64) func(string) error {
	return func(text string) error {
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil || value < low || value > high {
			return fmt.Errorf("that is not from %d to %d", low, high)
		}
		*into = int(value)
		return nil
	}
}

// check looks whether the options go together.
func (o *options) check(set *flag.FlagSet, hasCommand bool) error {
	given := map[string]bool{}
	set.Visit(func(each *flag.Flag) { given[each.Name] = true })
	switch {
	case !given["to"] && hasCommand:
		return errors.New("-- and a program want --to=http://127.0.0.1:PORT: where it listens")
	case !given["to"]:
		return errors.New("what is to be served? --to=http://127.0.0.1:PORT, and a program behind --")
	case hasCommand && len(o.command) == 0:
		return errors.New("what is to be started? A program follows --")
	case !hasCommand && (given["restart"] || given["stop-timeout"]):
		return errors.New("--restart and --stop-timeout are for a program that follows --")
	}
	if o.passthrough {
		for _, each := range []string{"ready", "host-header", "upgrade", "upgrade-timeout"} {
			if given[each] {
				return fmt.Errorf("--%s is for a program that speaks HTTP, not for --passthrough", each)
			}
		}
		if given["path"] {
			return errors.New("--path: with --passthrough a host has all its paths")
		}
		o.upgrades = []string{}
		for i := range o.routes {
			o.routes[i].Passthrough = true
		}
	}
	if len(o.upgrades) > wire.MaxProtocols {
		return fmt.Errorf("--upgrade: at most %d protocols, websocket among them", wire.MaxProtocols)
	}
	if o.name == "" {
		o.name = o.to.String()
	}
	if len(o.name) > wire.MaxName {
		return fmt.Errorf("--name: at most %d bytes", wire.MaxName)
	}
	if _, err := guest.Dialler(o.proxy); err != nil {
		return fmt.Errorf("--proxy=%s: not a client endpoint: %w", o.proxy, err)
	}
	return nil
}

// shown is the program, for people.
func (o *options) shown() string {
	text := strings.Join(o.command, " ")
	if text == "" {
		text = "the program at " + o.to.String()
	}
	if len(text) > 60 {
		text = text[:57] + "..."
	}
	return text
}
