package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/agent/api"
	"agentctl/handler"
)

func outcomes(states ...string) map[string]api.OutcomeReport {
	out := map[string]api.OutcomeReport{}
	for i, s := range states {
		out[fmt.Sprintf("t%d", i+1)] = api.OutcomeReport{State: api.OutcomeState(s)}
	}
	return out
}

func TestEventTable(t *testing.T) {
	t.Parallel()
	at := longAgo()
	var out strings.Builder
	p := newEventPrinter(&out, false)
	err := p.print(
		api.EventReport{ID: "1-a", Time: at, Type: handler.User, Name: "kong", Size: 3, Payload: "ü\n!", Targets: outcomes("delivered", "delivered")},
		api.EventReport{ID: "2-b", Time: at, Type: handler.MemberJoin, Size: 12345, Payload: strings.Repeat("é", 40), Targets: outcomes("waiting", "buried", "waiting")},
	)
	if err != nil {
		t.Fatal(err)
	}
	// Rows that come later keep to the columns.
	if err := p.print(api.EventReport{ID: "3-c", Time: at, Type: handler.User, Name: "a b\x1b[m", PayloadBase64: []byte{0xff}, Size: 1}); err != nil {
		t.Fatal(err)
	}
	shown := timestamp(at) // as long as the zone of this machine wants it
	want := strings.NewReplacer("NOW", shown, "TIME", fmt.Sprintf("%-*s", len(shown), "TIME")).Replace(
		`TIME  ID   EVENT         SIZE  TARGETS                    PAYLOAD
NOW  1-a  user:kong        3  delivered                  "ü\n!"
NOW  2-b  member-join  12345  buried(t2),waiting(t1,t3)  éééééééééééééééééééééééééééééé…
NOW  3-c  "user:a b\x1b[m"      1  -                          "\xff"
`)
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
}

func TestTextOfStrangers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text string
		most int
		want string
	}{
		{"plain", 10, "plain"},
		{"", 10, ""},
		{"0123456789", 10, "0123456789"},
		{"0123456789a", 10, "0123456789…"},
		{"ééé", 3, "é…"},
		{"ééé", 1, "…"},
		{"\x1b[2J", 10, `"\x1b[2J"`},
		{"a\u202eb", 10, `"a\u202eb"`}, // turns the direction of writing
		{"a\xffb", 10, `"a\xffb"`},
		{"tab\tnewline\n", 20, `"tab\tnewline\n"`},
	} {
		if got := printable([]byte(test.text), test.most); got != test.want {
			t.Errorf("printable(%q, %d) = %s, want %s", test.text, test.most, got, test.want)
		}
	}
	for name, want := range map[string]string{"": `""`, "a": "a", "a b": `"a b"`, `"`: `"\""`, "\a": `"\a"`} {
		if got := word(name); got != want {
			t.Errorf("word(%q) = %s, want %s", name, got, want)
		}
	}
	if got, want := escapedLines([]byte("a\n\tb\x1b[m\u202e\xffé'\u0085")), "a\n\tb\\x1b[m\\u202e\\xffé'\\u0085"; got != want {
		t.Errorf("escapedLines: %q, want %q", got, want)
	}
}

func TestBriefDurations(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0ms", 0: "0ms", 999 * time.Millisecond: "999ms", 59*time.Second + 999*time.Millisecond: "59s",
		time.Minute: "1m00s", 59*time.Minute + 59*time.Second: "59m59s", 47*time.Hour + 5*time.Minute: "47h05m", 49 * time.Hour: "2d",
	} {
		if got := brief(d); got != want {
			t.Errorf("brief(%v) = %s, want %s", d, got, want)
		}
	}
	if got := age(time.Time{}, longAgo()); got != "-" {
		t.Errorf("no time: %s", got)
	}
}
