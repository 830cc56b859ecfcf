package sidecar

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"subproxy/guest"
)

func TestParseAddress(t *testing.T) {
	for text, wanted := range map[string]string{
		"http://127.0.0.1:3000":                  "127.0.0.1:3000",
		"127.0.0.1:3000":                         "127.0.0.1:3000",
		"HTTP://localhost/":                      "localhost:80",
		"http://[::1]:8080":                      "[::1]:8080",
		"unix:/run/app.sock":                     "unix:/run/app.sock",
		"unix:///run/app.sock":                   "unix:/run/app.sock",
		"unix:@app":                              "unix:@app",
		"https://127.0.0.1:3000":                 "",
		"http://127.0.0.1/api":                   "",
		"http://a@127.0.0.1":                     "",
		"127.0.0.1":                              "",
		"http://127.0.0.1:0":                     "",
		"http://127.0.0.1:99999":                 "",
		"http://":                                "",
		"unix:":                                  "",
		"unix:@":                                 "",
		"unix:/" + strings.Repeat("x", mostPath): "",
	} {
		got, err := ParseAddress(text)
		if (err == nil) != (wanted != "") || err == nil && got.String() != wanted {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, wanted := range []time.Duration{100, 200, 400} {
		if got := b.ended(time.Second); got != wanted*time.Millisecond {
			t.Error(i, got)
		}
	}
	for range 99 {
		b.ended(0)
	}
	if got := b.ended(0); got != longestRestart {
		t.Error(got)
	}
	if got := b.ended(settled); got != firstRestart {
		t.Error(got)
	}
}

func TestRestartModes(t *testing.T) {
	for mode, wanted := range map[RestartMode][2]bool{
		Always: {true, true}, OnFailure: {false, true}, Never: {false, false},
	} {
		if got := [2]bool{mode.restarts(0), mode.restarts(3)}; got != wanted {
			t.Error(mode, got)
		}
	}
}

// TestEachStateHasItsRow: what is not in the table can't follow.
func TestEachStateHasItsRow(t *testing.T) {
	if len(transitions) != int(ended)+1 || len(transitions[ended]) != 0 {
		t.Error(transitions)
	}
	reached := map[state]bool{waiting: true}
	for range transitions {
		for from, row := range transitions {
			for _, each := range row {
				if reached[state(from)] {
					reached[each] = true
				}
			}
		}
	}
	if len(reached) != len(transitions) {
		t.Error("no way to some state:", reached)
	}
}

// TestSocketLeftBehind: it is removed where nobody listens, and nothing else is.
func TestSocketLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program.sock")
	address, _ := ParseAddress("unix:" + path)
	asked := probe{address: address}
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if _, err := os.Lstat(path); !asked.takenBySomebody() || err != nil {
		t.Error("somebody listens there", err)
	}
	listener.Close()
	if _, err := os.Lstat(path); asked.takenBySomebody() || err != nil {
		t.Error("it was not left behind", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is there still", err)
	}
	os.WriteFile(path, nil, 0o600)
	if _, err := os.Lstat(path); asked.takenBySomebody() || err != nil {
		t.Error("a file is no socket", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error("it was removed", err)
	}
}

// TestBridge passes requests of a server on to another.
func TestBridge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	type ofConnection struct{}
	program := &http.Server{ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, ofConnection{}, new(atomic.Int32))
	}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests := r.Context().Value(ofConnection{}).(*atomic.Int32)
		if requests.Add(1) > 1 && r.URL.Path == "/closes" {
			// An idle connection that is closed just when a request comes.
			conn, _, _ := http.NewResponseController(w).Hijack()
			conn.Close()
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Host+" "+r.RequestURI+" "+r.Header.Get("X-Forwarded-For")+" "+
			r.Header.Get("X-Forwarded-Host")+" "+r.Header.Get("User-Agent"))
		w.Write(body)
	})}
	go program.Serve(listener)
	defer program.Close()
	address, _ := ParseAddress("unix:" + path)
	unreachable := make(chan bool, 1)
	bridge := NewBridge(address, "inner", time.Minute, func() { unreachable <- true }, slog.New(slog.DiscardHandler))
	defer bridge.Clear()
	front := httptest.NewServer(bridge)
	defer front.Close()

	ask := func(method, target, body string) *http.Response {
		t.Helper()
		request, _ := http.NewRequest(method, front.URL, strings.NewReader(body))
		request.URL.Opaque = target
		request.Host = "outer"
		request.Header.Set("X-Forwarded-For", "192.0.2.7")
		request.Header["User-Agent"] = nil
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return response
	}
	response := ask("POST", `/a%2Fb|c?d;e=%zz`, "body")
	got, _ := io.ReadAll(response.Body)
	wanted := `inner /a%2Fb|c?d;e=%zz 192.0.2.7 outer`
	if string(got) != "body" || response.Header.Get("X-Seen") != wanted {
		t.Errorf("%q %q", got, response.Header.Get("X-Seen"))
	}
	for range 6 {
		response := ask("PUT", "/closes", "again")
		if got, _ := io.ReadAll(response.Body); response.StatusCode != 200 || string(got) != "again" {
			t.Error(response.StatusCode, got)
		}
	}

	program.Close()
	bridge.Clear()
	func() {
		defer func() {
			if got := recover(); got != guest.ErrRefused {
				t.Error("it panicked with", got)
			}
		}()
		request := httptest.NewRequest("GET", "/", nil)
		request.RequestURI = "/"
		bridge.ServeHTTP(httptest.NewRecorder(), request)
	}()
	if !<-unreachable {
		t.Error("nobody was told")
	}
}

// TestEarlyAnswers come through, though the program closes while the request is still sent.
func TestSlowUpgrade(t *testing.T) {
	slow, done := make(chan bool, 1), make(chan bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			slow <- true
			<-done
		}
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	defer close(done)
	address, err := ParseAddress(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	bridge := NewBridge(address, "", 50*time.Millisecond, func() {}, slog.New(slog.DiscardHandler))
	ask := func(path string) (code int, failed any) {
		defer func() { failed = recover() }()
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest("GET", path, nil)
		request.Header.Set("Connection", "Upgrade")
		request.Header.Set("Upgrade", "websocket")
		bridge.ServeHTTP(recorder, request)
		return recorder.Code, nil
	}
	if code, failed := ask("/quick"); code != http.StatusTeapot || failed != nil {
		t.Error(code, failed)
	}
	if code, failed := ask("/slow"); failed != http.ErrAbortHandler {
		t.Error(code, failed)
	}
	if !<-slow {
		t.Error("nobody was asked")
	}
}

func TestEarlyAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 100))
			io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
			conn.Close() // with unread data: a reset follows
		}
	}()
	address, _ := ParseAddress(listener.Addr().String())
	bridge := NewBridge(address, "", time.Minute, func() {}, slog.New(slog.DiscardHandler))
	for range 50 {
		w := httptest.NewRecorder()
		request := httptest.NewRequest("POST", "/", io.LimitReader(zeros{}, 3_000_000))
		request.RequestURI = "/"
		bridge.ServeHTTP(w, request)
		if w.Code != 413 || w.Body.String() != "no" {
			t.Fatal(w.Code, w.Body.String())
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
