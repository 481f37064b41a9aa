package compat

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// inNamespace runs a command with a folder in the place of /run, for itself alone.
// Programs look for the system's log at /dev/log, which systemd makes a link to below
// /run, and then at /var/run/log.
const inNamespace = `mount --bind "$1" /run && shift && exec "$@"`

// syslogOf starts an agent that logs to syslog, ends it once it has logged the last
// lines, and returns what syslog got: "<PRIORITY> TAG: TEXT" each.
func syslogOf(t *testing.T, last []string, program ...string) []string {
	t.Helper()
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "log")})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var mu sync.Mutex
	var got []string
	form := regexp.MustCompile(`^<(\d+)>\w+ +\d+ \d\d:\d\d:\d\d (\w+)\[\d+\]: (.*)\n$`)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := socket.Read(buf)
			if err != nil {
				return // closed
			}
			mu.Lock()
			got = append(got, form.ReplaceAllString(string(buf[:n]), "<$1> $2: $3"))
			mu.Unlock()
		}
	}()
	seen := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
	conf := filepath.Join(dir, "conf.json")
	testkit.WriteTo(t, conf, `{"syslog_facility":"LOCAL3"}`)
	rpc := loopback.Addr()
	args := slices.Concat([]string{"--mount", "--kill-child", "sh", "-c", inNamespace, "sh", dir}, program,
		[]string{"agent", "-node=n", "-bind=" + loopback.Addr(), "-rpc-addr=" + rpc, proc.Profile, "-syslog", "-config-file=" + conf,
			"-event-handler=user:fails=cat; exit 3"})
	p, err := proc.Start(dir, "agent", os.Environ(), "unshare", args...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if err := (&proc.Node{Process: p, RPC: rpc}).Answers(); err != nil {
		t.Fatalf("%v: it printed:\n%s", err, p.Printed())
	}
	out, err := exec.Command(program[0], slices.Concat(program[1:], []string{"event", "-rpc-addr=" + rpc, "-coalesce=false", "fails"})...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, last := range last {
		testkit.WaitFor(t, "syslog to have "+last, func() bool {
			return slices.ContainsFunc(seen(), func(line string) bool { return strings.Contains(line, last) })
		})
	}
	return seen()
}

// TestSyslog compares what syslog gets of the agent, called as serf, with what it gets
// of stock serf: tag, facility, severity and form. As agentctl the form is our own.
func TestSyslog(t *testing.T) {
	if out, err := exec.Command("unshare", "--mount", "--", "true").CombinedOutput(); err != nil {
		testkit.NotRun(t, "it needs root that may make namespaces of mounts: %v: %s", err, out)
	}
	ours, err := exec.LookPath("agentctl")
	if err != nil {
		t.Fatal(err)
	}
	const failed = "Error invoking script 'cat; exit 3': exit status 3"
	normal := func(lines []string) []string {
		var same []string
		for _, line := range lines {
			if regexp.MustCompile(`: agent: (the journal is in memory|agent is running: |events are handled by a script: )`).MatchString(line) {
				continue // stock has no such lines, as TestLogOfALife says
			}
			line = regexp.MustCompile(`client: \S+`).ReplaceAllString(line, "client: ADDR")
			same = append(same, regexp.MustCompile(`127(\.\d+){3}`).ReplaceAllString(line, "IP"))
		}
		slices.Sort(same) // serf and its agent write at the same time
		return same
	}
	last := []string{failed, "Received event: member-join"}
	their := normal(syslogOf(t, last, stock.Serf(t, stock.V011)))
	our := normal(syslogOf(t, last, ours, "serf"))
	if diff := cmp.Diff(their, our); diff != "" {
		t.Errorf("syslog gets (-stock +ours):\n%s", diff)
	}
	// LOCAL3 is 19, NOTICE is 5, ERR is 3.
	for _, want := range []string{"<157> serf: agent: Serf agent starting", "<155> serf: agent: " + failed} {
		if !slices.Contains(our, want) {
			t.Errorf("syslog lacks %q: it has %q", want, our)
		}
	}
	all := syslogOf(t, []string{"event handler failed"}, ours)
	if want := `<155> agentctl: [ERR] event handler failed: script="cat; exit 3" event="user-event: fails" error="exit status 3"`; !slices.Contains(all, want) {
		t.Errorf("as agentctl, syslog lacks %q: it has %q", want, all)
	}
}
