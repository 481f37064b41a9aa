//go:build !windows

package commands

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"agentctl/agent/api"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

// clearing would clear a terminal and set its title, were it printed.
const clearing = "\x1b[2J\x1b]0;owned\x07web"

// topAgent is an agent's operations endpoint with three members and two events.
type topAgent struct {
	*httptest.Server
	mode atomic.Int32 // one of these
}

const (
	answers = iota
	fails
	hangs
)

func newTopAgent(t *testing.T) *topAgent {
	a := &topAgent{}
	a.Server = httptest.NewServer(a)
	t.Cleanup(func() {
		a.CloseClientConnections() // a stream has no end
		a.Close()
	})
	return a
}

func (a *topAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	if r.URL.Path == "/v1/events" {
		for _, id := range []string{"5-0f4b3224a0bfdf43", "6-59bd3a0c2ca29d4e"} {
			json.NewEncoder(w).Encode(api.FollowedEvent{EventReport: &api.EventReport{
				Seq: 5, ID: id, Time: now, Type: "user", Name: "kong", Size: 2, Payload: "{}",
				Targets: map[string]api.OutcomeReport{"kong": {State: api.OutcomeDelivered}},
			}})
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		return
	}
	switch a.mode.Load() {
	case fails:
		w.WriteHeader(http.StatusServiceUnavailable)
		json.NewEncoder(w).Encode(api.ErrorReport{Error: "too many requests " + clearing})
		return
	case hangs:
		<-r.Context().Done()
		return
	}
	own := func(t api.OwnTarget) *api.OwnStatus {
		return &api.OwnStatus{Version: "1.2.3", State: "alive", Members: map[string]int{"alive": 3}, Links: 2, Targets: []api.OwnTarget{t}}
	}
	json.NewEncoder(w).Encode(api.ClusterReport{Node: "web1", Time: now, Well: 1, NotWell: 2, Members: []api.MemberReport{
		{Node: "web1", Addr: "10.0.0.1:7946", Status: "alive", Answer: api.AnswerGiven, Says: own(api.OwnTarget{Target: "kong", State: api.TargetOK, P99: 0.002})},
		{Node: "web2", Addr: "10.0.0.2:7946", Status: "alive", Answer: api.AnswerGiven,
			Says:     own(api.OwnTarget{Target: "kong", State: api.TargetRetrying, Waiting: 3, OldestWaiting: now.Add(-90 * time.Second), LastError: "answered 500"}),
			Problems: []api.Problem{{Target: "kong", Text: "retrying: answered 500", Do: "agentctl replay -now -target=kong"}}},
		{Node: clearing, Addr: "10.0.0.3:7946", Status: "failed", Answer: api.AnswerFailed, Problems: []api.Problem{{Text: "serf takes it for failed", Do: "agentctl reachability", Here: true}}},
	}})
}

// pane is a terminal of tmux in which a shell has run a command.
type pane struct {
	t   *testing.T
	dir string
}

// newPane runs a command in a terminal of so many columns, and says its exit status behind it.
func newPane(t *testing.T, columns int, env, command string) *pane {
	p := &pane{t, t.TempDir()}
	t.Cleanup(func() { p.tmux("kill-server") })
	script := filepath.Join(p.dir, "script")
	text := "cd " + p.dir + "\nstty -g >before\necho what was there before\n" + env + " sh -c 'echo $$ >pid; exec " + command + "'\n" +
		"echo exit status $?\nstty -g >after\nexec sleep 600\n"
	if err := os.WriteFile(script, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	// The terminal's output is kept from the beginning: the pane begins with nothing.
	p.tmux("new-session", "-d", "-x", strconv.Itoa(columns), "-y", "24", "sleep 600")
	p.tmux("set-option", "remain-on-exit", "on")
	p.tmux("pipe-pane", "cat >"+filepath.Join(p.dir, "output"))
	p.tmux("respawn-pane", "-k", "sh "+script)
	return p
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-u", "-f", "/dev/null", "-S", filepath.Join(p.dir, "tmux")}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil && args[0] != "kill-server" {
		p.t.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
	return string(out)
}

func (p *pane) keys(keys ...string) { p.tmux(append([]string{"send-keys"}, keys...)...) }

// text is what the pane shows.
func (p *pane) text() string { return p.tmux("capture-pane", "-p") }

// await waits until the pane shows a match, and returns all that it shows.
func (p *pane) await(want string) (text string) {
	p.t.Helper()
	re := regexp.MustCompile(want)
	if !testkit.PollFor(testkit.Patience, func() bool { text = p.text(); return re.MatchString(text) }) {
		p.t.Fatalf("no %s in\n%s", want, text)
	}
	return text
}

// silent waits until nothing is said of an agent that does not answer.
func (p *pane) silent() {
	p.t.Helper()
	testkit.WaitFor(p.t, "no complaint", func() bool {
		text := p.text()
		return !strings.Contains(text, "not answered") && !strings.Contains(text, "cannot ask") && !strings.Contains(text, "missing")
	})
}

// file is what the script or tmux has written.
func (p *pane) file(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// ended checks that the terminal is as it was before.
func (p *pane) ended() {
	p.t.Helper()
	text := p.await(`exit status \d+`)
	if !strings.HasPrefix(text, "what was there before\nexit status 0\n") {
		p.t.Errorf("in the end the terminal shows\n%s", text)
	}
	testkit.WaitFor(p.t, "the terminal's settings", func() bool { _, err := os.Stat(filepath.Join(p.dir, "after")); return err == nil })
	testkit.WaitFor(p.t, "the terminal's settings as before", func() bool { return p.file("before") == p.file("after") })
	if got := p.tmux("display-message", "-p", "#{cursor_flag} #{wrap_flag} #{alternate_on}"); got != "1 1 0\n" {
		p.t.Errorf("in the end cursor, wrapping and other screen are %s", got)
	}
	if out := p.file("output"); strings.Contains(out, "owned\x07") || strings.Contains(out, "\x1b]") {
		p.t.Errorf("a name has come to the terminal as it is:\n%q", out)
	}
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*\\b(3[0-79]|4[0-79]|38|48|9[0-7])m")

// TestTopInATerminal runs "agentctl top" in a terminal, beside an agent that answers, fails
// and hangs.
func TestTopInATerminal(t *testing.T) {
	t.Parallel()
	needTmux(t)
	agent := newTopAgent(t)
	p := newPane(t, 80, "", "agentctl top -http-addr="+agent.Listener.Addr().String())
	text := p.await(`(?s)web2 .*6-59bd3a0c2ca29d4e|user:kong.*user:kong`)
	t.Logf("at 80 columns:\n%s", text)
	for _, want := range []string{
		`^3 members as web1 sees it: 1 well, 2 NOT WELL\n`, `\n  NODE  .* TARGETS  .* OLDEST `, `\n>!"\\x1b\[2J\\x1b\]0;o.*failed`,
		`\n !web2 .*1 retrying +3 +1m30s`, `\n  web1 .*1 ok .*2.0ms`, `run "agentctl\nreachability" on web1\n`, `\nq quit .*\? help\n$`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("at 80 columns no %s", want)
		}
	}
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}

	p.tmux("resize-window", "-x", "200", "-y", "30")
	text = p.await(`NODE +ADDRESS +VERSION +STATE +ITSELF +MEMBERS +LINKS +TARGETS +WAITING +OLDEST +LAST +RATE +P99 +LOST +FLUSHED`)
	t.Logf("at 200 columns:\n%s", text)
	if !strings.Contains(text, "10.0.0.2:7946") || strings.Count(text, "\n") != 30 || !strings.HasSuffix(text, "? help\n") {
		t.Error("it does not fill 200 columns")
	}
	p.tmux("resize-window", "-x", "80", "-y", "24")
	p.await(`^3 members.*\n.*\n\n  NODE +STATE`)

	p.keys("Down")
	p.await(`\n>!web2`)
	p.keys("Enter")
	p.await(`(?s)web2: target kong is retrying: answered 500; run "agentctl replay -now\n-target=kong" there\n.*ADDRESS    10.0.0.2:7946`)
	p.keys("Escape")
	p.await(`\n>!web2`)
	p.keys("?")
	p.await(`sort by the next column`)
	p.keys("Escape", "s")
	p.await(`NODE↓`)

	agent.mode.Store(fails)
	p.await(`cannot ask how the cluster is: "too many requests \\x1b\[2J`)
	agent.mode.Store(answers)
	p.silent()
	agent.mode.Store(hangs)
	p.await(`the agent has not answered for \d+s`)
	p.keys("t")
	p.await(`NODE +TARGET`)
	agent.mode.Store(answers)
	agent.CloseClientConnections()
	p.silent()

	p.keys("q")
	p.ended()
	if !colours.MatchString(p.file("output")) {
		t.Error("it has no colours")
	}
}

// TestTopWithoutColour: with NO_COLOR there is none. A signal to end leaves the terminal as
// it was, too.
func TestTopWithoutColour(t *testing.T) {
	t.Parallel()
	needTmux(t)
	agent := newTopAgent(t)
	p := newPane(t, 80, "NO_COLOR=1", "agentctl top -http-addr="+agent.Listener.Addr().String())
	p.await(`\n !web2 `)
	pid, err := strconv.Atoi(strings.TrimSpace(p.file("pid")))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.ended()
	if c := colours.FindString(p.file("output")); c != "" {
		t.Errorf("there is a colour: %q", c)
	}
}

// TestTopWithoutATerminal: it prints the table once if input or output is no terminal, or a
// dumb one.
func TestTopWithoutATerminal(t *testing.T) {
	t.Parallel()
	agent := newTopAgent(t)
	addr := "-http-addr=" + agent.Listener.Addr().String()
	if out, want := proc.Output(t, "agentctl", "top", addr), proc.Output(t, "agentctl", "status", "-cluster", addr); out != want || !strings.HasPrefix(out, "cluster  3 members as web1") {
		t.Errorf("top prints\n%s\nstatus -cluster\n%s", out, want)
	}
	if out := proc.Output(t, "agentctl", "top", "-format=json", addr); !json.Valid([]byte(out)) || !strings.Contains(out, `"node":"web1"`) {
		t.Errorf("as JSON it prints\n%s", out)
	}
	needTmux(t)
	for env, redirected := range map[string]string{"TERM=dumb": "", "A=input": "</dev/null", "A=output": "| cat"} {
		p := newPane(t, 200, env, "agentctl top "+addr+redirected)
		p.await(`(?s)cluster  3 members as web1.*exit status 0`)
		if out := p.file("output"); strings.Contains(out, "\x1b") {
			t.Errorf("with %s %s the terminal gets %q", env, redirected, out)
		}
	}
}

func needTmux(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		testkit.NotRun(t, "it needs tmux: %v", err)
	}
}
