package guest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"subproxy/guest/internal/vectors"
	"subproxy/guest/wire"
)

// Semantics of net/http: what a handler does, and what the proxy gets to see.

// served plays one request to a handler, and then step by step what more the proxy says; it returns
// all frames of the exchange, one list for each step.
func served(t *testing.T, handler http.HandlerFunc, request []any, more ...[]any) [][]any {
	t.Helper()
	return servedBy(t, map[string]any{"version": 1, "frame": 70_000}, handler, request, more...)
}

// servedTunnel is served, by a proxy that has tunnels.
func servedTunnel(t *testing.T, handler http.HandlerFunc, request []any, more ...[]any) [][]any {
	t.Helper()
	return servedBy(t, map[string]any{"version": 1, "tunnel": 0}, handler, request, more...)
}

// servedWith is servedTunnel, of a subscriber that is more than a handler.
func servedWith(t *testing.T, prepare func(*Subscriber), request []any, more ...[]any) [][]any {
	t.Helper()
	return played(t, map[string]any{"version": 1, "tunnel": 0}, prepare, request, more...)
}

// servedBy is served, by a proxy that welcomes so.
func servedBy(
	t *testing.T, welcome map[string]any, handler http.HandlerFunc, request []any, more ...[]any,
) [][]any {
	t.Helper()
	return played(t, welcome, func(s *Subscriber) { s.Handler = handler }, request, more...)
}

// played is what the others are. To sleep is to let so many seconds pass.
func played(
	t *testing.T, welcome map[string]any, prepare func(*Subscriber), request []any, more ...[]any,
) (said [][]any) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &player{T: t, session: vectors.Session{}}
		p.decoder.Limit = wire.DefaultLimits.Frame
		ctx, stop := context.WithCancel(context.Background())
		subscriber := &Subscriber{
			Application: "test", Dial: p.dial, Logger: slog.New(slog.DiscardHandler),
		}
		prepare(subscriber)
		ended := make(chan struct{})
		go func() {
			subscriber.Run(ctx)
			close(ended)
		}()
		synctest.Wait()
		say := func(frame []any) { p.send(p.conns[0], string(wire.Append(nil, frame))) }
		say([]any{"welcome", welcome})
		p.listen()
		p.frames = nil
		for _, each := range append([][]any{request}, more...) {
			if each[0] == "sleep" {
				time.Sleep(time.Duration(each[1].(int)) * time.Second)
				synctest.Wait()
			} else {
				say(each)
			}
			p.listen()
			frames := []any{}
			for _, frame := range p.frames {
				frames = append(frames, any(frame))
			}
			said = append(said, frames)
			p.frames = nil
		}
		stop()
		subscriber.Close()
		<-ended
	})
	return said
}

// get is a request without a body; fields are names and values in turn.
func get(method, target string, info map[string]any, fields ...string) []any {
	headers := []any{[]any{"Host", "blog.example:80"}}
	for i := 0; i+1 < len(fields); i += 2 {
		headers = append(headers, []any{fields[i], fields[i+1]})
	}
	if info == nil {
		info = map[string]any{}
	}
	return []any{"request", 1, method, target, headers, info, ""}
}

func answer(status int, body any, fields ...string) []any {
	headers := []any{}
	for i := 0; i+1 < len(fields); i += 2 {
		headers = append(headers, []any{fields[i], fields[i+1]})
	}
	return []any{"response", int64(1), int64(status), headers, map[string]any{}, body}
}

const plain = "text/plain; charset=utf-8"

