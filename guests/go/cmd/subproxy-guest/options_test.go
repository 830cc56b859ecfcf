package main

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"subproxy/guest"
	"subproxy/guest/internal/sidecar"
)

func TestParse(t *testing.T) {
	var out, complaints bytes.Buffer
	asked, status := parse([]string{
		"--proxy=unix:/run/vm.sock_12345", "--host", `blog\.example`, "--path=/a/.*", "--host=.*",
		"--to=http://127.0.0.1:3000", "--ready=/healthz", "--host-header=localhost:5173",
		"--restart=on-failure", "--stop-timeout=0.5", "--upgrade-timeout=2",
		"--upgrade=TCP", "--upgrade=foo/2", "--upgrade=tcp", "--loop=uvloop", "--weight=7", "--concurrency=3", "--name=blog",
		"--worker=2", "--log-level=warn", "--keep-going", "--drain-timeout=1", "--", "node", "--to=x", "--", "y",
	}, &out, &complaints)
	if status != 0 || asked == nil {
		t.Fatal(status, complaints.String())
	}
	switch {
	case len(asked.routes) != 2, asked.routes[0] != guest.Route{Host: `blog\.example`, Path: "/a/.*"},
		asked.routes[1] != guest.Route{Host: ".*"}, asked.to.String() != "127.0.0.1:3000",
		asked.ready != "/healthz", asked.hostHeader != "localhost:5173",
		asked.restart != sidecar.OnFailure, asked.stopTimeout != 500*time.Millisecond,
		asked.upgradeTimeout != 2*time.Second, strings.Join(asked.upgrades, " ") != "websocket tcp foo/2",
		asked.weight != 7, asked.concurrency != 3, asked.name != "blog", asked.worker != 2,
		!asked.keepGoing, asked.drainTimeout != time.Second,
		strings.Join(asked.command, " ") != "node --to=x -- y":
		t.Errorf("%+v", asked)
	}
}

func TestBadUsage(t *testing.T) {
	to := "--to=127.0.0.1:3000"
	for complaint, arguments := range map[string][]string{
		"what is to be served":    {"--host=.*"},
		"where it listens":        {"--host=.*", "--", "node"},
		"what is to be started":   {to, "--"},
		"runs no Python":          {to, "blog:app"},
		"which --host is it for":  {"--path=/.*", to},
		"a pattern has 1 to 1024": {"--host=", to},
		"no path, such as":        {to, "--ready=healthz"},
		"no host, such as":        {to, "--host-header=a b"},
		"always, on-failure":      {to, "--restart=sometimes", "--", "node"},
		"for a program that":      {to, "--restart=never"},
		"no protocol of at most":  {to, "--upgrade=a b"},
		"at most 8 protocols": {to, "--upgrade=a", "--upgrade=b", "--upgrade=c", "--upgrade=d",
			"--upgrade=e", "--upgrade=f", "--upgrade=g", "--upgrade=h"},
		"auto, asyncio or uvloop":  {to, "--loop=reactor"},
		"not from 0 to 86400":      {to, "--drain-timeout=x"},
		"not from 1 to 1000":       {to, "--weight=0"},
		"vsock:CID:PORT":           {to, "--proxy=/run/vm.sock"},
		"http://HOST:PORT or unix": {"--to=127.0.0.1"},
		"--name: at most 128":      {to, "--name=" + strings.Repeat("x", 129)},
		"debug, info, warn":        {to, "--log-level=loud"},
		"not defined: -nonsense":   {to, "--nonsense"},
	} {
		var out, complaints bytes.Buffer
		asked, status := parse(arguments, &out, &complaints)
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		if asked != nil || status != usage || len(lines) != 1 || !strings.Contains(lines[0], complaint) {
			t.Errorf("%v: %d %q", arguments, status, complaints.String())
		}
	}
}

// TestHelp: it has every option, and so has the reference.
func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if _, status := parse([]string{"--help"}, &out, &out); status != 0 {
		t.Error(status)
	}
	page, err := os.ReadFile("../../../../docs/reference/go.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^  (--[a-z-]+)`).FindAllStringSubmatch(help, -1)
	set := (&options{}).flags()
	told := map[string]bool{}
	for _, each := range names {
		told[each[1][2:]] = true
		if set.Lookup(each[1][2:]) == nil {
			t.Error("no such option:", each[1])
		}
		if !strings.Contains(string(page), "`"+each[1]) {
			t.Error("not in the reference:", each[1])
		}
	}
	set.VisitAll(func(each *flag.Flag) {
		if !told[each.Name] {
			t.Error("not in --help:", each.Name)
		}
	})
	out.Reset()
	parse([]string{"--version"}, &out, &out)
	if !strings.HasPrefix(out.String(), "subproxy guest ") {
		t.Error(out.String())
	}
}

func TestWorkers(t *testing.T) {
	first, release, err := takeWorker("a test of workers")
	if err != nil {
		t.Skip(err)
	}
	second, releaseSecond, err := takeWorker("a test of workers")
	if err != nil || second != first+1 {
		t.Error(first, second, err)
	}
	release()
	third, releaseThird, _ := takeWorker("a test of workers")
	if third != first {
		t.Error(third)
	}
	releaseSecond()
	releaseThird()
}
