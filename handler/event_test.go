package handler

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"agentctl/scripts/testkit"
)

func TestNewUserID(t *testing.T) {
	now := time.Now()
	got := NewUser(42, "kong", []byte(`{"type":"X"}`), now)
	sum := sha256.Sum256([]byte("kong\x00" + `{"type":"X"}`))
	want := Event{
		ID: fmt.Sprintf("42-%x", sum[:8]), Type: User, Name: "kong", LTime: 42,
		Payload: []byte(`{"type":"X"}`), Time: now,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The known hash of "a", 0, "b": a change of the rule splits a cluster of
	// two releases.
	if id := NewUser(7, "a", []byte("b"), now).ID; id != "7-59b271ae1bbcb1d3" {
		t.Errorf("ID %s", id)
	}
	for _, other := range []Event{
		NewUser(43, "kong", want.Payload, now),
		NewUser(42, "kong2", want.Payload, now),
		NewUser(42, "kong", []byte(`{"type":"Y"}`), now),
		NewQuery(42, "kong", want.Payload, now),
	} {
		if other.ID == got.ID {
			t.Errorf("%s %s %d has the ID of another event", other.Type, other.Name, other.LTime)
		}
	}
	if later := NewUser(42, "kong", want.Payload, now.Add(time.Hour)); later.ID != got.ID {
		t.Error("the ID depends on when an event was known")
	}
}

func TestMemberLine(t *testing.T) {
	tags := map[string]string{"role": "gw", "dc": "a\tb", "b": "x\ny"}
	got := string(MemberLine("n\t1\n", "10.0.0.1", "g\tw", tags))
	want := `n\t1\n` + "\t10.0.0.1\t" + `g\tw` + "\t" + `b=x\ny,dc=a\tb,role=gw` + "\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(MemberLine("n", "::1", "", nil)); got != "n\t::1\t\t\n" {
		t.Errorf("got %q", got)
	}
}

func TestUserBodyIsThePayload(t *testing.T) {
	for _, typ := range []Type{User, Query} {
		e := Event{Type: typ, Name: "kong", Payload: []byte(testkit.Strange)}
		if got := e.Body(); string(got) != testkit.Strange {
			t.Errorf("%s: got %q", typ, got)
		}
	}
}

// Kong's script pastes the lines into JSON raw, without their last newlines;
// its gateway reads name and address off each line. Ours must decode to that.
func TestMemberBodyIsWhatKongsScriptMeant(t *testing.T) {
	lines := append(MemberLine("gw-1_10.0.0.1:7946", "10.0.0.1", "", nil),
		MemberLine(`q"uo<te>&\`, "10.0.0.2", "proxy", map[string]string{"v": "1"})...)
	for typ := range map[Type]bool{MemberJoin: true, MemberLeave: true, MemberFailed: true, MemberUpdate: true, MemberReap: true} {
		e := NewMember(typ, "id", lines, time.Now())
		body := e.Body()
		if bytes.Contains(body, []byte(`\u003c`)) {
			t.Errorf("HTML escapes in %s", body)
		}
		want := map[string]string{
			"type":   string(typ),
			"entity": strings.TrimRight(string(lines), "\n"),
		}
		got := map[string]string{}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		var members []string
		for line := range strings.Lines(got["entity"]) {
			words := strings.Fields(line)
			members = append(members, words[0]+" "+words[1])
		}
		if diff := cmp.Diff([]string{"gw-1_10.0.0.1:7946 10.0.0.1", `q"uo<te>&\ 10.0.0.2`}, members); diff != "" {
			t.Error(diff)
		}
	}
	e := NewMember(MemberJoin, "id", []byte("n\t1.2.3.4\t\t\n"), time.Now())
	if got, want := string(e.Body()), `{"type":"member-join","entity":"n\t1.2.3.4\t\t"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func FuzzBody(f *testing.F) {
	f.Add("member-join", []byte("n\t10.0.0.1\tgw\tk=v\n"))
	f.Add("member-leave", []byte("a\xff\x00\t\t\t\n\n\n"))
	f.Add("user", []byte(testkit.Strange))
	f.Add("query", []byte{})
	f.Fuzz(func(t *testing.T, typ string, payload []byte) {
		e := Event{Type: Type(typ), Payload: payload}
		body := e.Body()
		if !e.Type.IsMember() {
			if !bytes.Equal(body, payload) {
				t.Fatalf("payload %q became %q", payload, body)
			}
			return
		}
		var got struct{ Type, Entity string }
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		if got.Type != typ {
			t.Fatalf("type %q became %q", typ, got.Type)
		}
		want := strings.TrimRight(string(payload), "\n")
		if utf8.ValidString(want) && got.Entity != want {
			t.Fatalf("entity %q became %q", want, got.Entity)
		}
	})
}
