// Plays frames.json and messages.json. Written from docs/protocol.md alone, with the standard
// library alone: go run . FOLDER
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
)

type testCase struct {
	Name        string
	Sender      string
	Bytes       string
	Value       any
	Limit       int
	ValidBefore int `json:"valid_before"`
	Error       string
	Refusal     string
}

type file struct{ Valid, Invalid, Incomplete, Ignored []testCase }

// fromJSON turns a value of the vectors into one of the wire: strings have one byte a code point.
func fromJSON(value any) any {
	switch v := value.(type) {
	case string:
		return string(latin1(v))
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			panic(err)
		}
		return n
	case []any:
		list := []any{}
		for _, each := range v {
			list = append(list, fromJSON(each))
		}
		return list
	case map[string]any:
		found := map[string]any{}
		for key, each := range v {
			found[string(latin1(key))] = fromJSON(each)
		}
		return found
	}
	return value
}

func latin1(text string) []byte {
	data := make([]byte, 0, len(text))
	for _, r := range text {
		data = append(data, byte(r))
	}
	return data
}

func load(path string) (found file) {
	data, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&found); err != nil {
		panic(err)
	}
	return found
}

// frames decodes data, given in pieces of that size.
func frames(data []byte, limit, size int) (found [][]any, err error) {
	if limit == 0 {
		limit = 262_144
	}
	decoder := Decoder{Limit: limit}
	for start := 0; start < len(data); start += size {
		decoder.Feed(data[start:min(start+size, len(data))])
		for {
			frame, is, err := decoder.Next()
			if err != nil {
				return found, err
			}
			if !is {
				break
			}
			found = append(found, frame)
		}
	}
	return found, nil
}

type player struct{ played, failed int }

func (p *player) hold(holds bool, list string, each testCase, got ...any) {
	p.played++
	if !holds {
		p.failed++
		fmt.Println("FAILED", list, each.Name, got)
	}
}

func (p *player) playFrames(all file) {
	for _, size := range []int{1 << 30, 1} {
		for _, each := range all.Valid {
			value := fromJSON(each.Value)
			found, err := frames(latin1(each.Bytes), each.Limit, size)
			p.hold(err == nil && len(found) == 1 && reflect.DeepEqual(any(found[0]), value), "valid", each, found, err)
			again, err := frames(Encode(value), each.Limit, size)
			same := len(Encode(value)) == len(latin1(each.Bytes)) && len(again) == 1
			p.hold(err == nil && same && reflect.DeepEqual(any(again[0]), value), "encoded", each, err)
		}
		for _, each := range all.Invalid {
			found, err := frames(latin1(each.Bytes), each.Limit, size)
			p.hold(err != nil && each.Error == "frame" && len(found) == each.ValidBefore, "invalid", each, found)
		}
		for _, each := range all.Incomplete {
			found, err := frames(latin1(each.Bytes), each.Limit, size)
			p.hold(err == nil && len(found) == 0, "incomplete", each, found, err)
		}
	}
}

func (p *player) playMessages(all file) {
	lists := map[string][]testCase{"valid": all.Valid, "ignored": all.Ignored, "invalid": all.Invalid}
	for list, cases := range lists {
		for _, each := range cases {
			found, err := frames(latin1(each.Bytes), 9_999_999, 1<<30)
			if err != nil || len(found) != 1 {
				p.hold(false, list, each, err)
				continue
			}
			expected := verdict{list, ""}
			if list == "invalid" {
				expected = verdict{each.Error, each.Refusal}
			}
			got := judge(each.Sender, found[0])
			p.hold(got == expected, list, each, got)
			if list == "valid" {
				p.hold(reflect.DeepEqual(any(found[0]), fromJSON(each.Value)), list, each, found[0])
			}
		}
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go run . FOLDER")
		os.Exit(2)
	}
	var p player
	p.playFrames(load(filepath.Join(os.Args[1], "frames.json")))
	p.playMessages(load(filepath.Join(os.Args[1], "messages.json")))
	fmt.Printf("%d played, %d failed\n", p.played, p.failed)
	if p.failed > 0 {
		os.Exit(1)
	}
}
