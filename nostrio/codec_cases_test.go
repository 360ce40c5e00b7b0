package nostrio

import (
	"encoding/json"
	"errors"
	"os"
	"testing"
)

// The cases in testdata/codec-cases.json are shared with the web client, so that both codecs refuse and mend the same.
func TestSharedCodecCases(t *testing.T) {
	data, err := os.ReadFile("testdata/codec-cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct {
		Refused  []struct{ Name, In string }
		Accepted []struct{ Name, In, Want string }
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases.Refused) < 40 || len(cases.Accepted) < 10 {
		t.Fatalf("only %d and %d cases", len(cases.Refused), len(cases.Accepted))
	}
	for _, c := range cases.Refused {
		if m, err := Decode([]byte(c.In)); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: got %s, %v", c.Name, m.Encode(), err)
		}
	}
	for _, c := range cases.Accepted {
		m, err := Decode([]byte(c.In))
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if got := string(m.Encode()); got != c.Want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.Name, got, c.Want)
		}
	}
}
