package wire_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentctl/rpcclient/wire"
	"agentctl/rpcclient/wire/wiretest"
)

// bodyTypes are the types of request and response bodies.
var bodyTypes = map[wire.Command]struct{ request, response any }{
	wire.Handshake:       {request: wire.HandshakeRequest{}},
	wire.Auth:            {request: wire.AuthRequest{}},
	wire.Event:           {request: wire.EventRequest{}},
	wire.ForceLeave:      {request: wire.ForceLeaveRequest{}},
	wire.Join:            {request: wire.JoinRequest{}, response: wire.JoinResponse{}},
	wire.Members:         {response: wire.MembersResponse{}},
	wire.MembersFiltered: {request: wire.MembersFilteredRequest{}, response: wire.MembersResponse{}},
	wire.Stream:          {request: wire.StreamRequest{}},
	wire.Monitor:         {request: wire.MonitorRequest{}, response: wire.LogRecord{}},
	wire.Stop:            {request: wire.StopRequest{}},
	wire.Tags:            {request: wire.TagsRequest{}},
	wire.Query:           {request: wire.QueryRequest{}, response: wire.QueryRecord{}},
	wire.Respond:         {request: wire.RespondRequest{}},
	wire.InstallKey:      {request: wire.KeyRequest{}, response: wire.KeyResponse{}},
	wire.UseKey:          {request: wire.KeyRequest{}, response: wire.KeyResponse{}},
	wire.RemoveKey:       {request: wire.KeyRequest{}, response: wire.KeyResponse{}},
	wire.ListKeys:        {response: wire.KeyResponse{}},
	wire.Stats:           {response: map[string]map[string]string{}},
	wire.GetCoordinate:   {request: wire.CoordinateRequest{}, response: wire.CoordinateResponse{}},
}

// TestTranscripts reads what stock clients and agents said to each other by
// the rules of this package: each value is the header or body that is due, of
// the type that belongs there, and encodes to the same size again. (Not the
// same bytes: a map's entries come in any order.)
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("../../testdata/rpc/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	seen := map[wire.Command]bool{}
	for _, path := range files {
		tr, err := wiretest.Load(path)
		if err != nil {
			t.Error(err)
			continue
		}
		var requests, answers []wiretest.Value
		for _, v := range tr.Values {
			if v.FromClient {
				requests = append(requests, v)
			} else {
				answers = append(answers, v)
			}
		}
		asked := map[uint64]wire.Command{}
		for len(requests) > 0 {
			h := take(t, path, &requests, wire.RequestHeader{}).(wire.RequestHeader)
			if _, again := asked[h.Seq]; !again {
				asked[h.Seq] = h.Command
			}
			seen[h.Command] = true
			if h.Command.HasRequest() {
				take(t, path, &requests, bodyTypes[h.Command].request)
			}
		}
		answered := map[uint64]bool{}
		for len(answers) > 0 {
			h := take(t, path, &answers, wire.ResponseHeader{}).(wire.ResponseHeader)
			cmd, ok := asked[h.Seq]
			records := cmd == wire.Stream || cmd == wire.Monitor || cmd == wire.Query
			switch {
			case !ok:
				t.Errorf("%s: an answer to Seq %d, which was not asked", path, h.Seq)
			case cmd == wire.Stream && answered[h.Seq] && h.Error == "":
				take(t, path, &answers, eventType(t, answers[0]))
			case h.BodyFollows(cmd), records && answered[h.Seq] && h.Error == "":
				take(t, path, &answers, bodyTypes[cmd].response)
			}
			answered[h.Seq] = true
		}
	}
	for cmd := range bodyTypes {
		if !seen[cmd] {
			t.Errorf("%s is in no transcript", cmd)
		}
	}
}

// take decodes the first value as the type of like and encodes it again.
func take(t *testing.T, path string, values *[]wiretest.Value, like any) any {
	t.Helper()
	if len(*values) == 0 {
		t.Fatalf("%s: ends where a %T is due", path, like)
	}
	v := (*values)[0]
	*values = (*values)[1:]
	got := reflect.New(reflect.TypeOf(like))
	read(t, v.Data, got.Interface())
	var buf bytes.Buffer
	if err := wire.NewWriter(&buf).Write(got.Interface(), nil); err != nil {
		t.Fatal(err)
	}
	if buf.Len() != len(v.Data) {
		t.Errorf("%s:%d: as %T it is %s", path, v.Line, like, wiretest.Render(buf.Bytes()))
	}
	again := reflect.New(reflect.TypeOf(like))
	read(t, buf.Bytes(), again.Interface())
	if d := cmp.Diff(got.Interface(), again.Interface()); d != "" {
		t.Errorf("%s:%d: %s", path, v.Line, d)
	}
	return got.Elem().Interface()
}

func read(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := wire.NewReader(bytes.NewReader(data), wire.DefaultLimits).Read(v); err != nil {
		t.Fatalf("%x as %T: %v", data, v, err)
	}
}

// eventType returns the type that a server writes an event of a stream as.
func eventType(t *testing.T, v wiretest.Value) any {
	t.Helper()
	var rec wire.StreamRecord
	read(t, v.Data, &rec)
	switch rec.Event {
	case "user":
		return wire.UserEventRecord{}
	case "query":
		return wire.QueryEventRecord{}
	}
	return wire.MemberEventRecord{}
}
