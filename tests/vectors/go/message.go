package main

import "regexp"

// docs/protocol.md, "Messages": what each verb must be followed by, by whoever may say it.

type check func(any) bool

func number(low, high int64) check {
	return func(value any) bool {
		n, is := value.(int64)
		return is && n >= low && n <= high
	}
}

func octets(low, high int) check {
	return func(value any) bool {
		s, is := value.(string)
		return is && len(s) >= low && len(s) <= high
	}
}

func boolean(value any) bool {
	_, is := value.(bool)
	return is
}

func info(known map[string]check, needed ...string) check {
	return func(value any) bool {
		found, is := value.(map[string]any)
		if !is {
			return false
		}
		for _, key := range needed {
			if _, there := found[key]; !there {
				return false
			}
		}
		for key, each := range found {
			if fits, is := known[key]; is && !fits(each) {
				return false
			}
		}
		return true
	}
}

func listOf(each check, most int) check {
	return func(value any) bool {
		list, is := value.([]any)
		if !is || len(list) > most {
			return false
		}
		for _, one := range list {
			if !each(one) {
				return false
			}
		}
		return true
	}
}

// A protocol as Upgrade names it: RFC 9110, section 7.8.
var upgrade = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+(/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$")

func protocol(value any) bool {
	name, is := value.(string)
	return is && len(name) <= 32 && upgrade.MatchString(name)
}

// The process that welcomes is one of those that there are: of one, if it does not say.
func welcomes(value any) bool {
	if !welcome(value) {
		return false
	}
	found := value.(map[string]any)
	process, processes := int64(0), int64(1)
	if said, there := found["process"]; there {
		process = said.(int64)
	}
	if said, there := found["processes"]; there {
		processes = said.(int64)
	}
	return process < processes
}

func fields(value any) bool {
	list, is := value.([]any)
	if !is || len(list) > 128 {
		return false
	}
	size := 0
	for _, each := range list {
		pair, is := each.([]any)
		if !is || len(pair) != 2 {
			return false
		}
		for _, part := range pair {
			text, is := part.(string)
			if !is {
				return false
			}
			size += len(text)
		}
	}
	return size <= 65_536
}

func body(value any) bool {
	switch value.(type) {
	case nil, string, map[string]any:
		return true
	}
	return false
}

var (
	exchange  = number(1, maxNumber)
	reference = number(1, maxNumber)
	orZero    = number(0, maxNumber)
	name      = octets(1, 128)
	reason    = octets(0, 1024)
	pattern   = octets(1, 1024)
	open      = info(nil)
	process   = number(0, 1023)
	weight    = number(1, 1000)
	names     = listOf(octets(1, 32), 8)
	peer      = info(map[string]check{"host": name, "process": process}, "host")
	tls       = info(map[string]check{
		"version": name, "sni": reason, "alpn": reason, "verified": boolean,
		"sha256": octets(32, 32), "cert": octets(1, 65_536),
	}, "version")
	limits = map[string]check{
		"frame": number(1024, 9_999_999), "window": number(1, 1<<31-1), "inline": number(0, 1<<31-1),
	}
	hello = info(with(limits, map[string]check{
		"version": number(1, 1), "application": name, "instance": name, "worker": orZero,
		"concurrency": orZero, "weight": weight, "agent": reason, "bulk": boolean,
		"tunnel": listOf(protocol, 8), "process": process, "peer": peer,
	}), "version", "application", "instance")
	welcome = info(with(limits, map[string]check{
		"version": number(1, 1), "identity": reason, "ping": number(1, maxNumber),
		"timeout": number(1, maxNumber), "bulk": orZero, "tunnel": orZero,
		"process": process, "processes": number(1, 1024), "epoch": name,
	}), "version")
	asked = info(map[string]check{
		"client": reason, "scheme": reason, "version": reason, "id": reason, "expect": boolean,
		"tunnel": protocol, "trailers": boolean, "tls": tls, "hops": number(0, 2), "stamped": boolean,
	})
	route = info(map[string]check{
		"identity": octets(1, 1024), "concurrency": orZero, "weight": weight,
		"tls": names, "passthrough": boolean,
	})
	routed = info(map[string]check{"tls": names, "passthrough": boolean})
)

func with(one, other map[string]check) map[string]check {
	all := map[string]check{}
	for _, each := range []map[string]check{one, other} {
		for key, value := range each {
			all[key] = value
		}
	}
	return all
}

// A form is what follows a verb: so many elements must be there, and these are checked.
type form struct {
	needed   int
	elements []check
}

func must(elements ...check) form { return form{len(elements), elements} }

func (f form) may(elements ...check) form {
	return form{f.needed, append(append([]check{}, f.elements...), elements...)}
}

var both = map[string]form{
	"connect": must(orZero, name),
	"body":    must(exchange, octets(1, 9_999_999)),
	"end":     must(exchange).may(fields, open),
	"move":    must(exchange, orZero),
	"credit":  must(exchange, number(1, 1<<31-1)),
	"abort":   must(exchange, name).may(reason),
	"drain":   must().may(info(map[string]check{"deadline": orZero})),
	"bye":     must().may(name, reason),
}

var verbs = map[string]map[string]form{
	"guest": {
		"hello":      must(hello),
		"register":   must(reference, pattern, pattern).may(route),
		"unregister": must(reference),
		"pong":       must(name).may(info(map[string]check{"concurrency": orZero, "full": boolean})),
		"response": must(exchange, number(100, 999), fields,
			info(map[string]check{"reason": reason}), body),
	},
	"proxy": {
		"welcome":      must(welcomes),
		"registered":   must(reference).may(routed),
		"unregistered": must(reference),
		"refused":      must(orZero, name, reason),
		"ping":         must(name),
		"request":      must(exchange, octets(1, 64), octets(1, 65_536), fields, asked, body),
	},
}

// A verdict is what a receiver makes of a frame: valid, ignored, or the code of a bye; and for a
// hello the code of the refused before that.
type verdict struct{ is, refusal string }

func judge(sender string, frame []any) verdict {
	if len(frame) == 0 {
		return verdict{"message", ""}
	}
	verb, is := frame[0].(string)
	if !is {
		return verdict{"message", ""}
	}
	form, known := both[verb]
	if !known {
		form, known = verbs[sender][verb]
	}
	if !known {
		return verdict{"ignored", ""}
	}
	elements := frame[1:]
	if len(elements) < form.needed {
		return verdict{"message", ""}
	}
	for i, fits := range form.elements {
		if i < len(elements) && !fits(elements[i]) {
			if verb == "hello" {
				return verdict{"refused", refusal(elements[i])}
			}
			return verdict{"message", ""}
		}
	}
	return verdict{"valid", ""}
}

func refusal(info any) string {
	if found, is := info.(map[string]any); is {
		if version, is := found["version"].(int64); is && version != 1 {
			return "version"
		}
	}
	return "hello"
}
