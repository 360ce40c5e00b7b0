// Command simln-cli asks a lightning-rpc socket, that of simln or of a real node, in the manner of lightning-cli.
//
//	simln-cli [FLAGS] METHOD [PARAM …]
//
// Parameters go out as an array, or with -k (also when the first one holds a "=") as an object of NAME=VALUE.
// Exit codes: 0 result, 1 the command's own error, which is printed, 2 the node cannot be reached, 3 usage.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

const (
	exitOK = iota
	exitCommand
	exitTalking
	exitUsage
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

type options struct {
	socket                        string
	keywords, ordered             bool
	json, flat, human, raw        bool
	filter, method, network, dirs string
	args                          []string
}

func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		fmt.Fprintln(stderr, "simln-cli:", err)
		return exitUsage
	}
	request, err := o.request()
	if err != nil {
		fmt.Fprintln(stderr, "simln-cli:", err)
		return exitUsage
	}
	result, failure, err := ask(o.socket, request)
	if err != nil {
		fmt.Fprintln(stderr, "simln-cli:", err)
		return exitTalking
	}
	w := bufio.NewWriter(stdout)
	defer w.Flush()
	if failure != nil {
		o.printError(w, failure)
		return exitCommand
	}
	if err := o.print(w, result); err != nil {
		fmt.Fprintln(stderr, "simln-cli:", err)
		return exitTalking
	}
	return exitOK
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("simln-cli", flag.ContinueOnError)
	f.SetOutput(stderr)
	rpcFile := f.String("rpc-file", "lightning-rpc", "socket; absolute, or below the network directory")
	f.StringVar(&o.dirs, "lightning-dir", ".", "the node's lightning-dir")
	f.StringVar(&o.network, "network", "regtest", "network directory below lightning-dir")
	f.StringVar(&o.filter, "l", "", "filter for the reply")
	for _, b := range []struct {
		into  *bool
		names []string
		usage string
	}{
		{&o.keywords, []string{"k", "keywords"}, "parameters are NAME=VALUE"},
		{&o.ordered, []string{"o", "order"}, "parameters are in order"},
		{&o.json, []string{"J", "json"}, "print JSON whatever the format hint"},
		{&o.flat, []string{"F", "flat"}, "print a line a value"},
		{&o.human, []string{"H", "human-readable"}, "print for people"},
		{&o.raw, []string{"R", "raw"}, "print the JSON as it came"},
	} {
		for _, name := range b.names {
			f.BoolVar(b.into, name, false, b.usage)
		}
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() == 0 {
		return nil, errors.New("no method given; try simln-cli help")
	}
	o.method, o.args = f.Arg(0), f.Args()[1:]
	o.socket = *rpcFile
	if !filepath.IsAbs(o.socket) {
		o.socket = filepath.Join(o.dirs, o.network, *rpcFile)
	}
	return o, nil
}

// request is the whole message, or an error where bare words make no JSON.
func (o *options) request() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"jsonrpc":"2.0","method":%s,"id":%s,`, quote(o.method), quote(fmt.Sprintf("cli:%s#%d", o.method, os.Getpid())))
	if o.filter != "" {
		fmt.Fprintf(&b, `"filter":%s,`, o.filter)
	}
	b.WriteString(`"params":`)
	if err := o.params(&b); err != nil {
		return nil, err
	}
	b.WriteByte('}')
	if !json.Valid(b.Bytes()) {
		return nil, fmt.Errorf("some parameters are malformed, cannot create a valid JSON-RPC request: %s", b.Bytes())
	}
	return append(b.Bytes(), "\n\n"...), nil
}

func (o *options) params(b *bytes.Buffer) error {
	byName := o.keywords || !o.ordered && len(o.args) > 0 && strings.Contains(o.args[0], "=")
	if !byName {
		var words []string
		for _, a := range o.args {
			words = append(words, word(a))
		}
		b.WriteString("[" + strings.Join(words, ",") + "]")
		return nil
	}
	var pairs []string
	for _, a := range o.args {
		name, value, ok := strings.Cut(a, "=")
		if !ok {
			return fmt.Errorf("expected key=value in '%s'", a)
		}
		pairs = append(pairs, quote(name)+":"+word(value))
	}
	b.WriteString("{" + strings.Join(pairs, ",") + "}")
	return nil
}

// word sends an argument bare where lightning-cli does, else as a string.
func word(s string) string {
	if isLiteral(s) {
		return s
	}
	return quote(s)
}

func isLiteral(s string) bool {
	if s == "" {
		return false
	}
	digits := strings.Trim(s, "0123456789") == ""
	if digits && len(s) > 1 && s[0] == '0' {
		return false // may be hex
	}
	switch first, last := s[0], s[len(s)-1]; {
	case strings.Trim(s, "0123456789.") == "", s == "true", s == "false", s == "null":
		return true
	case first == '{' && last == '}', first == '[' && last == ']', first == '"' && last == '"':
		return true
	}
	return false
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return strings.TrimSpace(b.String())
}

// ask sends the request and passes over notifications until the answer comes.
func ask(socket string, request []byte) (result, failure json.RawMessage, err error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return nil, nil, fmt.Errorf("writing command: %w", err)
	}
	dec := json.NewDecoder(conn)
	for {
		var m map[string]json.RawMessage
		if err := dec.Decode(&m); err != nil {
			return nil, nil, fmt.Errorf("reading response: %w", err)
		}
		if m["id"] == nil {
			continue
		}
		if failure := m["error"]; failure != nil && string(failure) != "null" {
			return nil, failure, nil
		}
		if m["result"] == nil {
			return nil, nil, errors.New("either 'result' or 'error' must be returned in the response")
		}
		return m["result"], nil, nil
	}
}
