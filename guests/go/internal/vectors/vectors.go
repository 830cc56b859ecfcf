// Package vectors reads the golden vectors of the protocol, for tests: tests/vectors/README.md.
package vectors

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Folder is the variable that names another folder of vectors.
const Folder = "SUBPROXY_VECTORS"

// A Case is one of frames.json or messages.json.
type Case struct {
	Name        string
	Sender      string
	Bytes       string
	Value       any
	Limit       int
	ValidBefore int `json:"valid_before"`
	Error       string
	Refusal     string
}

// Cases are the lists of a file.
type Cases struct{ Valid, Invalid, Incomplete, Ignored []Case }

// A Session is one of sessions.json or data.json.
type Session struct {
	Name        string
	Guest       struct{ Frame, Window, Inline int }
	Concurrency int
	Frame       int
	Inline      int
	May         []string
	Steps       [][]any
}

// Sessions is what is in such a file.
type Sessions struct{ Sessions []Session }

// Load reads a file of vectors into found. The folder is that of this repository, which is as far
// above the package under test as root says, or what the variable Folder names.
func Load(t testing.TB, root, name string, found any) {
	t.Helper()
	folder := os.Getenv(Folder)
	if folder == "" {
		folder = filepath.Join(root, "tests", "vectors")
	}
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(found); err != nil {
		t.Fatal(err)
	}
}

// Latin1 returns the bytes of a string of the vectors, which has one code point for each.
func Latin1(text string) string {
	data := make([]byte, 0, len(text))
	for _, r := range text {
		data = append(data, byte(r))
	}
	return string(data)
}

// Value turns a value of the vectors into one of the wire: a string with its bytes, an int64, or
// a float64 for a time in seconds, a bool, nil, a []any or a map[string]any.
func Value(value any) any {
	switch v := value.(type) {
	case string:
		return Latin1(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		seconds, _ := v.Float64()
		return seconds
	case []any:
		list := make([]any, 0, len(v))
		for _, each := range v {
			list = append(list, Value(each))
		}
		return list
	case map[string]any:
		found := make(map[string]any, len(v))
		for key, each := range v {
			found[Latin1(key)] = Value(each)
		}
		return found
	}
	return value
}
