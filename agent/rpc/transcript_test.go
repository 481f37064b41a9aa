package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"

	"agentctl/rpcclient/wire"
	"agentctl/rpcclient/wire/wiretest"
)

// What is not as in the transcripts of stock serf, on purpose: by file, the
// agent's values from the first that differs.
var differences = map[string]struct {
	from int // among the agent's values
	want []any
}{
	// One request has one answer.
	"auth-missing-twice.txt": {2, nil},
	// A bad expression is answered, and does not end the connection.
	"members-filtered-bad.txt": {1, []any{
		wire.ResponseHeader{Seq: 2, Error: "Failed to compile regex: error parsing regexp: missing closing ]: `[$`"},
		wire.MembersResponse{},
	}},
}

// TestTranscripts replays recorded conversations of a stock client with a stock
// agent: where the agent behind it answers as it did then, the server sends the
// same bytes.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("../../testdata/rpc/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := wiretest.Load(file)
			if err != nil {
				t.Fatal(err)
			}
			if d, ok := differences[filepath.Base(file)]; ok {
				script.Values = amend(script.Values, d.from, d.want)
			}
			replay(t, script)
		})
	}
}

// amend replaces the agent's values from the nth on.
func amend(values []wiretest.Value, n int, want []any) (out []wiretest.Value) {
	for _, v := range values {
		if v.FromClient || n > 0 {
			out = append(out, v)
		}
		if !v.FromClient {
			n--
		}
	}
	for _, v := range want {
		out = append(out, wiretest.Value{Data: mustEncode(v)})
	}
	return out
}

// anyValue has the fields of every header and body that a replay looks at.
type anyValue struct {
	Command wire.Command
	Seq     uint64
	Error   string
	Stop    uint64
	Log     string
	Type    string
	wire.StreamRecord
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := wire.NewReader(bytes.NewReader(data), wire.DefaultLimits).Read(v); err != nil {
		t.Fatalf("%x: %v", data, err)
	}
}

