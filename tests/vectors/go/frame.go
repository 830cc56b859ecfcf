package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// docs/protocol.md, "Frames". A byte string is a Go string, an integer an int64, null is nil, a
// list a []any, a dictionary a map[string]any.

const (
	maxDigits   = 7
	maxDepth    = 8
	maxElements = 1024
	maxNumber   = 1<<53 - 1
)

var errFrame = errors.New("no frame")

func noFrame(reason string) error { return fmt.Errorf("%w: %s", errFrame, reason) }

// length reads the length at the beginning of data. It returns how many bytes that takes with
// its colon; 0 if the colon is not here yet.
func length(data []byte) (value, size int, err error) {
	for i, c := range data {
		switch {
		case c == ':' && i > 0:
			return value, i + 1, nil
		case c < '0' || c > '9':
			return 0, 0, noFrame("a length is decimal digits and a colon")
		case i == maxDigits:
			return 0, 0, noFrame("a length has at most 7 digits")
		case i > 0 && data[0] == '0':
			return 0, 0, noFrame("a length has no leading zeros")
		}
		value = value*10 + int(c-'0')
	}
	return 0, 0, nil
}

// Decoder cuts a stream of bytes into frames, and decodes them.
type Decoder struct {
	Limit int // bytes of the longest payload that is taken
	data  []byte
}

func (d *Decoder) Feed(data []byte) { d.data = append(d.data, data...) }

// Next returns the next frame; false if more bytes are needed.
func (d *Decoder) Next() ([]any, bool, error) {
	size, start, err := length(d.data)
	if err != nil || start == 0 {
		return nil, false, err
	}
	if size > d.Limit {
		return nil, false, noFrame("longer than is taken")
	}
	end := start + size
	if len(d.data) <= end {
		return nil, false, nil
	}
	if d.data[end] != ']' {
		return nil, false, noFrame("a frame is a list")
	}
	left := maxElements
	value, err := decode(d.data[start:end], ']', 1, &left)
	if err != nil {
		return nil, false, err
	}
	d.data = d.data[end+1:]
	return value.([]any), true, nil
}

// decode returns the value of a payload; left is how many more elements its frame may have.
func decode(payload []byte, tag byte, depth int, left *int) (any, error) {
	switch {
	case tag == ',':
		return string(payload), nil
	case tag == '#':
		return integer(payload)
	case tag == '!' && (string(payload) == "true" || string(payload) == "false"):
		return string(payload) == "true", nil
	case tag == '~' && len(payload) == 0:
		return nil, nil
	case tag != ']' && tag != '}':
		return nil, noFrame("no value has that tag and payload")
	case depth > maxDepth:
		return nil, noFrame("nested too deep")
	}
	items := []any{}
	for len(payload) > 0 {
		size, start, err := length(payload)
		if err != nil {
			return nil, err
		}
		end := start + size
		if start == 0 || end >= len(payload) {
			return nil, noFrame("an element is cut off")
		}
		if *left--; *left < 0 {
			return nil, noFrame("more than 1,024 elements")
		}
		item, err := decode(payload[start:end], payload[end], depth+1, left)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		payload = payload[end+1:]
	}
	if tag == ']' {
		return items, nil
	}
	return dictionary(items)
}

func dictionary(items []any) (any, error) {
	if len(items)%2 != 0 {
		return nil, noFrame("a key without a value")
	}
	found := map[string]any{}
	for i := 0; i < len(items); i += 2 {
		key, is := items[i].(string)
		if _, twice := found[key]; !is || twice {
			return nil, noFrame("keys are byte strings, none twice")
		}
		found[key] = items[i+1]
	}
	return found, nil
}

func integer(payload []byte) (any, error) {
	digits := bytes.TrimPrefix(payload, []byte("-"))
	if len(digits) == 0 || len(digits) > 16 || len(bytes.Trim(digits, "0123456789")) > 0 {
		return nil, noFrame("an integer is decimal digits")
	}
	value, err := strconv.ParseInt(string(payload), 10, 64)
	if err != nil || value > maxNumber || value < -maxNumber || strconv.FormatInt(value, 10) != string(payload) {
		return nil, noFrame("an integer has one encoding, within ±(2^53 − 1)")
	}
	return value, nil
}

// Encode returns the bytes of a value.
func Encode(value any) []byte {
	var payload bytes.Buffer
	var tag byte
	switch v := value.(type) {
	case string:
		tag = ','
		payload.WriteString(v)
	case int64:
		tag = '#'
		payload.WriteString(strconv.FormatInt(v, 10))
	case bool:
		tag = '!'
		payload.WriteString(strconv.FormatBool(v))
	case nil:
		tag = '~'
	case []any:
		tag = ']'
		for _, each := range v {
			payload.Write(Encode(each))
		}
	case map[string]any:
		tag = '}'
		for key, each := range v {
			payload.Write(Encode(key))
			payload.Write(Encode(each))
		}
	default:
		panic(fmt.Sprintf("no type of the wire: %T", value))
	}
	return append(append([]byte(strconv.Itoa(payload.Len())+":"), payload.Bytes()...), tag)
}