func TestResponses(t *testing.T) {
	abort := []any{"abort", int64(1), "error", "the handler panicked"}
	short := []any{"abort", int64(1), "error", "the handler wrote less than Content-Length says"}
	body := func(data string) []any { return []any{"body", int64(1), data} }
	end := func(trailers ...any) []any {
		return []any{"end", int64(1), append([]any{}, trailers...), map[string]any{}}
	}
	for name, each := range map[string]struct {
		method  string
		handler http.HandlerFunc
		frames  []any
	}{
		"nothing": {"GET", func(http.ResponseWriter, *http.Request) {}, []any{answer(200, "")}},
		"a type is guessed": {"GET", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "<html>")
		}, []any{answer(200, "<html>", "Content-Type", "text/html; charset=utf-8")}},
		"no type is wanted": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			io.WriteString(w, "x")
		}, []any{answer(200, "x")}},
		"HEAD": {"HEAD", func(w http.ResponseWriter, r *http.Request) {
			n, err := io.WriteString(w, "hello")
			if n != 5 || err != nil {
				panic(err)
			}
		}, []any{answer(200, "", "Content-Type", plain, "Content-Length", "5")}},
		"304": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", "1")
			w.WriteHeader(304)
			if _, err := io.WriteString(w, "x"); err != http.ErrBodyNotAllowed {
				panic(err)
			}
		}, []any{answer(304, "", "Etag", "1")}},
		"204 and Flush": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(204)
			w.(http.Flusher).Flush()
		}, []any{answer(204, "")}},
		"flushed": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			io.WriteString(w, "one")
			io.WriteString(w, "two")
		}, []any{answer(200, nil), body("one"), body("two"), end()}},
		"long": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(strings.Repeat("a", holdUnknown+1)))
		}, []any{answer(200, nil, "Content-Type", plain), body(strings.Repeat("a", 16_384)), body("a"), end()}},
		"long, of known length": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "30000")
			io.WriteString(w, strings.Repeat("a", 15_000))
			io.WriteString(w, strings.Repeat("a", 15_000))
		}, []any{answer(200, strings.Repeat("a", 30_000), "Content-Length", "30000", "Content-Type", plain)}},
		"interim": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "a")
			w.WriteHeader(103)
			w.WriteHeader(201)
		}, []any{answer(103, "", "Link", "a"), answer(201, "", "Link", "a")}},
		"fields after WriteHeader": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.Header().Set("Late", "1")
			w.WriteHeader(500)
		}, []any{answer(200, "")}},
		"fields that are none": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("No Name", "1")
			w.Header().Set("X", " a\r\nb ")
			w.WriteHeader(200)
		}, []any{answer(200, "", "X", "a  b")}},
		"trailers": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "a")
			w.Header().Set("X-Sum", "1")
			w.Header().Set(http.TrailerPrefix+"X-Late", "2")
		}, []any{answer(200, nil, "Trailer", "X-Sum", "Content-Type", plain), body("a"),
			end([]any{"X-Sum", "1"}, []any{"X-Late", "2"})}},
		"panic": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", "1")
			io.WriteString(w, "half")
			panic("on purpose")
		}, []any{answer(500, "Internal Server Error\n", "Content-Type", plain)}},
		"panic to abort": {"GET", func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}, []any{abort}},
		"panic amid the body": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			panic("on purpose")
		}, []any{answer(200, nil), abort}},
		"less than it said": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			io.WriteString(w, "x")
		}, []any{short}},
		"more than it said": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "2")
			if _, err := io.WriteString(w, "xxx"); err != http.ErrContentLength {
				panic(err)
			}
			io.WriteString(w, "xx")
		}, []any{answer(200, "xx", "Content-Length", "2", "Content-Type", plain)}},
		"Hijack": {"GET", func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			_, _, err := control.Hijack()
			if !errors.Is(err, http.ErrNotSupported) || control.EnableFullDuplex() != nil {
				panic(err)
			}
		}, []any{answer(200, "")}},
		"a head that is too long": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 70_000))
		}, []any{answer(500, "Internal Server Error\n", "Content-Type", plain)}},
		"101": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(101)
		}, []any{answer(500, "")}},
	} {
		t.Run(name, func(t *testing.T) {
			got := served(t, each.handler, get(each.method, "/", nil))[0]
			if !reflect.DeepEqual(any(got), any(each.frames)) {
				t.Errorf("got\n%.300v\nexpected\n%.300v", got, each.frames)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	info := map[string]any{
		"client": "192.0.2.7", "scheme": "https", "version": "2",
		"tls": map[string]any{"version": "1.3", "sni": "blog.example", "alpn": "h2"},
	}
	var got *http.Request
	served(t, func(w http.ResponseWriter, r *http.Request) { got = r },
		get("PURGE", "/a%20b?c=d", info, "x-a", "1", "X-A", "2", "Trailer", "x-sum"))
	header := http.Header{"X-A": {"1", "2"}}
	switch {
	case got.Method != "PURGE", got.URL.Path != "/a b", got.URL.RawQuery != "c=d",
		got.RequestURI != "/a%20b?c=d", got.Host != "blog.example:80",
		got.RemoteAddr != "192.0.2.7:0", got.Proto != "HTTP/2.0", got.ProtoMajor != 2,
		got.TLS == nil, got.ContentLength != 0, got.Body != http.NoBody:
		t.Errorf("%+v", got)
	case !reflect.DeepEqual(got.Header, header), len(got.Trailer) != 1:
		t.Error(got.Header, got.Trailer)
	case got.TLS.ServerName != "blog.example" || got.TLS.NegotiatedProtocol != "h2":
		t.Errorf("%+v", got.TLS)
	case got.Context().Err() == nil:
		t.Error("its context is not done when the handler has returned")
	}
}

func TestWrongTarget(t *testing.T) {
	got := served(t, func(http.ResponseWriter, *http.Request) { panic("called") },
		get("GET", "no path", nil))[0]
	if len(got) != 1 || got[0].([]any)[2] != int64(400) {
		t.Error(got)
	}
}

// TestClientLeaves: the context is done, and tells why; reads and writes fail.
func TestClientLeaves(t *testing.T) {
	var causes []error
	handler := func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		_, read := r.Body.Read(make([]byte, 1))
		_, written := io.WriteString(w, "x")
		flushed := http.NewResponseController(w).Flush()
		causes = []error{context.Cause(r.Context()), read, flushed}
		if written != nil {
			causes = append(causes, written)
		}
	}
	request := get("POST", "/", nil)
	request[6] = nil
	said := served(t, handler, request, []any{"abort", 1, "client", "gone"})
	var aborted *AbortError
	for _, each := range causes {
		if !errors.As(each, &aborted) || aborted.Code != "client" {
			t.Error(each)
		}
	}
	if len(causes) != 3 || len(said[1]) != 0 {
		t.Error(causes, said)
	}
}

func TestDeadlines(t *testing.T) {
	var read, written error
	handler := func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.SetReadDeadline(time.Now().Add(-time.Second))
		_, read = r.Body.Read(make([]byte, 1))
		control.SetWriteDeadline(time.Now().Add(-time.Second))
		control.Flush()
		_, written = w.Write(make([]byte, 70_000))
	}
	request := get("POST", "/", nil)
	request[6] = nil
	served(t, handler, request)
	for _, err := range []error{read, written} {
		if timeout, is := err.(interface{ Timeout() bool }); !is || !timeout.Timeout() {
			t.Error(err)
		}
	}
}
