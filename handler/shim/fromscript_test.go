package shim

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentctl/handler"
	"agentctl/scripts/testkit"
)

var someTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestFromScript(t *testing.T) {
	lines := "n1\t10.0.0.1\tgw\tk=v\nn2\t10.0.0.2\t\t\n"
	for name, c := range map[string]struct {
		environ []string
		stdin   string
		want    handler.Event
	}{
		"user": {
			[]string{"PATH=/bin", "SERF_EVENT=user", "SERF_USER_EVENT=kong", "SERF_USER_LTIME=12", "SERF_TAG_X=SERF_EVENT=query"},
			`{"type":"X"}` + "\n", handler.NewUser(12, "kong", []byte(`{"type":"X"}`), someTime),
		},
		"user, strange payload": {
			[]string{"SERF_EVENT=user", "SERF_USER_EVENT=a=b c", "SERF_USER_LTIME=0"},
			testkit.Strange, handler.NewUser(0, "a=b c", []byte(testkit.Strange[:len(testkit.Strange)-1]), someTime),
		},
		"user, no payload": {
			[]string{"SERF_EVENT=user", "SERF_USER_EVENT=kong", "SERF_USER_LTIME=18446744073709551615"},
			"", handler.NewUser(1<<64-1, "kong", []byte{}, someTime),
		},
		"query": {
			[]string{"SERF_EVENT=query", "SERF_QUERY_NAME=q", "SERF_QUERY_LTIME=3", "SERF_USER_EVENT=no", "SERF_USER_LTIME=no"},
			"p", handler.NewQuery(3, "q", []byte("p"), someTime),
		},
		"member": {
			[]string{"SERF_EVENT=user", "SERF_EVENT=member-join"},
			lines, handler.NewMember(handler.MemberJoin, "member-join-"+handler.ShortSum(handler.Sum("member-join", []byte(lines))), []byte(lines), someTime),
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromScript(c.environ, iotest.OneByteReader(strings.NewReader(c.stdin)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(handler.Event{}, "Time"), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			if got.Time.IsZero() {
				t.Error("no time")
			}
		})
	}
}

func TestFromScriptErrors(t *testing.T) {
	broken := errors.New("broken pipe")
	for name, c := range map[string]struct {
		environ []string
		stdin   io.Reader
		want    string
	}{
		"no serf":   {[]string{"PATH=/bin"}, nil, "SERF_EVENT is not set"},
		"no type":   {[]string{"SERF_EVENT=memb\ner"}, nil, `memb\ner`},
		"any type":  {[]string{"SERF_EVENT=*"}, nil, `"*"`},
		"no ltime":  {[]string{"SERF_EVENT=user", "SERF_USER_EVENT=kong"}, nil, "SERF_USER_LTIME"},
		"bad ltime": {[]string{"SERF_EVENT=query", "SERF_QUERY_NAME=q", "SERF_QUERY_LTIME=-1"}, nil, `SERF_QUERY_LTIME is "-1"`},
		"too large": {[]string{"SERF_EVENT=member-join"}, bytes.NewReader(make([]byte, maxInput+1)), "1048576 bytes"},
		"read":      {[]string{"SERF_EVENT=member-join"}, iotest.ErrReader(broken), "broken pipe"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := FromScript(c.environ, c.stdin)
			if _, ok := errors.AsType[*scriptError](err); !ok {
				t.Fatalf("got %v", err)
			}
			for _, text := range []string{c.want, "serf event handler", "-event-handler"} {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is not one line", err)
			}
			if name == "read" && !errors.Is(err, broken) {
				t.Error("the cause is lost")
			}
		})
	}
	input := bytes.Repeat([]byte("x"), maxInput)
	if e, err := FromScript([]string{"SERF_EVENT=member-join"}, bytes.NewReader(input)); err != nil || len(e.Payload) != maxInput {
		t.Errorf("at the limit: %v", err)
	}
}

func FuzzFromScript(f *testing.F) {
	f.Add("SERF_EVENT=user\x00SERF_USER_EVENT=kong\x00SERF_USER_LTIME=12", []byte("payload\n"))
	f.Add("SERF_EVENT=query\x00SERF_QUERY_NAME=q\x00SERF_QUERY_LTIME=1", []byte(testkit.Strange))
	f.Add("SERF_EVENT=member-reap", []byte("n\t::1\t\t\n"))
	f.Add("SERF_EVENT\x00=\x00==", []byte{})
	f.Fuzz(func(t *testing.T, environ string, stdin []byte) {
		e, err := FromScript(strings.Split(environ, "\x00"), bytes.NewReader(stdin))
		if err != nil {
			if _, ok := errors.AsType[*scriptError](err); !ok || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q", err)
			}
			return
		}
		if e.ID == "" || strings.ContainsFunc(e.ID, func(r rune) bool { return r <= ' ' || r > '~' || r == '%' }) {
			t.Fatalf("ID %q", e.ID)
		}
		want := stdin
		if !e.Type.IsMember() {
			want = bytes.TrimSuffix(stdin, []byte("\n"))
		}
		if !bytes.Equal(e.Payload, want) {
			t.Fatalf("payload %q of %q", e.Payload, stdin)
		}
		if again, _ := FromScript(strings.Split(environ, "\x00"), bytes.NewReader(stdin)); again.ID != e.ID {
			t.Fatalf("the ID of the same event is %q and %q", e.ID, again.ID)
		}
	})
}
