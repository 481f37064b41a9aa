package proc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"agentctl/agent/api"
	"agentctl/rpcclient"
	"agentctl/scripts/testkit"
)

// Keys for gossip, as -encrypt takes them.
const (
	FirstKey  = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
	SecondKey = "5K9OtfP7efFrNKe5WCQvXvnaXJ5cWP0SvXiwe0kkjM4="
)

// Member is what tests look at of a member.
type Member struct {
	Name, Addr, Status string
	Tags               map[string]string
}

// Members asks a node, with a program, for all members. In a loop ask by MembersAt:
// a program is a process each time.
func Members(t *testing.T, program string, n *Node) map[string]Member {
	t.Helper()
	var list struct{ Members []Member }
	out := Output(t, program, "members", "-rpc-addr="+n.RPC, "-format", "json")
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("members: %v\n%s", err, out)
	}
	return byName(list.Members)
}

// MembersAt asks a node for all members by RPC.
func MembersAt(t *testing.T, n *Node) map[string]Member {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: n.RPC})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var list []Member
	for _, m := range all {
		list = append(list, Member{m.Name, net.JoinHostPort(m.Addr.String(), fmt.Sprint(m.Port)), m.Status, m.Tags})
	}
	return byName(list)
}

func byName(list []Member) map[string]Member {
	byName := map[string]Member{}
	for _, m := range list {
		byName[m.Name] = m
	}
	return byName
}

// Logged is what a stock node's script has appended to its file: an event a
// line, with the newline that serf adds.
func Logged(t *testing.T, file string) (payloads []string) {
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // the script is still writing it
		}
		payload, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(line)))
		if err != nil {
			t.Fatalf("%s: %v in %q", file, err, line)
		}
		payloads = append(payloads, strings.TrimSuffix(string(payload), "\n"))
	}
	return payloads
}

// Alive is how many members a node sees alive.
func Alive(t *testing.T, n *Node) (count int) {
	t.Helper()
	for _, m := range MembersAt(t, n) {
		if m.Status == "alive" {
			count++
		}
	}
	return count
}

// Metric reads a series of an agent of ours, as NAME or NAME{LABEL="VALUE"}. One
// with labels is 0 until it has counted something.
func Metric(t *testing.T, n *Node, series string) float64 {
	t.Helper()
	_, text := Get(t, n, "/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	if !strings.Contains(series, "{") {
		t.Fatalf("there is no metric %s in:\n%s", series, text)
	}
	return 0
}

// Misread is a line of a stock agent's log about what it cannot read.
var Misread = regexp.MustCompile(`(?i)msg ?type|message type|decrypt|decod|not encrypted|label|failed to receive|failed to read`)

// NewPublisher connects to a node and returns what publishes a kong event there.
func NewPublisher(t *testing.T, n *Node) func(payload string) {
	t.Helper()
	c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: n.RPC})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return func(payload string) {
		t.Helper()
		if err := c.Event(t.Context(), "kong", []byte(payload), false); err != nil {
			t.Fatal(err)
		}
	}
}

// Linked is how many others an agent of ours has an open link to, whoever opened it.
func Linked(t testing.TB, n *Node) int {
	t.Helper()
	_, body := Get(t, n, "/v1/status")
	var report api.StatusReport
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatalf("status: %s, %v", body, err)
	}
	return report.Links
}

// StatusOf asks an agent how its one target stands.
func StatusOf(t testing.TB, n *Node) api.TargetReport {
	t.Helper()
	_, body := Get(t, n, "/v1/status")
	var report struct{ Targets []api.TargetReport }
	if err := json.Unmarshal([]byte(body), &report); err != nil || len(report.Targets) != 1 {
		t.Fatalf("status: %s, %v", body, err)
	}
	return report.Targets[0]
}

// Get asks an agent's operations endpoint for a path.
func Get(t testing.TB, n *Node, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: testkit.Patience}
	res, err := client.Get("http://" + n.HTTP + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// JournalMetric is the value of one of an agent's journal metrics.
func JournalMetric(t *testing.T, n *Node, name string) int {
	t.Helper()
	return int(Metric(t, n, "agentctl_journal_"+name))
}
