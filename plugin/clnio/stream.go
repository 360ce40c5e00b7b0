package clnio

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrTooBig comes back from [Reader.Next] when a value exceeds the reader's bound.
var ErrTooBig = errors.New("json value exceeds the size limit")

// Reader takes one JSON value after another off a stream, whatever white space stands
// between them. It belongs to one goroutine.
type Reader struct {
	in  *bufio.Reader
	max int
	err error // first failure; there is no way back into step after it
}

// NewReader reads values of at most maxBytes bytes each.
func NewReader(r io.Reader, maxBytes int) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 64<<10), max: maxBytes}
}

// Next returns the next value; its bytes belong to the caller. At the end of the stream
// it returns [io.EOF], inside a value [io.ErrUnexpectedEOF]. Any failure stays: a stream
// that is not JSON cannot be entered again.
//
// An object, array or string is returned as soon as its last byte is read. A bare number
// or word ends at the byte after it, or at the end of the stream.
func (r *Reader) Next() (json.RawMessage, error) {
	if r.err != nil {
		return nil, r.err
	}
	v, err := r.next()
	if err != nil {
		r.err = err
		return nil, err
	}
	return v, nil
}

func (r *Reader) next() (json.RawMessage, error) {
	first, err := r.skipSpace()
	if err != nil {
		return nil, err
	}
	if !startsValue(first) {
		return nil, fmt.Errorf("json value begins with %q", first)
	}
	var v []byte
	var s scanner
	for {
		chunk, err := r.chunk()
		if errors.Is(err, io.EOF) && s.bare && len(v) > 0 {
			break
		}
		if errors.Is(err, io.EOF) {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("read json value: %w", err)
		}
		n, done := s.scan(chunk)
		if len(v)+n > r.max {
			return nil, fmt.Errorf("%w of %d bytes", ErrTooBig, r.max)
		}
		v = append(v, chunk[:n]...)
		if _, err := r.in.Discard(n); err != nil {
			return nil, fmt.Errorf("read json value: %w", err)
		}
		if done {
			break
		}
	}
	if !json.Valid(v) {
		return nil, fmt.Errorf("not a json value: %d bytes beginning with %.16q", len(v), v)
	}
	return v, nil
}

// chunk returns what is buffered, and waits for at least one byte.
func (r *Reader) chunk() ([]byte, error) {
	if _, err := r.in.Peek(1); err != nil {
		return nil, err
	}
	return r.in.Peek(r.in.Buffered())
}

// skipSpace leaves the reader before the first byte that is not white space.
func (r *Reader) skipSpace() (byte, error) {
	for {
		b, err := r.in.ReadByte()
		if err != nil {
			if err == io.EOF {
				return 0, io.EOF
			}
			return 0, fmt.Errorf("read json stream: %w", err)
		}
		if !isSpace(b) {
			return b, r.in.UnreadByte()
		}
	}
}

// scanner finds the end of one JSON value without judging it.
type scanner struct {
	begun   bool
	bare    bool // a number, true, false or null: no closing byte
	depth   int
	inText  bool
	escaped bool
}

// scan returns how many bytes of b belong to the value, and whether it ends there.
func (s *scanner) scan(b []byte) (n int, done bool) {
	for i, c := range b {
		switch {
		case s.inText:
			if s.text(c) && s.depth == 0 {
				return i + 1, true
			}
		case s.bare:
			if isSpace(c) || c == '{' || c == '[' || c == '"' {
				return i, true
			}
		case c == '"':
			s.inText = true
		case c == '{' || c == '[':
			s.depth++
		case c == '}' || c == ']':
			if s.depth--; s.depth <= 0 {
				return i + 1, true
			}
		case !s.begun:
			s.bare = true
		}
		s.begun = true
	}
	return len(b), false
}

// text takes one byte of a string and says whether it closed it.
func (s *scanner) text(c byte) (closed bool) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.inText = false
		return true
	}
	return false
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

func startsValue(c byte) bool {
	switch c {
	case '{', '[', '"', '-', 't', 'f', 'n':
		return true
	}
	return '0' <= c && c <= '9'
}

// Writer puts messages on a stream, each followed by two newlines. It is safe for
// concurrent use: one message is one write.
type Writer struct {
	mu  sync.Mutex
	out io.Writer
	err error // first failed write; half a message may be out, so nothing may follow
}

// NewWriter writes to w.
func NewWriter(w io.Writer) *Writer { return &Writer{out: w} }

// Write marshals v and writes it. A value that cannot be marshalled leaves the stream
// untouched. After a write that failed, every later one returns the same error.
func (w *Writer) Write(v any) error {
	b, err := frame(v)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	if _, err := w.out.Write(b); err != nil {
		w.err = fmt.Errorf("write json message: %w", err)
	}
	return w.err
}

// frame is v as it goes on the wire.
func frame(v any) ([]byte, error) {
	b, err := marshal(v)
	if err != nil {
		return nil, fmt.Errorf("marshal json message: %w", err)
	}
	return append(b, '\n', '\n'), nil
}
