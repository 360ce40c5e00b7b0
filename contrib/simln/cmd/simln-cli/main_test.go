package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"testing"
)

func TestParamsFollowLightningCLI(t *testing.T) {
	for _, c := range []struct{ name, args, want string }{
		{"numbers and words go in order", `["m","1000","hello"]`, `[1000,"hello"]`},
		{"digits with a leading zero may be hex", `["m","0123","0"]`, `["0123",0]`},
		{"true, false and null are bare", `["m","true","false","null"]`, `[true,false,null]`},
		{"negative and exponent numbers are strings", `["m","-5","1e5"]`, `["-5","1e5"]`},
		{"JSON goes bare", `["m","{\"a\":1}","[1]","\"q\""]`, `[{"a":1},[1],"q"]`},
		{"an equals sign in the first makes an object", `["m","a=1","b=x y"]`, `{"a":1,"b":"x y"}`},
		{"-k makes an object", `["-k","m","a=1=2"]`, `{"a":"1=2"}`},
		{"-o keeps the order", `["-o","m","a=1"]`, `["a=1"]`},
		{"an empty argument is an empty string", `["m",""]`, `[""]`},
		{"-k without parameters is an empty object", `["-k","m"]`, `{}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var args []string
			json.Unmarshal([]byte(c.args), &args)
			o, err := parse(args, &bytes.Buffer{})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			if err := o.params(&b); err != nil || b.String() != c.want {
				t.Errorf("got %s, %v; want %s", b.String(), err, c.want)
			}
		})
	}
}

func TestBareWordsThatAreNoJSONAreAUsageError(t *testing.T) {
	for _, args := range [][]string{{"m", "1.2.3"}, {"m", "{a}"}, {"-k", "m", "a=1", "b"}, {}} {
		var errOut bytes.Buffer
		if code := run(args, &bytes.Buffer{}, &errOut); code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, errOut.String())
		}
	}
}

// serve answers one request on a socket with the given text.
func serve(t *testing.T, answer string) (socket string) {
	socket = filepath.Join(t.TempDir(), "rpc")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		bufio.NewReader(conn).ReadString('\n')
		fmt.Fprintf(conn, "%s\n\n", answer)
	}()
	return socket
}

func TestOutput(t *testing.T) {
	const nested = `{"jsonrpc":"2.0","id":"x","result":{"z":9007199254740993,"list":[{"a":1},{"a":"b"}],"e":[]}}`
	for _, c := range []struct {
		name, answer, want string
		flags              []string
		code               int
	}{
		{"a result is pretty JSON in its own order with all digits", nested,
			"{\n   \"z\": 9007199254740993,\n   \"list\": [\n      {\n         \"a\": 1\n      },\n      {\n         \"a\": \"b\"\n      }\n   ],\n   \"e\": []\n}\n", nil, 0},
		{"-F prints a line a value", nested, "z=9007199254740993\nlist[0].a=1\nlist[1].a=b\n", []string{"-F"}, 0},
		{"the simple hint prints flat text", `{"id":"x","result":{"a":"two\nlines","n":1,"format-hint":"simple"}}`, "a=two\nlines\nn=1\n", nil, 0},
		{"-J overrules the hint", `{"id":"x","result":{"a":1,"format-hint":"simple"}}`, "{\n   \"a\": 1,\n   \"format-hint\": \"simple\"\n}\n", []string{"-J"}, 0},
		{"an error is printed and gives exit code 1", `{"id":"x","error":{"code":-1,"message":"no"}}`, "{\n   \"code\": -1,\n   \"message\": \"no\"\n}\n", nil, 1},
		{"a null error beside a result is a result", `{"id":"x","result":{},"error":null}`, "{}\n", nil, 0},
		{"an answer with neither is a broken connection", `{"id":"x"}`, "", nil, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			args := append(append([]string{"--rpc-file", serve(t, c.answer)}, c.flags...), "method")
			if code := run(args, &out, &errOut); code != c.code || out.String() != c.want {
				t.Errorf("exit code %d, output %q, errors %q; want %d, %q", code, out.String(), errOut.String(), c.code, c.want)
			}
		})
	}
}
