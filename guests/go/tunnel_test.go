package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

func asking(target string) []any {
	return []any{"request", 1, "GET", target, []any{[]any{"Sec-WebSocket-Version", "13"}},
		map[string]any{"tunnel": "websocket", "client": "192.0.2.7"}, nil}
}

// echoing answers with 101 and a greeting, and sends back what comes.
func echoing(t *testing.T, ended *error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, _, again := http.NewResponseController(w).Hijack(); again != http.ErrHijacked {
			t.Error(again)
		}
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-WebSocket-Key") == "" ||
			conn.RemoteAddr().(*net.TCPAddr).IP.String() != "192.0.2.7" {
			t.Error(r.Header, conn.RemoteAddr())
		}
		fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"+
			"Upgrade: websocket\r\nX-A: 1\r\n\r\nhi")
		buffered.Flush()
		_, *ended = io.Copy(conn, buffered)
	}
}

func TestTunnel(t *testing.T) {
	ended := errors.New("it has not")
	said := servedTunnel(t, echoing(t, &ended), asking("/"),
		[]any{"body", 1, "one"}, []any{"end", 1})
	wanted := [][]any{
		{answer(200, nil, "X-A", "1"), []any{"body", int64(1), "hi"}, []any{"credit", int64(1), int64(65_536)}},
		{[]any{"body", int64(1), "one"}},
		{[]any{"end", int64(1), []any{}, map[string]any{}}},
	}
	if !reflect.DeepEqual(said, wanted) || ended != nil {
		t.Errorf("%v\n%v", said, ended)
	}
}

func TestTunnelThatBreaks(t *testing.T) {
	var ended error
	said := servedTunnel(t, echoing(t, &ended), asking("/"), []any{"abort", 1, "client", "gone"})
	var aborted *AbortError
	if !errors.As(ended, &aborted) || len(said[1]) != 0 {
		t.Error(ended, said)
	}
}

func TestUpgradesThatAreNone(t *testing.T) {
	for name, each := range map[string]struct {
		handler http.HandlerFunc
		status  int64
	}{
		"refused": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 403) }, 403},
		"ignored": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a page")
			w.(http.Flusher).Flush() // would accept it
		}, 200},
		"refused by hand": {func(w http.ResponseWriter, r *http.Request) {
			conn, buffered, _ := http.NewResponseController(w).Hijack()
			buffered.WriteString("HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nlate")
			buffered.Flush()
			conn.Close()
		}, 409},
	} {
		t.Run(name, func(t *testing.T) {
			said := servedTunnel(t, each.handler, asking("/"))[0]
			if len(said) != 1 || said[0].([]any)[2] != each.status || said[0].([]any)[5] == nil {
				t.Error(said)
			}
		})
	}
	long := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 70_000)) }
	if said := servedTunnel(t, long, asking("/"))[0]; len(said) != 1 || said[0].([]any)[0] != "abort" {
		t.Error(said)
	}
}

// TestClientThatDoesNotClose: its half is not waited for, for ever.
func TestClientThatDoesNotClose(t *testing.T) {
	said := servedTunnel(t, func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, _ := http.NewResponseController(w).Hijack()
		buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\n")
		buffered.Flush()
		conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
			t.Error("read something")
		}
		conn.Close()
	}, asking("/"), []any{"ping", "1"}, []any{"sleep", 7})
	last := said[len(said)-1]
	if len(last) == 0 || last[len(last)-1].([]any)[0] != "abort" {
		t.Error(said)
	}
}
