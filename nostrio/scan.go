package nostrio

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON as strictly as serde does, which encoding/json does not: exact member names, no member twice, no
// number with a fraction where an integer belongs, no lone surrogates, no bytes that are not UTF-8. It never recurses
// deeper than maxDepth. Errors name members of ours and offsets, never values, which may be private.
type scanner struct {
	b     []byte
	i     int
	depth int
}

const maxDepth = 32 // the deepest message has six levels; ignored members may be deeper

var (
	errJSON  = errors.New("not valid JSON")
	errDepth = errors.New("nested too deep")
	errType  = errors.New("wrong type")
	errRange = errors.New("number out of range")
)

// shape lists the members of a JSON object: which must be there, and whether others are an error.
type shape struct {
	names  []string
	must   uint32 // bit i: names[i] is mandatory
	closed bool
}

// members makes a shape that ignores unknown members; a name that ends in "!" is mandatory.
func members(names ...string) shape {
	var s shape
	for i, n := range names {
		if n[len(n)-1] == '!' {
			s.must |= 1 << i
			n = n[:len(n)-1]
		}
		s.names = append(s.names, n)
	}
	return s
}

// object reads an object; value must consume the value of the member it is called for.
func (p *scanner) object(s shape, value func(name string) error) error {
	var seen uint32
	err := p.rawObject(func(key string) error {
		for i, name := range s.names {
			if name != key {
				continue
			}
			if seen&(1<<i) != 0 {
				return fmt.Errorf("%s: member given twice", name)
			}
			seen |= 1 << i
			if err := value(name); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
		if s.closed {
			return errors.New("unknown member")
		}
		return p.skip()
	})
	if err != nil {
		return err
	}
	if missing := s.must &^ seen; missing != 0 {
		for i, name := range s.names {
			if missing&(1<<i) != 0 {
				return fmt.Errorf("%s: missing", name)
			}
		}
	}
	return nil
}

// single reads an object with exactly one member, as enumerations with data are written.
func (p *scanner) single(value func(key string) error) error {
	n := 0
	err := p.rawObject(func(key string) error {
		if n++; n > 1 {
			return errors.New("more than one member")
		}
		return value(key)
	})
	if err == nil && n == 0 {
		err = errors.New("no member")
	}
	return err
}

func (p *scanner) rawObject(member func(key string) error) error {
	return p.sequence('{', '}', func() error {
		key, err := p.str()
		if err != nil {
			return err
		}
		if p.next() != ':' {
			return p.syntax()
		}
		p.i++
		return member(key)
	})
}

// array calls element for each element, which must consume it.
func (p *scanner) array(element func(i int) error) (n int, err error) {
	err = p.sequence('[', ']', func() error {
		if err := element(n); err != nil {
			return fmt.Errorf("[%d]: %w", n, err)
		}
		n++
		return nil
	})
	return n, err
}

// tuple reads an array of exactly n elements.
func (p *scanner) tuple(n int, element func(i int) error) error {
	got, err := p.array(func(i int) error {
		if i >= n {
			return fmt.Errorf("more than %d elements", n)
		}
		return element(i)
	})
	if err == nil && got != n {
		err = fmt.Errorf("%d elements, not %d", got, n)
	}
	return err
}

func (p *scanner) sequence(open, shut byte, one func() error) error {
	if c := p.next(); c != open {
		if c == 0 {
			return p.syntax()
		}
		return errType
	}
	if p.depth++; p.depth > maxDepth {
		return errDepth
	}
	p.i++
	if p.next() == shut {
		p.i++
		p.depth--
		return nil
	}
	for {
		if err := one(); err != nil {
			return err
		}
		switch p.next() {
		case ',':
			p.i++
		case shut:
			p.i++
			p.depth--
			return nil
		default:
			return p.syntax()
		}
	}
}

// next skips white space and returns the byte that follows, without consuming it; 0 at the end.
func (p *scanner) next() byte {
	for p.i < len(p.b) {
		switch c := p.b[p.i]; c {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return c
		}
	}
	return 0
}

func (p *scanner) syntax() error { return fmt.Errorf("%w at byte %d", errJSON, p.i) }

// end refuses anything but white space after the value.
func (p *scanner) end() error {
	if p.next(); p.i != len(p.b) {
		return p.syntax()
	}
	return nil
}

// null consumes a null, if one is next.
func (p *scanner) null() bool {
	p.next()
	return p.word("null")
}

func (p *scanner) word(w string) bool {
	if len(p.b)-p.i >= len(w) && string(p.b[p.i:p.i+len(w)]) == w {
		p.i += len(w)
		return true
	}
	return false
}

func (p *scanner) boolean() (bool, error) {
	p.next()
	switch {
	case p.word("true"):
		return true, nil
	case p.word("false"):
		return false, nil
	}
	return false, errType
}

// number consumes a number and says whether it has only digits. A bare "-0" counts as a float, as serde_json has it.
func (p *scanner) number() (text string, integer bool, err error) {
	if c := p.next(); c != '-' && (c < '0' || c > '9') {
		return "", false, errType
	}
	start := p.i
	if p.b[p.i] == '-' {
		p.i++
	}
	switch n := p.digits(); {
	case n == 0, n > 1 && p.b[p.i-n] == '0':
		return "", false, p.syntax()
	}
	integer = true
	if p.i < len(p.b) && p.b[p.i] == '.' {
		integer = false
		p.i++
		if p.digits() == 0 {
			return "", false, p.syntax()
		}
	}
	if p.i < len(p.b) && (p.b[p.i] == 'e' || p.b[p.i] == 'E') {
		integer = false
		p.i++
		if p.i < len(p.b) && (p.b[p.i] == '+' || p.b[p.i] == '-') {
			p.i++
		}
		if p.digits() == 0 {
			return "", false, p.syntax()
		}
	}
	text = string(p.b[start:p.i])
	return text, integer && text != "-0", nil
}

func (p *scanner) digits() (n int) {
	for p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9' {
		p.i++
		n++
	}
	return n
}

