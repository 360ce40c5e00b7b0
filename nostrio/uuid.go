package nostrio

import (
	"encoding/hex"
	"errors"
)

// UUID is an order's or a dispute's id: RFC 9562, written lower case with hyphens.
type UUID [16]byte

var errUUID = errors.New("not a UUID")

// ParseUUID reads the four spellings that the protocol's clients may use: hyphenated, plain 32 digits, in braces, and
// with the prefix "urn:uuid:"; hex digits of either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	switch {
	case len(s) == 45 && s[:9] == "urn:uuid:":
		s = s[9:]
	case len(s) == 38 && s[0] == '{' && s[37] == '}':
		s = s[1:37]
	case len(s) == 32:
		_, err := hex.Decode(u[:], []byte(s))
		if err != nil {
			return UUID{}, errUUID
		}
		return u, nil
	}
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, errUUID
	}
	if _, err := hex.Decode(u[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:])); err != nil {
		return UUID{}, errUUID
	}
	return u, nil
}

// String is lower case, hyphenated, 36 characters.
func (u UUID) String() string { return string(u.append(nil)) }

func (u UUID) append(dst []byte) []byte {
	dst = hex.AppendEncode(dst, u[:4])
	for _, part := range [][]byte{u[4:6], u[6:8], u[8:10], u[10:]} {
		dst = hex.AppendEncode(append(dst, '-'), part)
	}
	return dst
}

// MarshalText is String.
func (u UUID) MarshalText() ([]byte, error) { return u.append(nil), nil }

// UnmarshalText is ParseUUID.
func (u *UUID) UnmarshalText(b []byte) (err error) {
	*u, err = ParseUUID(string(b))
	return err
}
