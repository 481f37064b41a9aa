package rpc

import (
	"bytes"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"agentctl/rpcclient/wire"
	"agentctl/rpcclient/wire/wiretest"

	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"
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
func amend(values []wiretest.Value, n int, want []any) []wiretest.Value {
	values = slices.DeleteFunc(values, func(v wiretest.Value) bool { n--; n += btoi(v.FromClient); return n < 0 && !v.FromClient })
	for _, v := range want {
		values = append(values, wiretest.Value{Data: mustEncode(v)})
	}
	return values
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// anyValue is the fields of every header and body that a replay looks at.
type anyValue struct {
	Command wire.Command
	Seq     uint64
	Error   string
	Stop    uint64
	Log     string
	wire.StreamRecord
}

func decode(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := wire.NewReader(bytes.NewReader(data), wire.DefaultLimits).Read(v); err != nil {
		t.Fatalf("%x: %v", data, err)
	}
}

func replay(t *testing.T, script wiretest.Transcript) {
	a := newReplayAgent(t)
	_, dial := loopback(t, a, Config{AuthKey: script.Facts["auth-key"]})
	c := newClient(t, dial())
	stopped := make(map[uint64]bool)
	var body bool // the next client's value is one, of a stop
	for i := 0; i < len(script.Values); i++ {
		v := script.Values[i]
		var val anyValue
		decode(t, v.Data, &val)
		var next anyValue
		if i+1 < len(script.Values) && script.Values[i+1].FromClient == v.FromClient {
			decode(t, script.Values[i+1].Data, &next)
		}
		if v.FromClient {
			if val.Command != "" {
				a.expect(t, val.Command, val.Seq, script.Values[i+1:])
			}
			if body {
				stopped[val.Stop] = true
			}
			body = val.Command == wire.Stop
			if _, err := c.conn.Write(v.Data); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if next.Event != "" || next.Log != "" { // v is the header of a stream's record
			if stopped[val.Seq] {
				i++ // stock agents send what is queued even after a stop
				continue
			}
			a.happen(t, next)
		}
		var got raw
		if err := c.r.Read(&got); err != nil {
			t.Fatalf("line %d, in place of %s: %v", v.Line, wiretest.Render(v.Data), err)
		}
		same := bytes.Equal(got, v.Data) ||
			len(got) == len(v.Data) && wiretest.Render(got) == wiretest.Render(v.Data) // maps have no order
		if !same {
			t.Fatalf("line %d:\nstock %s\nours  %s\nstock %x\nours  %x", v.Line, wiretest.Render(v.Data), wiretest.Render(got), v.Data, got)
		}
	}
	if len(a.answers) > 0 {
		t.Errorf("%d calls of the agent were not made", len(a.answers))
	}
}

// replayAgent answers as the transcript says. Queries run on a real node, since
// nothing else can make them.
type replayAgent struct {
	fakeAgent
	node    *serfAgent
	mu      sync.Mutex
	answers []expected
}

type expected struct {
	cmd  wire.Command
	err  error
	body []byte
}

func newReplayAgent(t *testing.T) *replayAgent {
	a := &replayAgent{node: newSerfAgent(t, "node1", nil)}
	t.Cleanup(a.node.SubscribeEvents(func(e serf.Event) {
		q, ok := e.(*serf.Query)
		if !ok {
			return
		}
		if len(a.fakeAgent.events) > 0 && string(q.Payload) == "now" && a.streaming() {
			a.emit(q)
		} else if err := q.Respond([]byte("1.02")); err != nil {
			t.Error(err)
		}
	}))
	return a
}
