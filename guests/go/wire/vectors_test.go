package wire

import (
	"errors"
	"reflect"
	"testing"

	"subproxy/guest/internal/vectors"
)

const root = "../../.."

// decodeAll decodes data that comes in pieces of so many bytes.
func decodeAll(data string, limit, size int) (found []Value, err error) {
	if limit == 0 {
		limit = DefaultLimits.Frame
	}
	decoder := Decoder{Limit: limit}
	for start := 0; start < len(data); start += size {
		decoder.Feed([]byte(data[start:min(start+size, len(data))]))
		for {
			frame, ok, err := decoder.Next()
			if err != nil {
				return found, err
			}
			if !ok {
				break
			}
			found = append(found, frame)
		}
	}
	return found, nil
}

var pieces = map[string]int{"whole": 1 << 30, "byte by byte": 1}

func TestFrameVectors(t *testing.T) {
	var all vectors.Cases
	vectors.Load(t, root, "frames.json", &all)
	for way, size := range pieces {
		for _, each := range all.Valid {
			t.Run(way+"/valid/"+each.Name, func(t *testing.T) {
				data, value := vectors.Latin1(each.Bytes), vectors.Value(each.Value)
				found, err := decodeAll(data, each.Limit, size)
				if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0].Plain(), value) {
					t.Errorf("got %v, %v", found, err)
				}
				again := Append(nil, value)
				if len(again) != len(data) {
					t.Errorf("encoded: %q", again)
				}
				found, err = decodeAll(string(again), each.Limit, size)
				if err != nil || len(found) != 1 || !reflect.DeepEqual(found[0].Plain(), value) {
					t.Errorf("encoded, then decoded: %v, %v", found, err)
				}
			})
		}
		for _, each := range all.Invalid {
			t.Run(way+"/invalid/"+each.Name, func(t *testing.T) {
				found, err := decodeAll(vectors.Latin1(each.Bytes), each.Limit, size)
				if !errors.Is(err, ErrFrame) || each.Error != "frame" || len(found) != each.ValidBefore {
					t.Errorf("got %v, %v", found, err)
				}
			})
		}
		for _, each := range all.Incomplete {
			t.Run(way+"/incomplete/"+each.Name, func(t *testing.T) {
				found, err := decodeAll(vectors.Latin1(each.Bytes), each.Limit, size)
				if err != nil || len(found) != 0 {
					t.Errorf("got %v, %v", found, err)
				}
			})
		}
	}
}

func TestMessageVectors(t *testing.T) {
	var all vectors.Cases
	vectors.Load(t, root, "messages.json", &all)
	senders := map[string]Sender{"guest": Guest, "proxy": Proxy}
	verdict := func(each vectors.Case) (string, string) {
		frames, err := decodeAll(vectors.Latin1(each.Bytes), maxFrame, 1<<30)
		if err != nil || len(frames) != 1 {
			t.Fatal(each.Name, err)
		}
		message, err := Parse(frames[0])
		var failure *MessageError
		switch {
		case errors.As(err, &failure):
			return failure.Code, failure.Refusal
		case message.Verb == Unknown || !message.Verb.SaidBy(senders[each.Sender]):
			return "ignored", ""
		}
		return "valid", ""
	}
	for list, cases := range map[string][]vectors.Case{
		"valid": all.Valid, "ignored": all.Ignored, "invalid": all.Invalid,
	} {
		if len(cases) == 0 {
			t.Error("no", list)
		}
		for _, each := range cases {
			t.Run(list+"/"+each.Name, func(t *testing.T) {
				expected, refusal := list, ""
				if list == "invalid" {
					expected, refusal = each.Error, each.Refusal
				}
				if got, why := verdict(each); got != expected || why != refusal {
					t.Errorf("got %s %s, expected %s %s", got, why, expected, refusal)
				}
			})
		}
	}
}