func replay(t *testing.T, script wiretest.Transcript) {
	values := make([]anyValue, len(script.Values)+1) // with one that is empty at the end
	for i, v := range script.Values {
		decode(t, v.Data, &values[i])
	}
	a := newReplayAgent(t)
	_, dial := loopback(t, a, Config{AuthKey: script.Facts["auth-key"]})
	c := newClient(t, dial())
	stopped := make(map[uint64]bool)
	for i := 0; i < len(script.Values); i++ {
		v, next := script.Values[i], values[i+1]
		switch {
		case v.FromClient:
			if cmd := values[i].Command; cmd != "" {
				a.expect(t, script.Values[i+1:], values[i])
				if cmd == wire.Stop {
					stopped[next.Stop] = true
				}
			}
			if _, err := c.conn.Write(v.Data); err != nil {
				t.Fatal(err)
			}
			continue
		case next.Event == "" && next.Log == "": // anything but the header of a stream's record
		case stopped[values[i].Seq]:
			i++ // stock agents send what is queued even after a stop
			continue
		default:
			a.happen(t, next)
		}
		if err := c.r.Read(nil); err != nil {
			t.Fatalf("line %d, in place of %s: %v", v.Line, wiretest.Render(v.Data), err)
		}
		got := c.r.Value()
		if values[i].Type == wire.QueryAck && bytes.Equal(got, script.Values[i+2].Data) {
			script.Values[i+2] = v // the response came before the ack: packets have no order
			values[i], values[i+2] = values[i+2], values[i]
			continue
		}
		if !bytes.Equal(got, v.Data) &&
			(len(got) != len(v.Data) || wiretest.Render(got) != wiretest.Render(v.Data)) { // maps have no order
			t.Fatalf("line %d:\nstock %s\nours  %s\nstock %x\nours  %x",
				v.Line, wiretest.Render(v.Data), wiretest.Render(got), v.Data, got)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) > 0 {
		t.Errorf("%d calls of the agent were not made", len(a.answers))
	}
}

// replayAgent answers as the agent in the transcript did. Queries run on a real
// node, since nothing else can make them.
type replayAgent struct {
	fakeAgent
	node    *serfAgent
	forward atomic.Bool // queries go to the streams; else the node itself responds

	mu      sync.Mutex
	answers []expected // to the calls to come
}

type expected struct {
	cmd  wire.Command
	err  error
	body []byte
}

func newReplayAgent(t *testing.T) *replayAgent {
	a := &replayAgent{node: newSerfAgent(t, "node1", nil)}
	t.Cleanup(a.node.SubscribeEvents(func(e serf.Event) {
		if q, ok := e.(*serf.Query); ok && a.forward.Load() {
			a.emit(q)
		} else if ok {
			if err := q.Respond([]byte("1.02")); err != nil {
				t.Error(err)
			}
		}
	}))
	a.fakeAgent.query = func(name string, payload []byte, p *serf.QueryParam) (*serf.QueryResponse, error) {
		p.Timeout = max(p.Timeout, 2*time.Second) // the transcript's may be too short for a busy machine
		return a.node.Query(name, payload, p)
	}
	a.fakeAgent.publish = func(context.Context, string, []byte, bool) error { return a.next(wire.Event, nil) }
	a.fakeAgent.forceLeave = func(string, bool) error { return a.next(wire.ForceLeave, nil) }
	a.fakeAgent.updateTags = func(map[string]string, []string) error { return a.next(wire.Tags, nil) }
	a.fakeAgent.leave = func() error { return a.next(wire.Leave, nil) }
	a.fakeAgent.shutdown = func() {}
	a.fakeAgent.join = func([]string, bool) (int, error) {
		var r wire.JoinResponse
		err := a.next(wire.Join, &r)
		return int(r.Num), err
	}
	a.fakeAgent.key = func(verb, _ string) (*serf.KeyResponse, error) {
		cmd := wire.Command(verb + "-key")
		if verb == "list" {
			cmd = wire.ListKeys
		}
		var r wire.KeyResponse
		err := a.next(cmd, &r)
		return &serf.KeyResponse{
			Messages: r.Messages, Keys: r.Keys, NumNodes: r.NumNodes, NumErr: r.NumErr, NumResp: r.NumResp,
		}, err
	}
	return a
}

func (a *replayAgent) Stats() (stats map[string]map[string]string) {
	a.next(wire.Stats, &stats)
	return stats
}

func (a *replayAgent) Coordinate(string) (*coordinate.Coordinate, bool) {
	var r wire.CoordinateResponse
	a.next(wire.GetCoordinate, &r)
	return &coordinate.Coordinate{
		Vec: r.Coord.Vec, Error: r.Coord.Error, Adjustment: r.Coord.Adjustment, Height: r.Coord.Height,
	}, r.Ok
}

// expect notes what the agent answered to the request with this header.
func (a *replayAgent) expect(t *testing.T, rest []wiretest.Value, header anyValue) {
	switch header.Command {
	case wire.Event, wire.ForceLeave, wire.Join, wire.Members, wire.MembersFiltered, wire.Tags, wire.Leave, wire.Stats,
		wire.InstallKey, wire.UseKey, wire.RemoveKey, wire.ListKeys, wire.GetCoordinate:
	default:
		return
	}
	for i, v := range rest {
		var h anyValue
		if decode(t, v.Data, &h); v.FromClient || h.Seq != header.Seq {
			continue
		}
		if h.Error == wire.ErrAuthRequired || h.Error == wire.ErrHandshakeRequired {
			return
		}
		x := expected{cmd: header.Command}
		if h.Error != "" {
			x.err = errors.New(h.Error)
		}
		if x.cmd.HasResponse() {
			x.body = rest[i+1].Data
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if x.cmd != wire.Members && x.cmd != wire.MembersFiltered {
			a.answers = append(a.answers, x)
			return
		}
		var r wire.MembersResponse
		decode(t, x.body, &r)
		if len(r.Members) > 0 { // else the filter has to keep those of the last answer out
			a.fakeAgent.members = serfMembers(r.Members)
		}
		return
	}
}

// next takes the answer to a call, and decodes its body.
func (a *replayAgent) next(cmd wire.Command, body any) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.answers) == 0 || a.answers[0].cmd != cmd {
		return fmt.Errorf("a call of %s is not in the transcript", cmd)
	}
	x := a.answers[0]
	a.answers = a.answers[1:]
	if body != nil {
		if err := wire.NewReader(bytes.NewReader(x.body), wire.DefaultLimits).Read(body); err != nil {
			return err
		}
	}
	return x.err
}

// happen makes what a stream's record tells of happen.
func (a *replayAgent) happen(t *testing.T, r anyValue) {
	switch {
	case r.Log != "":
		a.log(r.Log)
	case r.Event == "user":
		a.emit(serf.UserEvent{LTime: serf.LamportTime(r.LTime), Name: r.Name, Payload: r.Payload, Coalesce: r.Coalesce})
	case r.Event == "query":
		a.forward.Store(true)
		if _, err := a.node.Query(r.Name, r.Payload, nil); err != nil {
			t.Error(err)
		}
	case r.Event == "member-update":
		a.emit(serf.MemberEvent{Type: serf.EventMemberUpdate, Members: serfMembers(r.Members)})
	default:
		t.Fatalf("do not know how to make %+v happen", r)
	}
}

func serfMembers(members []wire.Member) (out []serf.Member) {
	statuses := []serf.MemberStatus{serf.StatusAlive, serf.StatusLeaving, serf.StatusLeft, serf.StatusFailed}
	for _, m := range members {
		i := slices.IndexFunc(statuses, func(s serf.MemberStatus) bool { return s.String() == m.Status })
		out = append(out, serf.Member{
			Name: m.Name, Addr: m.Addr, Port: m.Port, Tags: m.Tags, Status: statuses[i],
			ProtocolMin: m.ProtocolMin, ProtocolMax: m.ProtocolMax, ProtocolCur: m.ProtocolCur,
			DelegateMin: m.DelegateMin, DelegateMax: m.DelegateMax, DelegateCur: m.DelegateCur,
		})
	}
	return out
}
