//go:build unix

package kong

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// mark is the file that a payload makes where it is run, in some folder.
const mark = "the-payload-ran"

// hostilePayloads would make a file of that path where a shell, Kong's own
// event script, or a program in between took them for more than data.
func hostilePayloads(file string) []string {
	return []string{
		"]=]..os.execute('touch " + file + "')..[=[",
		`"; touch ` + file + `; "`,
		`'; touch ` + file + `; '`,
		"$(touch " + file + ")",
		"`touch " + file + "`",
		"\ntouch " + file + "\n",
		"x\x00$(touch " + file + ")\x00",
		"| touch " + file + " #",
	}
}

// dullPayloads are those that get changed where bytes are not kept as they are.
var dullPayloads = []string{
	"it's",
	"",
	"\x00",
	"\x00\x00 and on",
	"\xff\xfe\xff",
	strings.Repeat("\xff", 512),
	strings.Repeat(`"`, 512), // all that Kong sends
	"two\nlines\n",
	"\n\n",
	" spaces\tand tabs ",
	"\r\n",
	"%s %d %!x(MISSING) \\ \\n {{.Payload}}",
	"-",
	"--coalesce",
}

// TestPayloads publishes payloads that would run as commands, or break, where
// they are pasted into a script, and has them posted in each way that there is.
func TestPayloads(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), mark)
	hostile := append(hostilePayloads(mark), hostilePayloads(elsewhere)...)
	checkHostile(t, hostilePayloads(mark))
	published := append(slices.Clone(dullPayloads), hostile...)

	gateways := map[string]*stub.Gateway{}
	newGatewayFor := func(way string) *stub.Gateway {
		gw, err := stub.NewGateway()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(gw.Close)
		gateways[way] = gw
		return gw
	}
	const script, url, ours, stocks = "the target in place of Kong's script", "a URL", "our handler under our agent", "our handler under stock serf"
	host, port, err := net.SplitHostPort(newGatewayFor(script).Addr)
	if err != nil {
		t.Fatal(err)
	}
	agent := proc.NewAgent(t, "ours",
		"-event-handler=user:kong="+writeKongScript(t, host, port),
		"-event-handler=user:kong="+newGatewayFor(url).URL(),
		"-event-handler=user:kong=agentctl handler -budget=60s -gateway="+newGatewayFor(ours).URL())
	serf := proc.NewStock(t, "stock", stock.V011, "-join="+agent.Gossip,
		"-event-handler=user:kong=agentctl handler -budget=60s -gateway="+newGatewayFor(stocks).URL())
	testkit.WaitFor(t, "the two know each other", func() bool {
		return proc.MembersAt(t, agent)["stock"].Status == "alive" && proc.MembersAt(t, serf)["ours"].Status == "alive"
	})

	here := t.TempDir()
	for i, payload := range published {
		args := []string{"event", "-coalesce=false", "-rpc-addr=" + agent.RPC, "kong", payload}
		if i%2 == 0 || strings.Contains(payload, "\x00") || payload == "-" {
			args[len(args)-1] = "-" // standard input: what no command line can carry, and some more
		}
		cmd := exec.Command("agentctl", args...)
		cmd.Dir, cmd.Stdin = here, strings.NewReader(payload)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("publishing %q: %v: %s", payload, err, out)
		}
	}

	for way, gw := range gateways {
		want := slices.Clone(published)
		if way == ours || way == stocks {
			for i := range want { // serf ends each payload with a newline: it cannot be told which had one
				want[i] = strings.TrimSuffix(want[i], "\n")
			}
		}
		testkit.Poll(func() bool { return len(gw.Taken()) >= len(want) })
		got := stub.Bodies(gw.Taken())
		if way != stocks && !slices.Equal(got, want) { // gossip keeps no order
			t.Errorf("%s: the events are not posted byte for byte and in order", way)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: posted were\n%q\nwant\n%q", way, got, want)
		}
	}

	folders := []string{".", here, agent.Cmd.Dir, serf.Cmd.Dir, filepath.Dir(elsewhere), os.TempDir(), "/"}
	if home, err := os.UserHomeDir(); err == nil {
		folders = append(folders, home)
	}
	for _, dir := range folders {
		if file := filepath.Join(dir, mark); exists(file) {
			t.Errorf("a payload was run: there is %s", file)
		}
	}
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// checkHostile shows that the payloads are what they are said to be: each makes
// the file where a shell is given it in one of the ways that scripts have.
func checkHostile(t *testing.T, payloads []string) {
	t.Helper()
	for _, payload := range payloads {
		code := strings.ReplaceAll(payload, "\x00", "") // no command line has one
		ran := false
		for _, pasted := range []string{"echo %s", `echo "%s"`, "echo '%s'"} {
			dir := t.TempDir()
			cmd := exec.Command("/bin/sh", "-c", fmt.Sprintf(pasted, code))
			cmd.Dir = dir
			cmd.Run() // the rest of it may fail
			ran = ran || exists(filepath.Join(dir, mark))
		}
		if !ran && !strings.Contains(code, "os.execute") { // Lua, which only a Kong has
			t.Errorf("%q is harmless anyway", payload)
		}
	}
}
