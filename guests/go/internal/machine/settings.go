// Package machine makes a process the init of a virtual machine: it mounts what programs expect,
// runs one thing, and powers off. It is configured as machines with Python are
// (guest/image/arguments.py): by words subproxy.NAME=VALUE of the image and of the kernel.
package machine

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

const prefix = "subproxy."

// known are the names of settings; true: it may repeat.
var known = map[string]bool{
	"proxy": false, // where the proxy listens
	"to":    false, // where the program listens
	"host":  true,  // a pattern of hosts to register
	"path":  true,  // a pattern of paths to register
	"arg":   true,  // one more argument of subproxy-guest
	"env":   true,  // NAME=VALUE in the environment
	"run":   true,  // the program, a word each
	"end":   false, // what follows when it has ended: poweroff, reboot or halt

	"root":   false, // the folder that is to be the root
	"folder": false, // where the program runs
	"user":   false, // who it runs as: UID:GID, and further groups behind commas
}

// settings are the values of each name, in the order given.
type settings map[string][]string

// parseSettings reads the words of a kernel command line; those without the prefix are passed over.
func parseSettings(line string) (settings, error) {
	found := settings{}
	for _, word := range strings.Fields(line) {
		rest, is := strings.CutPrefix(word, prefix)
		if !is {
			continue
		}
		name, value, equals := strings.Cut(rest, "=")
		repeats, is := known[name]
		if !equals || !is {
			return nil, fmt.Errorf("unknown kernel argument %q", word)
		}
		if len(found[name]) > 0 && !repeats {
			return nil, fmt.Errorf("kernel argument %s%s is given twice", prefix, name)
		}
		value, err := url.PathUnescape(value)
		if err != nil || !utf8.ValidString(value) {
			return nil, fmt.Errorf("a %% in %q without two hexadecimal digits, or no UTF-8: write %%25", word)
		}
		found[name] = append(found[name], value)
	}
	return found, nil
}

// merge puts what was given in the place of what is built in, name by name; of the environment
// variable by variable, the last of each is what counts.
func merge(builtIn, given settings) settings {
	for name, values := range given {
		if name == "env" {
			values = append(builtIn[name], values...)
		}
		builtIn[name] = values
	}
	return builtIn
}

// credential is who the program runs as; nil: as init.
func (s settings) credential() (*syscall.Credential, error) {
	text := s.last("user", "")
	if text == "" {
		return nil, nil
	}
	user, groups, _ := strings.Cut(text, ":")
	var numbers []uint32
	for _, each := range append([]string{user}, strings.Split(groups, ",")...) {
		number, err := strconv.ParseUint(each, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("subproxy.user is UID:GID, and further groups behind commas, not %q", text)
		}
		numbers = append(numbers, uint32(number))
	}
	return &syscall.Credential{Uid: numbers[0], Gid: numbers[1], Groups: numbers[2:]}, nil
}

func (s settings) last(name, otherwise string) string {
	if values := s[name]; len(values) > 0 {
		return values[len(values)-1]
	}
	return otherwise
}

// command is the command line of subproxy-guest that the settings ask for, behind which what the
// kernel was given behind its own -- follows.
func (s settings) command(given []string) ([]string, error) {
	var words []string
	for _, name := range []string{"proxy", "to"} {
		if value := s.last(name, ""); value != "" {
			words = append(words, "--"+name+"="+value)
		}
	}
	hosts, paths := s["host"], s["path"]
	if len(hosts) == 0 && len(paths) > 0 {
		hosts = []string{".*"}
	}
	if len(paths) == 0 && len(hosts) > 0 {
		paths = []string{"/.*"}
	}
	if len(hosts) == 1 {
		hosts = slices.Repeat(hosts, len(paths))
	}
	if len(paths) == 1 {
		paths = slices.Repeat(paths, len(hosts))
	}
	if len(hosts) != len(paths) {
		return nil, fmt.Errorf("%d hosts for %d paths: give one, or as many", len(hosts), len(paths))
	}
	for i := range hosts {
		words = append(words, "--host="+hosts[i], "--path="+paths[i])
	}
	words = append(words, s["arg"]...)
	if run := s["run"]; len(run) > 0 {
		words = append(append(words, given...), "--")
		return append(words, run...), nil
	}
	return append(words, given...), nil
}
