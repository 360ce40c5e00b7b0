package clnio

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
)

func TestReaderTakesValuesApart(t *testing.T) {
	tests := []struct {
		name string
		in   string
		want []string
		end  error // io.EOF, another sentinel, or nil for "some other error"
	}{
		{"nothing", "", nil, io.EOF},
		{"only white space", " \n\t\r\n", nil, io.EOF},
		{"two newlines between", "{\"a\":1}\n\n{\"b\":2}\n\n", []string{`{"a":1}`, `{"b":2}`}, io.EOF},
		{"nothing between", `{}{}[1]"x"{}`, []string{`{}`, `{}`, `[1]`, `"x"`, `{}`}, io.EOF},
		{"braces and escaped quotes inside strings", `{"a":"}\"{\\"} {"b":"]"}`, []string{`{"a":"}\"{\\"}`, `{"b":"]"}`}, io.EOF},
		{"nested", `[[{"a":[1,{"b":[]}]}]]x`, []string{`[[{"a":[1,{"b":[]}]}]]`}, nil},
		{"bare words and numbers", "1 -2.5e3\ntrue false null", []string{"1", "-2.5e3", "true", "false", "null"}, io.EOF},
		{"a number that touches an object", "1{}", []string{"1", "{}"}, io.EOF},
		{"end inside an object", `{"a":1`, nil, io.ErrUnexpectedEOF},
		{"end inside a string", `"abc`, nil, io.ErrUnexpectedEOF},
		{"text that is not json", "hello\n\n{}", nil, nil},
		{"brackets that do not match", `{]`, nil, nil},
		{"a stray closing brace", `}{}`, nil, nil},
		{"exactly the limit", `"` + strings.Repeat("x", 98) + `"`, []string{`"` + strings.Repeat("x", 98) + `"`}, io.EOF},
		{"one byte over the limit", `"` + strings.Repeat("x", 99) + `"`, nil, ErrTooBig},
	}
	for _, tt := range tests {
		for how, in := range map[string]io.Reader{
			"at once":   strings.NewReader(tt.in),
			"by byte":   iotest.OneByteReader(strings.NewReader(tt.in)),
			"by halves": iotest.HalfReader(strings.NewReader(tt.in)),
		} {
			t.Run(tt.name+", "+how, func(t *testing.T) {
				r := NewReader(in, 100)
				for _, want := range tt.want {
					got, err := r.Next()
					if err != nil || string(got) != want {
						t.Fatalf("got %q, %v; want %q", got, err, want)
					}
				}
				got, err := r.Next()
				if err == nil || (tt.end != nil && !errors.Is(err, tt.end)) || (tt.end == nil && errors.Is(err, io.EOF)) {
					t.Fatalf("at the end: got %q, %v; want error %v", got, err, tt.end)
				}
				if _, again := r.Next(); !errors.Is(again, err) {
					t.Errorf("the error does not stay: %v then %v", err, again)
				}
			})
		}
	}
}

// A reply must be seen as soon as its last byte is there: the node sends nothing after it.
func TestReaderDoesNotWaitForTheByteAfterAnObject(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	r := NewReader(pr, 1000)
	for _, want := range []string{`{"id":"a"}`, `[1]`, `"s"`} {
		go pw.Write([]byte(want))
		got, err := r.Next()
		if err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

func TestReaderPassesOnReadErrors(t *testing.T) {
	r := NewReader(iotest.ErrReader(io.ErrClosedPipe), 100)
	if _, err := r.Next(); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatalf("got %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":"cln:htlc_accepted#9405","method":"htlc_accepted","params":{"htlc":{"id":0}}}` + "\n\n"))
	f.Add([]byte(`{"a":"}\"{\\"} 1 [] "x"`))
	f.Add([]byte("{\"a\":1}\n\n{\"a\":2}"))
	f.Add([]byte(`[[[[[[`))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 64
		at := NewReader(bytes.NewReader(in), limit)
		slow := NewReader(iotest.OneByteReader(bytes.NewReader(in)), limit)
		total := 0
		for {
			v, err := at.Next()
			w, errSlow := slow.Next()
			if !bytes.Equal(v, w) || (err == nil) != (errSlow == nil) {
				t.Fatalf("read at once: %q, %v; read by byte: %q, %v", v, err, w, errSlow)
			}
			if err != nil {
				return
			}
			if !json.Valid(v) || len(v) > limit || len(v) == 0 {
				t.Fatalf("returned %q", v)
			}
			if total += len(v); total > len(in) {
				t.Fatalf("returned more bytes than came in")
			}
		}
	})
}

func TestWriterKeepsMessagesWhole(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 20 {
				w.Write(Message{ID: json.RawMessage(`"a<b>&c"`), Result: json.RawMessage(`{"x":"<&>"}`)})
			}
		})
	}
	wg.Wait()
	const want = `{"jsonrpc":"2.0","id":"a<b>&c","result":{"x":"<&>"}}` + "\n\n"
	if got := out.String(); got != strings.Repeat(want, 1000) {
		t.Fatalf("messages are mixed or escaped: %.300q", got)
	}
}

func TestWriterLeavesTheStreamUntouchedWhenAValueCannotBeMarshalled(t *testing.T) {
	var out bytes.Buffer
	w := NewWriter(&out)
	if err := w.Write(make(chan int)); err == nil {
		t.Fatal("a channel was marshalled")
	}
	if err := w.Write(Message{Method: "log"}); err != nil || out.String() != "{\"jsonrpc\":\"2.0\",\"method\":\"log\"}\n\n" {
		t.Fatalf("afterwards: %v, %q", err, out.String())
	}
}

type halfWriter struct{ calls int }

func (w *halfWriter) Write(b []byte) (int, error) {
	w.calls++
	return len(b) / 2, io.ErrShortWrite
}

func TestWriterWritesNothingAfterHalfAMessage(t *testing.T) {
	var h halfWriter
	w := NewWriter(&h)
	first := w.Write(Message{Method: "a"})
	second := w.Write(Message{Method: "b"})
	if first == nil || !errors.Is(second, first) || h.calls != 1 {
		t.Fatalf("first %v, second %v, writes %d", first, second, h.calls)
	}
}

func TestMessageKeepsIDsAsTheyCame(t *testing.T) {
	for _, id := range []string{`"cli:x#1/cln:x#2"`, `"\u003cb"`, `7`, `12345678901234567890`, `null`} {
		var m Message
		in := `{"jsonrpc":"2.0","id":` + id + `,"method":"m","params":[1]}`
		if err := json.Unmarshal([]byte(in), &m); err != nil {
			t.Fatal(err)
		}
		out, err := marshal(m)
		if err != nil || string(out) != in {
			t.Errorf("in %s, out %s, %v", in, out, err)
		}
	}
}
