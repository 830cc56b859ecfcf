package wire

// HelloInfo is what a guest says of itself.
type HelloInfo struct {
	// Application is its name, and Instance is random: 1 to 128 bytes each.
	Application, Instance string
	// Worker is which of several equal processes in one machine this is, from 0.
	Worker int64
	// Concurrency is how many exchanges it takes at a time; 0 is no limit.
	Concurrency int64
	// Weight is how much of the requests it wants; 0 leaves it out, which is 100.
	Weight int64
	// Agent is the software, for people; it may be empty.
	Agent string
	// Bulk says that it can dial data connections, and takes tokens for them with requests.
	Bulk bool
	// Tunnels are the protocols for which it takes tunnels, as Upgrade names them.
	Tunnels []string
	// Process is to which process of the proxy it would like to come; -1 is any.
	Process int64
}

func (h HelloInfo) dict(limits Limits) map[string]any {
	info := map[string]any{
		"version": Version, "application": h.Application, "instance": h.Instance,
		"worker": h.Worker, "concurrency": h.Concurrency, "bulk": h.Bulk,
		"ahead": h.Bulk,
	}
	for key, each := range map[string]struct{ ours, ordinary int }{
		"frame":  {limits.Frame, DefaultLimits.Frame},
		"window": {limits.Window, DefaultLimits.Window},
		"inline": {limits.Inline, DefaultLimits.Inline},
	} {
		if each.ours != each.ordinary {
			info[key] = each.ours
		}
	}
	if h.Weight > 0 {
		info["weight"] = h.Weight
	}
	if h.Agent != "" {
		info["agent"] = h.Agent
	}
	if h.Process >= 0 {
		info["process"] = h.Process
	}
	if len(h.Tunnels) > 0 {
		tunnels := []any{}
		for _, each := range h.Tunnels {
			tunnels = append(tunnels, each)
		}
		info["tunnel"] = tunnels
	}
	return info
}

// WelcomeInfo is what a proxy answers.
type WelcomeInfo struct {
	// Limits are what the proxy takes.
	Limits Limits
	// Identity is who it takes the guest for.
	Identity string
	// Ping and Timeout are in milliseconds: how often it pings, and after how long a silence
	// either side gives the other up.
	Ping, Timeout int64
	// Bulk is from how many bytes on a body should have a data connection; -1: there are none.
	Bulk int64
	// Tunnel is after how many bytes a tunnel is offered one; -1: there are no tunnels.
	Tunnel int64
	// Process is which of Processes has this subscription.
	Process, Processes int64
	// Epoch differs when the machine was restored; "" if nobody tells.
	Epoch string
}

func parseWelcome(info Value) WelcomeInfo {
	number := func(key string, otherwise int64) int64 {
		if value := info.Get(key); value.Tag != 0 {
			return value.Int()
		}
		return otherwise
	}
	return WelcomeInfo{
		Limits: Limits{
			Frame:  int(number("frame", int64(DefaultLimits.Frame))),
			Window: int(number("window", int64(DefaultLimits.Window))),
			Inline: int(number("inline", int64(DefaultLimits.Inline))),
		},
		Identity:  info.Get("identity").Text(),
		Ping:      number("ping", 3000),
		Timeout:   number("timeout", 10_000),
		Bulk:      number("bulk", -1),
		Tunnel:    number("tunnel", -1),
		Process:   number("process", 0),
		Processes: number("processes", 1),
		Epoch:     info.Get("epoch").Text(),
	}
}

// A Route is what a subscription registers: patterns in the syntax of RE2.
type Route struct{ Host, Path string }
