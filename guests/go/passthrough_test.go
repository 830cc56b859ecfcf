package guest

import (
	"io"
	"net"
	"reflect"
	"testing"
)

// passing asks to pass the TLS of a client through.
var passing = []any{"request", 1, "CONNECT", "keys.example:443", []any{}, map[string]any{
	"tunnel": "tls", "client": "192.0.2.7", "tls": map[string]any{"version": "1.3", "sni": "keys.example"},
}, nil}

// TestPassthrough: who accepts has the bytes as they are, from the first on.
func TestPassthrough(t *testing.T) {
	said := servedWith(t, func(s *Subscriber) {
		listener := NewListener()
		s.Passthrough = listener
		s.Routes = []Route{{Host: `keys\.example`, Passthrough: true}}
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if conn.RemoteAddr().(*net.TCPAddr).IP.String() != "192.0.2.7" {
				t.Error(conn.RemoteAddr())
			}
			io.Copy(conn, conn)
		}()
	}, passing, []any{"body", 1, "hello"}, []any{"end", 1})
	wanted := [][]any{
		{answer(200, nil), []any{"credit", int64(1), int64(65_536)}},
		{[]any{"body", int64(1), "hello"}},
		{[]any{"end", int64(1), []any{}, map[string]any{}}},
	}
	if !reflect.DeepEqual(said, wanted) {
		t.Errorf("%v", said)
	}
}

// TestNobodyTakesTLS: the proxy may ask another guest.
func TestNobodyTakesTLS(t *testing.T) {
	said := servedWith(t, func(s *Subscriber) {
		s.Passthrough = NewListener()
		s.Passthrough.Close()
		if _, err := s.Passthrough.Accept(); err != net.ErrClosed {
			t.Error(err)
		}
	}, passing)[0]
	last := said[len(said)-1].([]any)
	if len(said) != 1 || last[0] != "abort" || last[2] != "refused" {
		t.Error(said)
	}
}

// TestPassthroughThatIsNone: a route for HTTP is not what was asked for.
func TestPassthroughThatIsNone(t *testing.T) {
	refused := make(chan string, 1)
	said := servedWith(t, func(s *Subscriber) {
		s.Passthrough = NewListener()
		s.Routes = []Route{{Host: `keys\.example`, Passthrough: true}}
		s.Refused = func(route Route, err *RefusedError) { refused <- route.String() + err.Code }
	}, []any{"registered", 1, map[string]any{}})[0]
	if !reflect.DeepEqual(said, []any{[]any{"unregister", int64(1)}}) {
		t.Error(said)
	}
	if told := <-refused; told != `host=keys\.example path=/.* passthroughpassthrough` {
		t.Error(told)
	}
	none := &Subscriber{Application: "test", Routes: []Route{{Host: "a", Passthrough: true}}}
	if err := none.begin(); err == nil {
		t.Error("nobody takes its clients")
	}
}
