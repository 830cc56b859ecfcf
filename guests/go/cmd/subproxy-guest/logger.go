package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// lines is a slog.Handler that writes a line for a person: time, level, text.
type lines struct {
	mu    *sync.Mutex
	out   io.Writer
	level slog.Level
	more  string
}

func newLogger(out io.Writer, level slog.Level) *slog.Logger {
	return slog.New(lines{new(sync.Mutex), out, level, ""})
}

func (l lines) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level }

func (l lines) Handle(_ context.Context, record slog.Record) error {
	var line strings.Builder
	fmt.Fprintf(&line, "%s [%s] %s%s", record.Time.Format("2006-01-02T15:04:05-0700"),
		strings.ToLower(record.Level.String()), printable(record.Message), l.more)
	record.Attrs(func(each slog.Attr) bool {
		line.WriteString(shown(each))
		return true
	})
	line.WriteByte('\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := io.WriteString(l.out, line.String())
	return err
}

func shown(each slog.Attr) string { return fmt.Sprintf(" %s=%q", each.Key, each.Value.String()) }

// printable is a text that may come from a proxy, a program or a client, as one line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}

func (l lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, each := range attrs {
		l.more += shown(each)
	}
	return l
}

func (l lines) WithGroup(string) slog.Handler { return l }
