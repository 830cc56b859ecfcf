package wire

import "regexp"

// What a receiver makes of each element of a message: docs/protocol.md, "Messages".

type check func(Value) bool

func integer(low, high int64) check {
	return func(v Value) bool {
		if v.Tag != Integer {
			return false
		}
		n := v.Int()
		return low <= n && n <= high
	}
}

func octets(low, high int) check {
	return func(v Value) bool { return v.Tag == Bytes && low <= len(v.Data) && len(v.Data) <= high }
}

func isBoolean(v Value) bool { return v.Tag == Boolean }

// dict is a check of a dictionary: of keys that are known, and of those that must be there.
func dict(known map[string]check, needed ...string) check {
	return func(v Value) bool {
		if v.Tag != Dict {
			return false
		}
		missing := len(needed)
		items := v.Items()
		for {
			key, ok := items.Next()
			if !ok {
				return missing == 0
			}
			value, _ := items.Next()
			if fits, is := known[key.Data]; is && !fits(value) {
				return false
			}
			for _, name := range needed {
				if name == key.Data {
					missing--
				}
			}
		}
	}
}

func list(each check, most int) check {
	return func(v Value) bool {
		if v.Tag != List {
			return false
		}
		items, count := v.Items(), 0
		for one, ok := items.Next(); ok; one, ok = items.Next() {
			if count++; count > most || !each(one) {
				return false
			}
		}
		return true
	}
}

// A protocol as Upgrade names it: RFC 9110, section 7.8.
var upgrade = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+(/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?$")

// IsProtocol says whether text is one: NAME or NAME/VERSION, of at most 32 bytes.
func IsProtocol(text string) bool {
	return len(text) <= maxProtocol && upgrade.MatchString(text)
}

func isProtocol(v Value) bool { return v.Tag == Bytes && IsProtocol(v.Data) }

// isWelcome checks the keys, and that the process is one of those that there are.
func isWelcome(v Value) bool {
	if !welcomeKeys(v) {
		return false
	}
	processes := int64(1)
	if said := v.Get("processes"); said.Tag != 0 {
		processes = said.Int()
	}
	return v.Get("process").Int() < processes
}

func isFields(v Value) bool {
	if v.Tag != List {
		return false
	}
	items, count, size := v.Items(), 0, 0
	for pair, ok := items.Next(); ok; pair, ok = items.Next() {
		if count++; count > MaxFields || pair.Tag != List {
			return false
		}
		parts := pair.Items()
		for range 2 {
			part, _ := parts.Next()
			if part.Tag != Bytes {
				return false
			}
			size += len(part.Data)
		}
		if parts.rest != "" {
			return false
		}
	}
	return size <= MaxFieldBytes
}

func isBody(v Value) bool { return v.Tag == Bytes || v.Tag == Null || v.Tag == Dict }

var (
	exchange  = integer(1, maxInteger)
	reference = integer(1, maxInteger)
	orZero    = integer(0, maxInteger)
	name      = octets(1, MaxName)
	reason    = octets(0, MaxReason)
	pattern   = octets(1, MaxPattern)
	process   = integer(0, maxProcesses-1)
	weight    = integer(1, MaxWeight)
	isDict    = dict(nil)
	names     = list(octets(1, maxProtocol), MaxProtocols)
	peer      = dict(map[string]check{"host": name, "process": process}, "host")

	tlsKeys = dict(map[string]check{
		"version": name, "sni": reason, "alpn": reason, "verified": isBoolean,
		"sha256": octets(32, 32), "cert": octets(1, maxCertificate),
	}, "version")
	helloKeys = dict(map[string]check{
		"frame": integer(minFrame, maxFrame), "window": integer(1, MaxWindow),
		"inline": integer(0, MaxWindow), "version": integer(Version, Version),
		"application": name, "instance": name, "worker": orZero, "concurrency": orZero,
		"weight": weight, "agent": reason, "bulk": isBoolean, "ahead": isBoolean,
		"tunnel": list(isProtocol, MaxProtocols), "process": process, "peer": peer,
	}, "version", "application", "instance")
	welcomeKeys = dict(map[string]check{
		"frame": integer(minFrame, maxFrame), "window": integer(1, MaxWindow),
		"inline": integer(0, MaxWindow), "version": integer(Version, Version),
		"identity": reason, "ping": integer(1, maxInteger), "timeout": integer(1, maxInteger),
		"bulk": orZero, "tunnel": orZero, "process": process,
		"processes": integer(1, maxProcesses), "epoch": name,
	}, "version")
	requestKeys = dict(map[string]check{
		"client": reason, "scheme": reason, "version": reason, "id": reason, "expect": isBoolean,
		"tunnel": isProtocol, "ahead": name, "trailers": isBoolean, "tls": tlsKeys,
		"hops": integer(0, maxHops), "stamped": isBoolean,
	})
	registerKeys = dict(map[string]check{
		"identity": octets(1, MaxPattern), "concurrency": orZero, "weight": weight,
		"tls": names, "passthrough": isBoolean, "wakes": isBoolean,
	})
	registeredKeys = dict(map[string]check{"tls": names, "passthrough": isBoolean})
	pongKeys       = dict(map[string]check{"concurrency": orZero, "full": isBoolean})
	responseKeys   = dict(map[string]check{"reason": reason})
	drainKeys      = dict(map[string]check{"deadline": orZero})
)