func (p *scanner) int64() (int64, error) {
	text, integer, err := p.number()
	if err != nil {
		return 0, err
	}
	if !integer {
		return 0, errType
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errRange
	}
	return n, nil
}

func (p *scanner) uint(bits int) (uint64, error) {
	text, integer, err := p.number()
	if err != nil {
		return 0, err
	}
	if !integer {
		return 0, errType
	}
	n, err := strconv.ParseUint(text, 10, bits)
	if err != nil {
		return 0, errRange
	}
	return n, nil
}

func (p *scanner) float() (float64, error) {
	text, _, err := p.number()
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, errRange
	}
	return f, nil
}

// str reads a string. The input as a whole is known to be UTF-8.
func (p *scanner) str() (string, error) {
	if c := p.next(); c != '"' {
		if c == 0 {
			return "", p.syntax()
		}
		return "", errType
	}
	p.i++
	start := p.i
	for p.i < len(p.b) {
		switch c := p.b[p.i]; {
		case c == '"':
			s := string(p.b[start:p.i])
			p.i++
			return s, nil
		case c == '\\':
			return p.escaped(append([]byte(nil), p.b[start:p.i]...))
		case c < 0x20:
			return "", p.syntax()
		}
		p.i++
	}
	return "", p.syntax()
}

// escaped goes on with a string from its first backslash.
func (p *scanner) escaped(s []byte) (string, error) {
	for p.i < len(p.b) {
		c := p.b[p.i]
		p.i++
		switch {
		case c == '"':
			return string(s), nil
		case c < 0x20:
			return "", p.syntax()
		case c != '\\':
			s = append(s, c)
			continue
		}
		if p.i == len(p.b) {
			break
		}
		c = p.b[p.i]
		p.i++
		switch c {
		case '"', '\\', '/':
			s = append(s, c)
		case 'b':
			s = append(s, '\b')
		case 'f':
			s = append(s, '\f')
		case 'n':
			s = append(s, '\n')
		case 'r':
			s = append(s, '\r')
		case 't':
			s = append(s, '\t')
		case 'u':
			r, ok := p.unicode()
			if !ok {
				return "", p.syntax()
			}
			s = utf8.AppendRune(s, r)
		default:
			return "", p.syntax()
		}
	}
	return "", p.syntax()
}

// unicode reads what follows \u: four hex digits, or eight in two escapes for a surrogate pair.
func (p *scanner) unicode() (rune, bool) {
	hi, ok := p.hex4()
	if !ok || !utf16.IsSurrogate(hi) {
		return hi, ok
	}
	if !p.word(`\u`) {
		return 0, false
	}
	lo, ok := p.hex4()
	if !ok {
		return 0, false
	}
	r := utf16.DecodeRune(hi, lo)
	return r, r != utf8.RuneError
}

func (p *scanner) hex4() (rune, bool) {
	if len(p.b)-p.i < 4 {
		return 0, false
	}
	var r rune
	for _, c := range p.b[p.i : p.i+4] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	p.i += 4
	return r, true
}

// skip consumes any value, checking its syntax.
func (p *scanner) skip() (err error) {
	switch c := p.next(); c {
	case '{':
		return p.rawObject(func(string) error { return p.skip() })
	case '[':
		_, err = p.array(func(int) error { return p.skip() })
	case '"':
		_, err = p.str()
	case 't', 'f':
		_, err = p.boolean()
	case 'n':
		if !p.null() {
			err = p.syntax()
		}
	default:
		if _, _, err = p.number(); errors.Is(err, errType) {
			err = p.syntax()
		}
	}
	return err
}
