package quick

import (
	"bytes"
	"io"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"

	"agentctl/rpcclient"
	"agentctl/rpcclient/wire"
	"agentctl/rpcclient/wire/wiretest"
)

// conversation is what a client of a fake agent sent, up to the answers to its
// greeting, and from there on.
type conversation struct{ greeting, event []byte }

// recordClient has package rpcclient publish an event, and returns what it sent.
func recordClient(t *testing.T, e *event) (c conversation) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var agent sync.WaitGroup
	agent.Go(func() {
		conn, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		r, w := wire.NewReader(conn, wire.DefaultLimits), wire.NewWriter(conn)
		for len(c.event) == 0 {
			var h wire.RequestHeader
			err := r.Read(&h)
			request := bytes.Clone(r.Value())
			if err == nil {
				err = r.Read(nil)
			}
			request = append(request, r.Value()...)
			if err == nil {
				err = w.Write(wire.ResponseHeader{Seq: h.Seq}, nil)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if h.Command == wire.Event {
				c.event = request
			} else {
				c.greeting = append(c.greeting, request...)
			}
		}
	})
	client, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: ln.Addr().String(), AuthKey: e.auth})
	if err == nil {
		err = client.Event(t.Context(), e.name, []byte(e.payload), e.coalesce)
		client.Close()
	}
	if err != nil {
		t.Error(err)
	}
	agent.Wait()
	return c
}

// What is sent is what package rpcclient sends, in the same two steps; and it
// is, field by field, what package wire reads of it.
func TestRequestsAreThoseOfTheClient(t *testing.T) {
	for _, n := range []int{0, 1, 31, 32, 255, 256, 65535, 65536, 1 << 17} {
		for _, auth := range []string{"", "key", strings.Repeat("k", 300)} {
			e := event{name: strings.Repeat("n", n), payload: strings.Repeat("p\xff", n/2), coalesce: n%2 == 0, auth: auth}
			greeting, last := e.greeting(nil)
			request := e.request(nil, last+seqStep)
			want := recordClient(t, &e)
			if !bytes.Equal(greeting, want.greeting) || !bytes.Equal(request, want.event) {
				t.Errorf("size %d, key %q: sent %.80x and %.80x, the client sends %.80x and %.80x", n, auth, greeting, request, want.greeting, want.event)
			}
			checkFields(t, &e, append(greeting, request...))
		}
	}
}

// checkFields reads requests with package wire. A map would hold a field that
// the structs of wire do not have.
func checkFields(t *testing.T, e *event, sent []byte) {
	t.Helper()
	r := wire.NewReader(bytes.NewReader(sent), wire.DefaultLimits)
	seq := uint64(0)
	read := func(cmd wire.Command, body, want any, fields int) {
		t.Helper()
		seq += seqStep
		var h wire.RequestHeader
		if err := r.Read(&h); err != nil || h != (wire.RequestHeader{Command: cmd, Seq: seq}) {
			t.Fatalf("the header of %s is %+v, %v", cmd, h, err)
		}
		if err := r.Read(body); err != nil || !reflect.DeepEqual(body, want) {
			t.Fatalf("the body of %s is %.200v, %v", cmd, body, err)
		}
		var all map[string]any
		if err := wire.NewReader(bytes.NewReader(r.Value()), wire.DefaultLimits).Read(&all); err != nil || len(all) != fields {
			t.Fatalf("the body of %s has %d fields, %v; want %d", cmd, len(all), err, fields)
		}
	}
	read(wire.Handshake, new(wire.HandshakeRequest), &wire.HandshakeRequest{Version: wire.Version}, 1)
	if e.auth != "" {
		read(wire.Auth, new(wire.AuthRequest), &wire.AuthRequest{AuthKey: e.auth}, 1)
	}
	read(wire.Event, new(wire.EventRequest), &wire.EventRequest{Name: e.name, Payload: []byte(e.payload), Coalesce: e.coalesce}, 3)
	if err := r.Read(nil); err != io.EOF {
		t.Errorf("more is sent: %x, %v", r.Value(), err)
	}
}

