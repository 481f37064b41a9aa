package wire

import (
	"bytes"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	someMember = Member{
		Name: "node1", Addr: net.IPv4(10, 0, 0, 1).To4(), Port: 7946, Tags: map[string]string{"role": "web"}, Status: "alive",
		ProtocolMin: 1, ProtocolMax: 5, ProtocolCur: 2, DelegateMin: 2, DelegateMax: 6, DelegateCur: 4,
	}
	longText  = strings.Repeat("x", 70000) // longer than a length of 16 bits says
	someBytes = []byte("\x00\xff payload")
)

// messages has every type of message, with all fields set; empty ones follow
// from the types.
var messages = []any{
	RequestHeader{Command: Members, Seq: math.MaxUint64},
	ResponseHeader{Seq: math.MaxUint64, Error: "text"},
	HandshakeRequest{Version: 1},
	AuthRequest{AuthKey: "secret"},
	EventRequest{Name: "deploy", Payload: someBytes, Coalesce: true},
	EventRequest{Name: longText, Payload: []byte(longText)},
	ForceLeaveRequest{Node: "node1", Prune: true},
	JoinRequest{Existing: []string{"a:1", "b:2"}, Replay: true},
	JoinResponse{Num: 2},
	MembersFilteredRequest{Tags: map[string]string{"a": "b.*"}, Status: "alive", Name: "n.*"},
	MembersResponse{Members: []Member{someMember, {}}},
	KeyRequest{Key: "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="},
	KeyResponse{Messages: map[string]string{"a": "b"}, Keys: map[string]int{"k": 3}, NumNodes: 3, NumErr: 1, NumResp: 2},
	StreamRequest{Type: "user:kong,member-join"},
	StreamRecord{Event: "user", Members: []Member{someMember}, ID: 1, LTime: 2, Name: "n", Payload: someBytes, Coalesce: true},
	MemberEventRecord{Event: "member-join", Members: []Member{someMember}},
	UserEventRecord{Event: "user", LTime: math.MaxUint64, Name: "deploy", Payload: someBytes, Coalesce: true},
	QueryEventRecord{Event: "query", ID: 1, LTime: 2, Name: "load", Payload: someBytes},
	MonitorRequest{LogLevel: "DEBUG"},
	LogRecord{Log: "2026/11/23 10:00:00 [INFO] serf: text"},
	StopRequest{Stop: 3},
	TagsRequest{Tags: map[string]string{"a": "b"}, DeleteTags: []string{"c"}},
	QueryRequest{FilterNodes: []string{"a"}, FilterTags: map[string]string{"b": "c"}, RequestAck: true, RelayFactor: 5, Timeout: time.Hour, Name: "load", Payload: someBytes},
	QueryRecord{Type: QueryResponse, From: "node1", Payload: someBytes},
	RespondRequest{ID: 7, Payload: someBytes},
	CoordinateRequest{Node: "node1"},
	CoordinateResponse{Coord: Coordinate{Vec: []float64{1.5, -2}, Error: 0.5, Adjustment: -0.25, Height: 1e-5}, Ok: true},
}

// encode returns the encoding of v alone.
func encode(t testing.TB, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := NewWriter(&buf).Write(v, nil); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestRoundTrip(t *testing.T) {
	all := append([]any{map[string]map[string]string{"serf": {"members": "2"}}}, messages...)
	for _, full := range messages {
		all = append(all, reflect.Zero(reflect.TypeOf(full)).Interface())
	}
	for _, want := range all {
		got := reflect.New(reflect.TypeOf(want))
		if err := NewReader(bytes.NewReader(encode(t, want)), DefaultLimits).Read(got.Interface()); err != nil {
			t.Errorf("%T: %v", want, err)
			continue
		}
		if d := cmp.Diff(want, got.Elem().Interface()); d != "" {
			t.Errorf("%T: %s", want, d)
		}
	}
}

// TestFieldsOfStreamRecord: what a server writes as its own type is read as a
// StreamRecord.
func TestFieldsOfStreamRecord(t *testing.T) {
	for _, tt := range []struct {
		written any
		want    StreamRecord
	}{
		{MemberEventRecord{Event: "member-join", Members: []Member{someMember}}, StreamRecord{Event: "member-join", Members: []Member{someMember}}},
		{UserEventRecord{Event: "user", LTime: 2, Name: "n", Payload: someBytes, Coalesce: true}, StreamRecord{Event: "user", LTime: 2, Name: "n", Payload: someBytes, Coalesce: true}},
		{QueryEventRecord{Event: "query", ID: 1, LTime: 2, Name: "n", Payload: someBytes}, StreamRecord{Event: "query", ID: 1, LTime: 2, Name: "n", Payload: someBytes}},
	} {
		var got StreamRecord
		if err := NewReader(bytes.NewReader(encode(t, tt.written)), DefaultLimits).Read(&got); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Error(d)
		}
	}
}

// TestUnknownFieldsAreSkipped: a later serf may add some.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	in := encode(t, map[string]any{"Seq": 5, "Error": "e", "Hint": map[string]any{"x": []int{1, 2}}})
	var h ResponseHeader
	if err := NewReader(bytes.NewReader(in), DefaultLimits).Read(&h); err != nil || h != (ResponseHeader{Seq: 5, Error: "e"}) {
		t.Error(h, err)
	}
}

func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		cmd                      Command
		known, request, response bool
	}{
		{"handshake", true, true, false}, {"auth", true, true, false}, {"event", true, true, false},
		{"force-leave", true, true, false}, {"join", true, true, true}, {"members", true, false, true},
		{"members-filtered", true, true, true}, {"stream", true, true, false}, {"monitor", true, true, false},
		{"stop", true, true, false}, {"leave", true, false, false}, {"tags", true, true, false},
		{"query", true, true, false}, {"respond", true, true, false}, {"install-key", true, true, true},
		{"use-key", true, true, true}, {"remove-key", true, true, true}, {"list-keys", true, false, true},
		{"stats", true, false, true}, {"get-coordinate", true, true, true},
		{"", false, false, false}, {"Event", false, false, false},
	} {
		if tt.cmd.Known() != tt.known || tt.cmd.HasRequest() != tt.request || tt.cmd.HasResponse() != tt.response {
			t.Errorf("%q: %v %v %v", tt.cmd, tt.cmd.Known(), tt.cmd.HasRequest(), tt.cmd.HasResponse())
		}
	}
	if len(commands) != 20 {
		t.Errorf("%d commands", len(commands))
	}
}
