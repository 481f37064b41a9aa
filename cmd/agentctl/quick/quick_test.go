package quick

import (
	"bytes"
	"strings"
	"testing"
	"testing/iotest"

	"agentctl/rpcclient"
	"agentctl/rpcclient/wire"
)

// What is sent is what package rpcclient sends.
func TestRequestsAreThoseOfTheClient(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 255, 256, 65535, 65536, 1 << 17} {
		for _, auth := range []string{"", "key", strings.Repeat("k", 300)} {
			e := event{name: strings.Repeat("n", n), payload: strings.Repeat("p\xff", n/2), coalesce: n%2 == 0, auth: auth}
			var want bytes.Buffer
			w := wire.NewWriter(&want)
			seq := uint64(0)
			write := func(cmd wire.Command, body any) {
				seq++
				if err := w.Write(wire.RequestHeader{Command: cmd, Seq: seq}, body); err != nil {
					t.Fatal(err)
				}
			}
			write(wire.Handshake, wire.HandshakeRequest{Version: wire.Version})
			if auth != "" {
				write(wire.Auth, wire.AuthRequest{AuthKey: auth})
			}
			write(wire.Event, wire.EventRequest{Name: e.name, Payload: []byte(e.payload), Coalesce: e.coalesce})
			got, answers := e.requests()
			if !bytes.Equal(got, want.Bytes()) || uint64(answers) != seq {
				t.Errorf("size %d, key %q: %d answers to %.80x, want %d to %.80x", n, auth, answers, got, seq, want.Bytes())
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		header wire.ResponseHeader
		want   bool
		err    error
	}{
		"well":      {wire.ResponseHeader{Seq: 2}, true, nil},
		"an error":  {wire.ResponseHeader{Seq: 2, Error: "no"}, false, nil},
		"a long":    {wire.ResponseHeader{Seq: 2, Error: strings.Repeat("x", 1000)}, false, nil},
		"other seq": {wire.ResponseHeader{Seq: 3}, false, errAnswer},
	} {
		var b bytes.Buffer
		if err := wire.NewWriter(&b).Write(c.header, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := readAnswer(iotest.OneByteReader(&b), 2); got != c.want || err != c.err {
			t.Errorf("%s: %v, %v, want %v, %v", name, got, err, c.want, c.err)
		}
	}
	// Both orders of the two keys are one answer.
	for _, text := range []string{"\x82\xa5Error\xa0\xa3Seq\x02", "\x82\xa3Seq\x02\xa5Error\xa0"} {
		if ok, err := readAnswer(strings.NewReader(text), 2); !ok || err != nil {
			t.Errorf("%q: %v, %v", text, ok, err)
		}
		if ok, err := readAnswer(strings.NewReader(text[:len(text)-1]), 2); ok || err == nil {
			t.Errorf("%q cut short: %v, %v", text, ok, err)
		}
	}
}

// An answer that is taken for success is one to the client, too.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x82\xa5Error\xa0\xa3Seq\x02"))
	f.Add([]byte("\x82\xa3Seq\x02\xa5Error\xa2no"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ok, err := readAnswer(bytes.NewReader(data), 2)
		if !ok {
			return
		}
		var h wire.ResponseHeader
		if derr := wire.NewReader(bytes.NewReader(data), wire.DefaultLimits).Read(&h); err != nil || derr != nil || h != (wire.ResponseHeader{Seq: 2}) {
			t.Errorf("%x was taken for success: %v; to the client it is %+v, %v", data, err, h, derr)
		}
	})
}

func TestPlainCommandLines(t *testing.T) {
	env := map[string]string{}
	getenv := func(name string) string { return env[name] }
	plain := event{name: "kong", payload: "x", coalesce: true, where: defaultAddr, addr: [4]byte{127, 0, 0, 1}, port: 7373}
	with := func(change func(*event)) *event {
		e := plain
		change(&e)
		return &e
	}
	elsewhere := func(e *event) { e.where, e.addr, e.port = "10.0.0.255:1", [4]byte{10, 0, 0, 255}, 1 }
	for _, c := range []struct {
		line string
		want *event // nil: it is not a plain one
	}{
		{"agentctl event kong x", &plain},
		{"/usr/bin/serf event kong x", &plain},
		{"agentctl event kong", with(func(e *event) { e.payload = "" })},
		{"agentctl event -coalesce=false kong x", with(func(e *event) { e.coalesce = false })},
		{"agentctl event --coalesce=F kong x", with(func(e *event) { e.coalesce = false })},
		{"agentctl event -coalesce kong x", &plain},
		{"agentctl event -coalesce kong -x", with(func(e *event) { e.payload = "-x" })},
		{"agentctl event -rpc-addr=10.0.0.255:1 kong x", with(elsewhere)},
		{"agentctl event -rpc-addr 10.0.0.255:1 kong x", with(elsewhere)},
		{"agentctl event -rpc-auth k kong x", with(func(e *event) { e.auth = "k" })},
		{"agentctl event -rpc-auth= kong x", &plain},
		{"agentctl event -rpc-addr=unix:/r kong x", with(func(e *event) { e.where, e.socket, e.addr, e.port = "unix:/r", "/r", [4]byte{}, 0 })},
		{"serf event -rpc-addr=unix:/r kong x", nil},
		{"agentctl event -rpc-addr=10.0.0.1.:1 kong x", nil},
		{"agentctl event -rpc-addr=10.0.0.1:1: kong x", nil},
		{"serf event kong -", with(func(e *event) { e.payload = "-" })},
		{"agentctl event kong -", nil},
		{"agentctl event kong " + strings.Repeat("x", plainBytes-4), with(func(e *event) { e.payload = strings.Repeat("x", plainBytes-4) })},
		{"agentctl event kong " + strings.Repeat("x", plainBytes-3), nil},
		{"agentctl event", nil},
		{"agentctl event -h kong", nil},
		{"agentctl event -- kong x", nil},
		{"agentctl event - kong", nil},
		{"agentctl event kong x y", nil},
		{"agentctl event -coalesce=perhaps kong x", nil},
		{"agentctl event -payload-file=x kong", nil},
		{"agentctl event -rpc-addr", nil},
		{"agentctl event -rpc-addr=localhost:7373 kong x", nil},
		{"agentctl event -rpc-addr=[::1]:7373 kong x", nil},
		{"agentctl event -rpc-addr=127.0.0.1 kong x", nil},
		{"agentctl event -rpc-addr=127.0.0.1:0 kong x", nil},
		{"agentctl event -rpc-addr=127.0.0.1:65536 kong x", nil},
		{"agentctl event -rpc-addr=127.0.0.256:1 kong x", nil},
		{"agentctl event -rpc-addr=127.0.0.01:1 kong x", nil},
		{"agentctl event -rpc-addr=unix: kong x", nil},
		{"agentctl agent event x", nil},
		{"agentctl members -name=event x", nil},
		{"other event kong x", nil},
	} {
		e, ok := parse(strings.Fields(c.line), getenv)
		if ok != (c.want != nil) || ok && *e != *c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.line, e, ok, c.want)
		}
	}
	env = map[string]string{"AGENTCTL_RPC_ADDR": "10.0.0.255:1", "AGENTCTL_RPC_AUTH": "ours", "SERF_RPC_AUTH": "serf's"}
	want := with(func(e *event) { elsewhere(e); e.auth = "serf's" })
	if e, ok := parse([]string{"agentctl", "event", "kong", "x"}, getenv); !ok || *e != *want {
		t.Errorf("by variables: %+v, %v, want %+v", e, ok, want)
	}
	if defaultAddr != rpcclient.DefaultAddr {
		t.Errorf("the default address is %s, that of the client %s", defaultAddr, rpcclient.DefaultAddr)
	}
}