// Of the answers that wire writes, success alone is plain, with what an agent of ours
// tells of each event or without.
func TestPlainAnswers(t *testing.T) {
	const id = "18446744073709551615-0f4b3224a0bfdf43" // the longest
	for name, c := range map[string]struct {
		answer any
		want   bool
	}{
		"success":          {wire.ResponseHeader{Seq: 2}, true},
		"an ID":            {wire.ResponseHeader{Seq: 2, ID: id}, true},
		"an endpoint too":  {wire.ResponseHeader{Seq: 2, ID: id, HTTPAddr: "127.0.0.1:7374"}, true},
		"the longest":      {wire.ResponseHeader{Seq: 2, ID: id, HTTPAddr: strings.Repeat("x", 255)}, true},
		"too long":         {wire.ResponseHeader{Seq: 2, ID: id, HTTPAddr: strings.Repeat("x", 256)}, false},
		"an endpoint only": {wire.ResponseHeader{Seq: 2, HTTPAddr: "127.0.0.1:7374"}, false},
		"a strange ID":     {wire.ResponseHeader{Seq: 2, ID: "\x1b[m"}, false},
		"an ID, warned":    {wire.ResponseHeader{Seq: 2, ID: id, Warning: "some get none"}, false},
		"an ID, an error":  {wire.ResponseHeader{Seq: 2, ID: id, Error: "no"}, false},
		"an error":         {wire.ResponseHeader{Seq: 2, Error: "no"}, false},
		"a long error":     {wire.ResponseHeader{Seq: 2, Error: strings.Repeat("x", 1000)}, false},
		"a warning":        {wire.ResponseHeader{Seq: 2, Warning: "some get none"}, false},
		"another request":  {wire.ResponseHeader{Seq: 4}, false},
		"a larger number":  {wire.ResponseHeader{Seq: 1 << 40}, false},
		"a new field":      {map[string]any{"Seq": 2, "Error": "", "Later": 1}, false},
		"a field too few":  {map[string]any{"Seq": 2}, false},
		"fields as a list": {[]any{2, ""}, false},
	} {
		var b bytes.Buffer
		if err := wire.NewWriter(&b).Write(c.answer, nil); err != nil {
			t.Fatal(err)
		}
		h, _ := c.answer.(wire.ResponseHeader)
		if got, ok := readPlain(b.Bytes(), 2); ok != c.want || ok && got != h.ID {
			t.Errorf("%s: %q, %v, want %v", name, got, ok, c.want)
		}
		for n := range b.Len() {
			if _, ok := readPlain(b.Bytes()[:n], 2); ok {
				t.Errorf("%s: %d bytes of it are plain", name, n)
			}
		}
	}
	for _, text := range []string{"\x82\xa5Error\xa0\xa3Seq\x02", "\x82\xa3Seq\x02\xa5Error\xa0"} {
		for n := range len(text) {
			if isPlain([]byte(text[:n]), 2) {
				t.Errorf("%q is plain", text[:n])
			}
		}
		if !isPlain([]byte(text), 2) || isPlain([]byte(text+"\x82"), 2) || len(text) != plainAnswer {
			t.Errorf("%q is not the plain answer, or more is", text)
		}
	}
}

// Success as stock agents sent it is plain: the quick way is for them, too.
func TestStockAnswersArePlain(t *testing.T) {
	const dir = "../../../testdata/rpc/"
	for _, file := range []string{"event.txt", "auth.txt"} {
		conversation, err := wiretest.Load(dir + file)
		if err != nil {
			t.Fatal(err)
		}
		plain := 0
		for _, v := range conversation.Values {
			var h wire.ResponseHeader
			if err := wire.NewReader(bytes.NewReader(v.Data), wire.DefaultLimits).Read(&h); err == nil && !v.FromClient && isPlain(v.Data, byte(h.Seq)) {
				plain++
			}
		}
		if plain < 2 { // the handshake and one more
			t.Errorf("%s has %d plain answers", file, plain)
		}
	}
}

// An answer that is taken for success is one to the client, too.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x82\xa5Error\xa0\xa3Seq\x02"))
	f.Add([]byte("\x82\xa3Seq\x02\xa5Error\xa2no"))
	f.Add([]byte("\x83\xa5Error\xa0\xa2ID\xa31-a\xa3Seq\x02"))
	f.Add([]byte("\x84\xa5Error\xa0\xa8HTTPAddr\xa31:2\xa2ID\xa31-a\xa3Seq\x02"))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, ok := readPlain(data, 2)
		if !ok {
			return
		}
		var h wire.ResponseHeader
		r := wire.NewReader(bytes.NewReader(data), wire.DefaultLimits)
		if err := r.Read(&h); err != nil || h != (wire.ResponseHeader{Seq: 2, ID: id, HTTPAddr: h.HTTPAddr}) || len(r.Value()) != len(data) {
			t.Errorf("%x was taken for success; to the client it is %+v, %v", data, h, err)
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
		{"/usr/bin/serf event kong x", with(func(e *event) { e.serf = true })},
		{"/opt/agentctl-1.2 event kong x", &plain},
		{"C:/AgentCtl.EXE event kong x", &plain},
		{"SERF.exe event kong x", with(func(e *event) { e.serf = true })},
		{"serf_event.sh event kong x", nil},
		{"/etc/serf_event.sh event", nil},
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
		{"serf event kong -", with(func(e *event) { e.payload, e.serf = "-", true })},
		{"agentctl event kong -", nil},
		{"agentctl event kong " + strings.Repeat("x", plainBytes), with(func(e *event) { e.payload = strings.Repeat("x", plainBytes) })},
		{"agentctl event " + strings.Repeat("n", 600) + " " + strings.Repeat("x", plainBytes), with(func(e *event) {
			e.name, e.payload = strings.Repeat("n", 600), strings.Repeat("x", plainBytes)
		})},
		{"agentctl event kong " + strings.Repeat("x", plainBytes+1), nil},
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
		{"other event kong x", &plain},
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
