//go:build linux

package attack

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/serfnode"
)

// hostile is a text that colours a terminal, forges a row and a column, and turns the
// direction of writing round.
const hostile = "evil\x1b[31m\nforged  row | alive\r\u202e\u009b7m\x7f\U000e0041"

// hostileNode is a member whose name, tags, answers and events are hostile.
func hostileNode(t *testing.T, key []byte) (*serfnode.Node, chan serf.Event) {
	t.Helper()
	events := make(chan serf.Event, 1024)
	port, err := strconv.Atoi(loopback.Port())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := memberlist.NewKeyring(nil, key)
	if err != nil {
		t.Fatal(err)
	}
	return serfnode.New(t, nil, hostile, func(c *serf.Config) {
		ml := memberlist.DefaultLANConfig()
		ml.BindAddr, ml.BindPort, ml.LogOutput, ml.Logger, ml.Keyring = "127.0.0.1", port, nil, c.Logger, ring
		c.MemberlistConfig, c.EventCh = ml, events
		c.Tags = map[string]string{"t": hostile, hostile: "x"}
	}), events
}

// TestTerminals runs every command that prints, as agentctl, in a cluster with a hostile
// member and a hostile gateway. Nothing that reaches a terminal makes it act, and no line
// is the member's own.
func TestTerminals(t *testing.T) {
	const key = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
	raw := []byte("\x4f\xd8\xe7\x72\x09\x7d\x99\xb2\xee\xb3\xe6\xda\x4d\x36\xbb\xab\xb9\xcf\x49\x4a\xd7\xc1\xb0\xe2\xd9\xd8\x5b\xb6\xa8\xab\xdf\xbb")
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, hostile)
	}))
	t.Cleanup(gateway.Close)
	dir := filepath.Join(t.TempDir(), "data")
	v := proc.NewAgent(t, "victim", "-encrypt="+key, "-data-dir="+dir, "-event-handler=user="+gateway.URL)
	evil, events := hostileNode(t, raw)
	go func() {
		for {
			select {
			case <-t.Context().Done():
				return
			case e := <-events:
				if q, ok := e.(*serf.Query); ok {
					_ = q.Respond([]byte(hostile + "\n"))
				}
			}
		}
	}()
	if _, err := evil.Join([]string{v.Gossip}, false); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "the hostile member", func() bool { return proc.Alive(t, v) == 2 })
	if err := evil.UserEvent(hostile, []byte(hostile), false); err != nil {
		t.Fatal(err)
	}
	testkit.WaitFor(t, "the refused event", func() bool { return proc.StatusOf(t, v).Buried == 1 })
	_, history := proc.Get(t, v, "/v1/events")
	id := regexp.MustCompile(`"id":"([0-9]+-[0-9a-f]+)"`).FindStringSubmatch(history)
	if id == nil {
		t.Fatalf("no event in %s", history)
	}
	closed := "127.0.0.1:" + loopback.Port()

	lines := map[string][][]string{
		"check":        {{"-data-dir=" + dir}},
		"completion":   {{"bash"}, {"-values=targets"}, {"-values=events"}},
		"event":        {{hostile, hostile}, {"-wait=2s", "e" + hostile, hostile}, {"-durable=3", "-wait=1s", "e", "x"}, {"-dry-run", hostile}},
		"events":       {{}, {"-format=json"}, {"show", id[1]}, {"show", "-format=json", id[1]}, {"show", "-nodes", id[1]}, {"show", "-nodes", "-format=json", id[1]}, {"dismiss", "-all", "-target=" + gateway.URL + "#user"}},
		"force-leave":  {{hostile + "x"}},
		"handler":      {{"-gateway=" + gateway.URL}},
		"health":       {{}, {"-format=json"}, {"-targets"}},
		"info":         {{}, {"-format=json"}},
		"join":         {{closed}},
		"keys":         {{"-list"}, {"-install=short"}, {"-use=" + strings.Replace(key, "T", "U", 1)}},
		"members":      {{}, {"-detailed"}, {"-format=json"}, {"-name=("}},
		"monitor":      {{"-log-level=debug"}},
		"query":        {{"load", "x"}, {"-format=json", "load"}, {"-timeout=1s", "-node=" + hostile, hostile, hostile}},
		"reachability": {{"-verbose"}},
		"replay":       {{"-target=" + gateway.URL + "#user", "-buried"}, {"-target=" + hostile, "-buried"}},
		"rtt":          {{hostile}, {hostile + "x"}},
		"status":       {{}, {"-format=json"}, {"-check"}, {"-cluster"}, {"-cluster", "-format=json"}},
		"tags":         {{"-set", "x=" + hostile}},
		"top":          {{}, {"-format=json"}},
		"version":      {{}},
		"leave":        {{}}, // below, as it ends the agent
	}
	other := map[string]string{
		"agent":       "its log is that of the victim, which is looked at below",
		"dev":         "its cluster is its own; a test of package main looks at its lines",
		"dev-gateway": "it prints what one on this host posts to it; a test of package main looks at its lines",
		"keygen":      "it asks nobody",
		"man":         "it asks nobody",
	}
	help, err := exec.Command("agentctl", "-help").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^  ([a-z-]+) +[A-Z]`).FindAllStringSubmatch(string(help), -1)
	if len(all) < 20 {
		t.Fatalf("%d commands in %s", len(all), help)
	}
	names := []string{}
	for _, m := range all {
		if m[1] != "leave" {
			names = append(names, m[1])
		}
	}
	for _, name := range append(names, "leave") {
		if len(lines[name]) == 0 && other[name] == "" {
			t.Errorf("%s is not looked at: give it a command line here, or a reason", name)
		}
		for _, args := range lines[name] {
			out := shown(t, v, name, args)
			t.Logf("%s %q:\n%s", name, args, out)
			checkShown(t, name+" "+strings.Join(args, " "), out)
		}
	}
	checkShown(t, "the agent's log", v.Printed())
}

// shown is what a command prints, on both outputs. One that does not end by itself is
// interrupted.
func shown(t *testing.T, v *proc.Node, name string, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "agentctl", append([]string{name}, args...)...)
	cmd.Env = append(os.Environ(), "AGENTCTL_RPC_ADDR="+v.RPC, "AGENTCTL_HTTP_ADDR="+v.HTTP,
		"SERF_EVENT=user", "SERF_USER_EVENT="+strings.ReplaceAll(hostile, "\x00", ""), "SERF_USER_LTIME=7")
	cmd.Stdin = strings.NewReader(hostile)
	out := new(testkit.LogBuffer)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if name == "monitor" {
		testkit.WaitFor(t, "the log", func() bool { return out.Count("evil") > 0 })
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
	_ = cmd.Wait() // whether it succeeds is not the question
	return out.String()
}

// checkShown looks for characters that a terminal acts on, and for forged lines.
func checkShown(t *testing.T, what, out string) {
	t.Helper()
	if out == "" && !strings.HasPrefix(what, "force-leave") { // which says nothing if it went well
		t.Errorf("%q printed nothing", what)
	}
	for i, r := range out {
		if r == utf8.RuneError || r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			t.Errorf("%q printed %q: %q", what, r, out[max(0, i-80):min(len(out), i+20)])
			break
		}
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "forged") {
			t.Errorf("%q has a forged line: %q", what, line)
		}
	}
}
